# What discovery may do beside service.hcl: keep which programs outside the mesh are registered.
#
#   consul acl policy create -name heddle-discovery -rules @consul/policies/discovery.hcl
#   consul acl token create -description "heddle discovery" -policy-name heddle-service -policy-name heddle-discovery

key_prefix "heddle/discovery/" {
  policy = "write"
}
