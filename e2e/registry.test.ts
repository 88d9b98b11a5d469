import { registryContract } from "../mesh/registry/registry.contract.ts";
import { requireConsul, startConsul } from "./servers/consul.ts";

registryContract("a real Consul", (context) => startConsul(requireConsul(context)));
