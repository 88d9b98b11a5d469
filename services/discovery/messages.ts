/** States of services as messages of the contract. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type InstanceSchema, InstanceStatus, type ServiceSchema, ServiceStatus } from "#gen/discovery/v1/service_pb.ts";
import type { Instance } from "#mesh/registry/registry.ts";
import { instanceUrl } from "#mesh/registry/service-url.ts";
import type { ServiceState } from "./view.ts";

/** A service with its instances. */
export function toService({ name, instances }: ServiceState): MessageInitShape<typeof ServiceSchema> {
  return {
    name,
    status: statusOf(instances),
    tags: union(instances.map(({ tags }) => tags)),
    contracts: contractsOf(instances),
    instances: instances.map(toInstance),
  };
}

/** One instance. */
export function toInstance(instance: Instance): MessageInitShape<typeof InstanceSchema> {
  const { id, service, address, port, tags, meta, weight, status } = instance;
  return {
    ...{ id, service, address, port, weight },
    url: instanceUrl(instance),
    status: instanceStatusOf[status],
    version: meta.version ?? "",
    contracts: contractsOf([instance]),
    tags: [...tags],
    meta: { ...meta },
    outside: isOutside(instance),
  };
}

/** Whether an instance was registered here. */
export function isOutside({ meta }: Instance): boolean {
  return meta.outside === "true";
}

/** The contracts that any of `instances` serves, sorted. A program that says them by its tags alone is understood, too. */
export function contractsOf(instances: readonly Instance[]): string[] {
  const named = instances.map(({ tags, meta }) => {
    const contracts = (meta.contracts ?? "").split(",").filter((name) => name !== "");
    return contracts.length > 0 ? contracts : tags.filter((tag) => /^[a-z][\w.]*[.][A-Z]\w*$/.test(tag));
  });
  return union(named);
}

const instanceStatusOf = {
  passing: InstanceStatus.PASSING,
  warning: InstanceStatus.WARNING,
  critical: InstanceStatus.CRITICAL,
} as const;

function statusOf(instances: readonly Instance[]): ServiceStatus {
  const critical = instances.filter(({ status }) => status === "critical").length;
  if (critical === instances.length) return ServiceStatus.DOWN;
  return critical === 0 ? ServiceStatus.UP : ServiceStatus.DEGRADED;
}

function union(lists: readonly (readonly string[])[]): string[] {
  return [...new Set(lists.flat())].sort();
}
