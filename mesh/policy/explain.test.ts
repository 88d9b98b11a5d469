import assert from "node:assert/strict";
import { explainMethod } from "./explain.ts";
import { parseServiceConfig } from "./service-config.ts";

describe("explainMethod", () => {
  const config = parseServiceConfig({
    circuitBreaker: { openTime: "1s" },
    retryThrottling: { maxTokens: 100, tokenRatio: 0.1 },
    loadBalancingConfig: [{ round_robin: {} }],
    methodConfig: [
      { name: [{ service: "a.B" }], timeout: "2.5s", circuitBreaker: { failureRateThreshold: 29, openTime: "3s" } },
      {
        name: [{ service: "a.B", method: "C" }],
        retryPolicy: {
          maxAttempts: 9,
          initialBackoff: "0.000000001s",
          maxBackoff: "10s",
          backoffMultiplier: 2,
          retryableStatusCodes: [14, "ABORTED"],
        },
      },
      { name: [{ service: "a.B", method: "D" }], circuitBreaker: { halfOpenCalls: 1 }, hedgingPolicy: { maxAttempts: 2 } },
    ],
  });

  const explained = (method: string, idempotent = false) =>
    new Map(explainMethod(config, "a.B", method, idempotent).map(({ key, value, from }) => [key, [value, from]]));

  const cases: readonly (readonly [string, string, string, string])[] = [
    ["X", "timeout", "2.5s", "methodConfig[0].timeout"],
    ["X", "waitForReady", "false", "default"],
    ["X", "retryPolicy", "none", "default"],
    ["X", "retryThrottling.maxTokens", "100", "retryThrottling.maxTokens"],
    ["X", "loadBalancingConfig", "round_robin", "loadBalancingConfig"],
    ["X", "outlierDetection", "none", "default"],
    ["C", "timeout", "none", "default"],
    ["C", "retryPolicy.maxAttempts", "5", "methodConfig[1].retryPolicy.maxAttempts"],
    ["C", "retryPolicy.initialBackoff", "0.000000001s", "methodConfig[1].retryPolicy.initialBackoff"],
    ["C", "retryPolicy.maxBackoff", "10s", "methodConfig[1].retryPolicy.maxBackoff"],
    ["C", "retryPolicy.retryableStatusCodes", "UNAVAILABLE, ABORTED", "methodConfig[1].retryPolicy.retryableStatusCodes"],
    ["C", "retryPolicy.perAttemptRecvTimeout", "none", "default"],
    ["C", "circuitBreaker", "shared by a.B", "methodConfig[0].circuitBreaker"],
    ["C", "circuitBreaker.failureRateThreshold", "29 %", "methodConfig[0].circuitBreaker.failureRateThreshold"],
    ["C", "circuitBreaker.openTime", "3s", "methodConfig[0].circuitBreaker.openTime"],
    ["C", "circuitBreaker.window", "20 calls", "default"],
    ["D", "circuitBreaker", "shared by a.B/D", "methodConfig[2].circuitBreaker"],
    ["D", "circuitBreaker.halfOpenCalls", "1", "methodConfig[2].circuitBreaker.halfOpenCalls"],
    ["D", "circuitBreaker.openTime", "1s", "circuitBreaker.openTime"],
    ["D", "circuitBreaker.slowCallDuration", "none", "default"],
    ["D", "hedgingPolicy.hedgingDelay", "0s", "default"],
  ];
  for (const [method, key, value, from] of cases) {
    it(`says that ${key} of ${method} is ${value}, from ${from}`, () => {
      assert.deepEqual(explained(method).get(key), [value, from]);
    });
  }

  it("shows the retries that an idempotent method has without a retryPolicy, but not beside hedging", () => {
    assert.deepEqual(explained("X", true).get("retryPolicy.maxAttempts"), ["3", "default for idempotent methods"]);
    assert.deepEqual(explained("D", true).get("retryPolicy"), ["none", "default"]);
  });

  it("names every key once", () => {
    const keys = explainMethod(config, "a.B", "C").map(({ key }) => key);
    assert.equal(new Set(keys).size, keys.length);
  });
});
