# What the people and scripts that change service configs may do: everything under heddle/, and see all the rest.
#
#   consul acl policy create -name heddle-operator -rules @consul/policies/operator.hcl

key_prefix "heddle/" {
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
