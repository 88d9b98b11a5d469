# What every service of the mesh may do: register itself, find the others, read its service configs.
#
#   consul acl policy create -name heddle-service -rules @consul/policies/service.hcl
#   consul acl token create -description "heddle services" -policy-name heddle-service
#
# The token goes to the services as CONSUL_HTTP_TOKEN. To let a service register under its own name alone, give each a
# policy of its own with `service "auth" { policy = "write" }` in the first rule's place.

service_prefix "" {
  policy = "write"
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
