/** Reads the parts of a service config that are about endpoints: loadBalancingConfig (gRFC A24) and outlierDetection (A50). */
import type { BalancerPolicy } from "./balancer.ts";
import { type JsonFields, uint32Max } from "./json-fields.ts";
import type { OutlierSettings } from "./service-config.ts";

/** What loadBalancingConfig asks for. */
export interface BalancingConfig {
  readonly balancer: BalancerPolicy;
  /** Of an `outlier_detection_experimental` policy; undefined for none. */
  readonly outlierDetection: OutlierSettings | undefined;
}

/**
 * Reads `loadBalancingConfig`: the first policy of the list that Heddle has; gRPC's others are passed over, as A24 asks of a
 * reader that lacks them. Undefined when there is no such list.
 */
export function readLoadBalancing(parent: JsonFields, key = "loadBalancingConfig"): BalancingConfig | undefined {
  if (!parent.has(key)) return undefined;
  const mistaken = { balancer: "p2c", outlierDetection: undefined } as const;
  const policies = parent.objects(key, Object.keys(policyByName), { notEmpty: true });
  let chosen: BalancingConfig | undefined;
  let bad = policies.length === 0;
  for (const policy of policies) {
    const names = Object.keys(policyByName).filter((name) => policy.has(name));
    const name = names[0];
    if (name === undefined || names.length > 1) {
      parent.refuse(key, "objects with one policy name each");
      bad = true;
    } else if (chosen === undefined) chosen = readPolicy(policy, name);
  }
  if (chosen === undefined && !bad) parent.refuse(key, `at least one of ${supportedNames.join(", ")}`);
  return chosen ?? mistaken;
}

/** Reads the object at `key` with the defaults of A50; undefined when it is not there. */
export function readOutlierDetection(parent: JsonFields, key: string): OutlierSettings | undefined {
  const fields = parent.object(key, outlierKeys);
  return fields && outlierOf(fields);
}

/** Every name that is accepted, and what it means here; undefined: gRPC's, but not Heddle's (yet). */
const policyByName: Readonly<Record<string, BalancerPolicy | "outlier" | undefined>> = {
  p2c: "p2c",
  round_robin: "round_robin",
  outlier_detection_experimental: "outlier",
  pick_first: undefined,
  weighted_round_robin: undefined,
  least_request_experimental: undefined,
  ring_hash_experimental: undefined,
  weighted_target_experimental: undefined,
  priority_experimental: undefined,
};

const supportedNames = Object.keys(policyByName).filter((name) => policyByName[name] !== undefined);

const outlierKeys = [
  ...["interval", "baseEjectionTime", "maxEjectionTime", "maxEjectionPercent"],
  ...["successRateEjection", "failurePercentageEjection"],
];

function readPolicy(policy: JsonFields, name: string): BalancingConfig | undefined {
  const meaning = policyByName[name];
  if (meaning === undefined) return undefined;
  if (meaning !== "outlier") {
    policy.object(name, []);
    return { balancer: meaning, outlierDetection: undefined };
  }
  const fields = policy.object(name, [...outlierKeys, "childPolicy"]);
  if (fields === undefined) return undefined;
  if (!fields.has("childPolicy")) fields.refuse("childPolicy", "a list of load balancing policies");
  const child = readLoadBalancing(fields, "childPolicy");
  return { balancer: child?.balancer ?? "p2c", outlierDetection: outlierOf(fields) };
}

function outlierOf(fields: JsonFields): OutlierSettings {
  return {
    intervalMs: fields.duration("interval") ?? 10_000,
    baseEjectionMs: fields.duration("baseEjectionTime") ?? 30_000,
    maxEjectionMs: fields.duration("maxEjectionTime") ?? 300_000,
    maxEjectedShare: fields.percent("maxEjectionPercent", 0) ?? 0.1,
    successRate: readSuccessRate(fields),
    failurePercentage: readFailurePercentage(fields),
  };
}

function readSuccessRate(parent: JsonFields): OutlierSettings["successRate"] {
  const keys = ["stdevFactor", "enforcementPercentage", "minimumHosts", "requestVolume"];
  const fields = parent.object("successRateEjection", keys);
  if (fields === undefined) return undefined;
  return {
    stdevFactor: fields.integer("stdevFactor", { min: 0, max: uint32Max }) ?? 1900,
    enforcedShare: fields.percent("enforcementPercentage", 0) ?? 1,
    minimumHosts: fields.integer("minimumHosts", { min: 0, max: uint32Max }) ?? 5,
    requestVolume: fields.integer("requestVolume", { min: 0, max: uint32Max }) ?? 100,
  };
}

function readFailurePercentage(parent: JsonFields): OutlierSettings["failurePercentage"] {
  const keys = ["threshold", "enforcementPercentage", "minimumHosts", "requestVolume"];
  const fields = parent.object("failurePercentageEjection", keys);
  if (fields === undefined) return undefined;
  return {
    threshold: fields.percent("threshold", 0) ?? 0.85,
    enforcedShare: fields.percent("enforcementPercentage", 0) ?? 1,
    minimumHosts: fields.integer("minimumHosts", { min: 0, max: uint32Max }) ?? 5,
    requestVolume: fields.integer("requestVolume", { min: 0, max: uint32Max }) ?? 50,
  };
}
