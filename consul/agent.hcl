# A real Consul for Heddle on one machine: one server that keeps its data, UI on, everything on loopback.
#
#   consul agent -config-file=consul/agent.hcl -data-dir=/var/lib/consul
#
# For several machines: run servers as Consul's documentation says, and on every machine that runs services a client agent
# with this file, `server = false`, no `bootstrap_expect`, and `retry_join`. Services speak with the agent on their own
# machine, which makes their checks; CONSUL_HTTP_ADDR stays http://127.0.0.1:8500.

datacenter       = "dc1"
server           = true
bootstrap_expect = 1
bind_addr        = "127.0.0.1"
client_addr      = "127.0.0.1"
ui               = true # from Consul 1.12 on: ui_config { enabled = true }

# The gRPC checks need no scripts; remote script checks would let anybody who reaches the API run programs.
enable_script_checks       = false
enable_local_script_checks = false

# A check's output differs with every probe; only a change of status is worth a write. This is Consul's default.
check_update_interval = "5m"

performance {
  # Leader elections within a second or two instead of five times that; one server elects nobody but itself.
  raft_multiplier = 1
}

connect {
  # The CA for identities of services (SPIFFE), when Heddle is told to take them from Consul.
  enabled = true
}

acl {
  # Turn this on outside of development, then make tokens from consul/policies; see consul/README.md.
  enabled                  = false
  default_policy           = "deny"
  enable_token_persistence = true
}

telemetry {
  prometheus_retention_time = "60s"
  disable_hostname          = true
}
