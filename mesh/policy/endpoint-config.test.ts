import assert from "node:assert/strict";
import { parseServiceConfig, ServiceConfigError } from "./service-config.ts";

function mistakes(json: unknown): string[] {
  try {
    parseServiceConfig(json);
    return [];
  } catch (error) {
    assert(error instanceof ServiceConfigError);
    return error.message.split("\n");
  }
}

const a50 = { intervalMs: 10_000, baseEjectionMs: 30_000, maxEjectionMs: 300_000, maxEjectedShare: 0.1 };

describe("loadBalancingConfig", () => {
  const cases: readonly (readonly [object, string])[] = [
    [{}, "p2c"],
    [{ loadBalancingConfig: [{ round_robin: {} }] }, "round_robin"],
    [{ loadBalancingConfig: [{ p2c: {} }, { round_robin: {} }] }, "p2c"],
    [{ loadBalancingConfig: [{ least_request_experimental: { choiceCount: 2 } }, { round_robin: {} }] }, "round_robin"],
    [{ loadBalancingPolicy: "ROUND_ROBIN" }, "round_robin"],
    [{ loadBalancingPolicy: "round_robin", loadBalancingConfig: [{ p2c: {} }] }, "p2c"],
    [{ loadBalancingConfig: [{ outlier_detection_experimental: { childPolicy: [{ round_robin: {} }] } }] }, "round_robin"],
  ];
  for (const [json, balancer] of cases) {
    it(`is ${balancer} for ${JSON.stringify(json)}`, () => assert.equal(parseServiceConfig(json).balancer, balancer));
  }

  const bad: readonly (readonly [object, string])[] = [
    [{ loadBalancingConfig: [] }, "loadBalancingConfig: expected a list of objects, not empty, got []"],
    [
      { loadBalancingConfig: [{ pick_first: {} }] },
      'loadBalancingConfig: expected at least one of p2c, round_robin, outlier_detection_experimental, got [{"pick_first":{}}]',
    ],
    [
      { loadBalancingConfig: [{ p2c: {}, round_robin: {} }] },
      'loadBalancingConfig: expected objects with one policy name each, got [{"p2c":{},"round_robin":{}}]',
    ],
    [
      { loadBalancingConfig: [{ outlier_detection_experimental: {} }] },
      "loadBalancingConfig[0].outlier_detection_experimental.childPolicy: expected a list of load balancing policies, got nothing",
    ],
    [
      { loadBalancingConfig: [{ round_robin: { weight: 1 } }] },
      "loadBalancingConfig[0].round_robin.weight: expected no such key (there are none), got 1",
    ],
    [{ loadBalancingPolicy: "random" }, 'loadBalancingPolicy: expected ROUND_ROBIN, got "random"'],
  ];
  for (const [json, mistake] of bad) {
    it(`refuses ${JSON.stringify(json)}`, () => assert.deepEqual(mistakes(json), [mistake]));
  }
});

describe("outlierDetection (gRFC A50)", () => {
  it("is off unless asked for", () => assert.equal(parseServiceConfig({}).outlierDetection, undefined));

  it("has the defaults of A50", () => {
    const plain = parseServiceConfig({ outlierDetection: { successRateEjection: {}, failurePercentageEjection: {} } });
    assert.deepEqual(plain.outlierDetection, {
      ...a50,
      successRate: { stdevFactor: 1900, enforcedShare: 1, minimumHosts: 5, requestVolume: 100 },
      failurePercentage: { threshold: 0.85, enforcedShare: 1, minimumHosts: 5, requestVolume: 50 },
    });
  });

  it("is read from the load balancing policy too, where the plain form does not say otherwise", () => {
    const policy = { outlier_detection_experimental: { interval: "1s", childPolicy: [{ p2c: {} }] } };
    const none = { successRate: undefined, failurePercentage: undefined };
    const read = (json: object) => parseServiceConfig({ loadBalancingConfig: [policy], ...json }).outlierDetection;
    assert.deepEqual(read({}), { ...a50, ...none, intervalMs: 1000 });
    assert.deepEqual(read({ outlierDetection: { interval: "2s" } }), { ...a50, ...none, intervalMs: 2000 });
  });

  it("refuses what is out of bounds, with its path", () => {
    const outlierDetection = {
      interval: "0s",
      maxEjectionPercent: 101,
      successRateEjection: { minimumHosts: -1 },
      childPolicy: [],
    };
    assert.deepEqual(
      mistakes({ outlierDetection }).map((line) => line.split(":")[0]),
      [
        "outlierDetection.childPolicy",
        "outlierDetection.interval",
        "outlierDetection.maxEjectionPercent",
        "outlierDetection.successRateEjection.minimumHosts",
      ],
    );
  });
});

describe("healthCheckConfig (gRFC A17)", () => {
  it("names the service to watch", () => {
    assert.equal(parseServiceConfig({ healthCheckConfig: { serviceName: "a.B" } }).healthService, "a.B");
    assert.equal(parseServiceConfig({}).healthService, undefined);
  });
});
