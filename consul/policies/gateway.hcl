# What the gateway may do: register itself, find every service, read their service configs.
#
#   consul acl policy create -name heddle-gateway -rules @consul/policies/gateway.hcl
#   consul acl token create -description "heddle gateway" -policy-name heddle-gateway

service "gateway" {
  policy = "write"
}

service_prefix "" {
  policy = "read"
}

node_prefix "" {
  policy = "read"
}

agent_prefix "" {
  policy = "read"
}

key_prefix "heddle/" {
  policy = "read"
}
