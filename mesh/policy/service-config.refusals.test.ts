import assert from "node:assert/strict";
import fc from "fast-check";
import { parseServiceConfig, ServiceConfigError } from "./service-config.ts";

const retryPolicy = {
  maxAttempts: 4,
  initialBackoff: "0.05s",
  maxBackoff: "1s",
  backoffMultiplier: 2,
  retryableStatusCodes: ["UNAVAILABLE"],
};

/** A config with one entry for service `a.B`. */
const entry = (changes: object) => ({ methodConfig: [{ name: [{ service: "a.B" }], ...changes }] });

/** The mistakes of a config, each as its line. */
function mistakes(json: unknown, known?: (contract: string, method: string) => boolean): string[] {
  try {
    parseServiceConfig(json, known === undefined ? {} : { known });
    return [];
  } catch (error) {
    assert(error instanceof ServiceConfigError);
    return error.message.split("\n");
  }
}

const duration = 'a duration above 0 in seconds with up to 9 decimals such as "0.5s"';
const codes = "status codes by name (UNAVAILABLE) or number (14), not OK";

describe("parseServiceConfig: what it refuses", () => {
  const cases: readonly (readonly [string, unknown, ...string[]])[] = [
    ["a list", [], "$: expected an object, got []"],
    ["null", null, "$: expected an object, got null"],
    [
      "an unknown key",
      { retries: 3 },
      "retries: expected no such key (known: methodConfig, retryThrottling, loadBalancingConfig, loadBalancingPolicy, " +
        "healthCheckConfig, outlierDetection, circuitBreaker), got 3",
    ],
    [
      "an unknown key in a name",
      { methodConfig: [{ name: [{ service: "a.B", methods: ["C"] }] }] },
      'methodConfig[0].name[0].methods: expected no such key (known: service, method), got ["C"]',
    ],
    ["methodConfig as an object", { methodConfig: {} }, "methodConfig: expected a list of objects, got {}"],
    [
      "an entry without a name",
      { methodConfig: [{}] },
      "methodConfig[0].name: expected a list of objects, not empty, got nothing",
    ],
    [
      "an empty name list",
      { methodConfig: [{ name: [] }] },
      "methodConfig[0].name: expected a list of objects, not empty, got []",
    ],
    [
      "a method without a service",
      { methodConfig: [{ name: [{ method: "C" }] }] },
      'methodConfig[0].name[0].method: expected no method without a service, got "C"',
    ],
    [
      "the same name twice",
      { methodConfig: [{ name: [{ service: "a.B" }] }, { name: [{ service: "a.C" }, { service: "a.B", method: "" }] }] },
      'methodConfig[1].name[1]: expected a name that is not yet in methodConfig[0], got {"service":"a.B","method":""}',
    ],
    [
      "the empty name twice",
      { methodConfig: [{ name: [{}] }, { name: [{ service: "" }] }] },
      'methodConfig[1].name[0]: expected a name that is not yet in methodConfig[0], got {"service":""}',
    ],
    ["a timeout as a number", entry({ timeout: 5 }), `methodConfig[0].timeout: expected ${duration}, got 5`],
    ["a timeout of 500ms", entry({ timeout: "500ms" }), `methodConfig[0].timeout: expected ${duration}, got "500ms"`],
    ["a timeout of 0s", entry({ timeout: "0s" }), `methodConfig[0].timeout: expected ${duration}, got "0s"`],
    ["a timeout of -1s", entry({ timeout: "-1s" }), `methodConfig[0].timeout: expected ${duration}, got "-1s"`],
    ["waitForReady as a text", entry({ waitForReady: "yes" }), 'methodConfig[0].waitForReady: expected true or false, got "yes"'],
    [
      "a negative size",
      entry({ maxRequestMessageBytes: -1 }),
      "methodConfig[0].maxRequestMessageBytes: expected a whole number from 1 to 4294967295, got -1",
    ],
    [
      "maxAttempts 1",
      entry({ retryPolicy: { ...retryPolicy, maxAttempts: 1 } }),
      "methodConfig[0].retryPolicy.maxAttempts: expected a whole number from 2 to 4294967295, got 1",
    ],
    [
      "an empty retryPolicy: every mistake at once",
      entry({ retryPolicy: {} }),
      "methodConfig[0].retryPolicy.maxAttempts: expected a whole number from 2 to 4294967295, got nothing",
      `methodConfig[0].retryPolicy.initialBackoff: expected ${duration}, got nothing`,
      `methodConfig[0].retryPolicy.maxBackoff: expected ${duration}, got nothing`,
      "methodConfig[0].retryPolicy.backoffMultiplier: expected a number above 0, got nothing",
      `methodConfig[0].retryPolicy.retryableStatusCodes: expected a list of ${codes}, not empty, got nothing`,
    ],
    [
      "an unknown and the OK status code",
      entry({ retryPolicy: { ...retryPolicy, retryableStatusCodes: ["UNAVAILABEL", 0, 17, "OK"] } }),
      `methodConfig[0].retryPolicy.retryableStatusCodes[0]: expected ${codes}, got "UNAVAILABEL"`,
      `methodConfig[0].retryPolicy.retryableStatusCodes[1]: expected ${codes}, got 0`,
      `methodConfig[0].retryPolicy.retryableStatusCodes[2]: expected ${codes}, got 17`,
      `methodConfig[0].retryPolicy.retryableStatusCodes[3]: expected ${codes}, got "OK"`,
    ],
    [
      "no retryable status codes",
      entry({ retryPolicy: { ...retryPolicy, retryableStatusCodes: [] } }),
      `methodConfig[0].retryPolicy.retryableStatusCodes: expected a list of ${codes}, not empty, got []`,
    ],
    [
      "a retryPolicy beside a hedgingPolicy",
      entry({ retryPolicy, hedgingPolicy: { maxAttempts: 2 } }),
      'methodConfig[0].hedgingPolicy: expected no hedgingPolicy beside a retryPolicy, got {"maxAttempts":2}',
    ],
    [
      "maxTokens 0, 1001 and a tokenRatio of 0",
      { retryThrottling: { maxTokens: 1001, tokenRatio: 0 } },
      "retryThrottling.maxTokens: expected a whole number from 1 to 1000, got 1001",
      "retryThrottling.tokenRatio: expected a number from 0.001 on, got 0",
    ],
    [
      "a breaker with both windows",
      entry({ circuitBreaker: { window: { calls: 5, duration: "1s" } } }),
      'methodConfig[0].circuitBreaker.window: expected either {"calls": 20} or {"duration": "10s"}, got {"calls":5,"duration":"1s"}',
    ],
    [
      "a breaker that never has enough calls",
      entry({ circuitBreaker: { window: { calls: 5 }, minimumCalls: 6 } }),
      "methodConfig[0].circuitBreaker.minimumCalls: expected a whole number from 1 to 5, got 6",
    ],
    [
      "a failure rate of 0 %",
      { circuitBreaker: { failureRateThreshold: 0 } },
      "circuitBreaker.failureRateThreshold: expected a percentage above 0 and up to 100, got 0",
    ],
    [
      "a criticality in lower case",
      entry({ criticality: "critical" }),
      'methodConfig[0].criticality: expected one of CRITICAL_PLUS, CRITICAL, SHEDDABLE_PLUS, SHEDDABLE, got "critical"',
    ],
    ["an empty fault", entry({ fault: {} }), "methodConfig[0].fault: expected a delay, an abort or both, got {}"],
    [
      "a rate limit of 0",
      entry({ rateLimit: { perSecond: 0 } }),
      "methodConfig[0].rateLimit.perSecond: expected a number above 0 and up to 1000000000, got 0",
    ],
    [
      "a long value, cut",
      entry({ timeout: "x".repeat(100) }),
      `methodConfig[0].timeout: expected ${duration}, got "${"x".repeat(56)}...`,
    ],
  ];
  for (const [what, json, ...expected] of cases) {
    it(what, () => assert.deepEqual(mistakes(json), expected));
  }

  it("a contract and a method that do not exist", () => {
    const known = (contract: string, method: string) => contract === "a.B" && ["", "C"].includes(method);
    const name = [
      { service: "a.B" },
      { service: "a.B", method: "C" },
      { service: "a.B", method: "Typo" },
      { service: "z.Z" },
      {},
    ];
    assert.deepEqual(mistakes({ methodConfig: [{ name }] }, known), [
      'methodConfig[0].name[2].method: expected a method of a.B, got "Typo"',
      'methodConfig[0].name[3].service: expected a contract that exists, got "z.Z"',
    ]);
  });

  it("never throws anything but a ServiceConfigError, for every JSON value in every place", () => {
    const keys = [
      "methodConfig",
      "name",
      "retryPolicy",
      "circuitBreaker",
      "window",
      "loadBalancingConfig",
      "round_robin",
      "fault",
    ];
    const tree = fc.letrec((tie) => ({
      value: fc.oneof({ depthSize: "small" }, fc.jsonValue(), tie("object"), fc.array(tie("object"), { maxLength: 3 })),
      object: fc.dictionary(fc.constantFrom(...keys, "timeout", "__proto__", "constructor"), tie("value"), { maxKeys: 5 }),
    })).value;
    fc.assert(
      fc.property(tree, (json) => {
        mistakes(json);
      }),
      { numRuns: 500 },
    );
  });
});
