import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { defaultBreaker } from "./breaker.ts";
import { defaultServiceConfig, methodConfigOf, parseServiceConfig } from "./service-config.ts";

const retryPolicy = {
  maxAttempts: 4,
  initialBackoff: "0.05s",
  maxBackoff: "1s",
  backoffMultiplier: 2,
  retryableStatusCodes: ["UNAVAILABLE"],
};

/** A config with one entry for service `a.B`. */
const entry = (changes: object) => ({ methodConfig: [{ name: [{ service: "a.B" }], ...changes }] });

const read = (changes: object) => methodConfigOf(parseServiceConfig(entry(changes)), "a.B", "C");

describe("parseServiceConfig: what it reads", () => {
  it("gives a method without a config the defaults", () => {
    const { breaker, ...rest } = methodConfigOf(defaultServiceConfig, "a.B", "C");
    assert.deepEqual(breaker, defaultBreaker);
    assert.deepEqual(rest, {
      timeoutMs: undefined,
      waitForReady: false,
      retry: undefined,
      hedging: undefined,
      maxRequestBytes: undefined,
      maxResponseBytes: undefined,
      breakerKey: "a.B",
      concurrencyLimit: undefined,
      criticality: undefined,
      rateLimit: undefined,
      fault: undefined,
      source: "default",
    });
  });

  it("reads every key of a method", () => {
    const config = read({
      timeout: "0.5s",
      waitForReady: true,
      maxRequestMessageBytes: 1024,
      maxResponseMessageBytes: 4_294_967_295,
      retryPolicy: { ...retryPolicy, perAttemptRecvTimeout: "0.2s" },
      circuitBreaker: { consecutiveFailures: 2, failureRateThreshold: 25, window: { duration: "10s" }, openTime: "1s" },
      concurrencyLimit: { maxConcurrent: 10 },
      criticality: "SHEDDABLE",
      rateLimit: { perSecond: 2.5 },
      fault: { delay: { duration: "0.1s", percentage: 10 }, abort: { code: "unavailable" } },
    });
    assert.deepEqual(config, {
      timeoutMs: 500,
      waitForReady: true,
      maxRequestBytes: 1024,
      maxResponseBytes: 4_294_967_295,
      retry: {
        maxAttempts: 4,
        initialBackoffMs: 50,
        maxBackoffMs: 1000,
        backoffMultiplier: 2,
        retryableCodes: new Set([14]),
        perAttemptTimeoutMs: 200,
      },
      hedging: undefined,
      breaker: {
        ...defaultBreaker,
        consecutiveFailures: 2,
        failureRate: 0.25,
        window: { kind: "time", ms: 10_000 },
        openMs: 1000,
      },
      breakerKey: "a.B",
      concurrencyLimit: { maxConcurrent: 10, maxQueued: 0 },
      criticality: "SHEDDABLE",
      rateLimit: { perSecond: 2.5, burst: 2 },
      fault: { delay: { ms: 100, share: 0.1 }, abort: { code: 14, share: 1 } },
      source: "methodConfig[0]",
    });
  });

  it("reads a hedgingPolicy; no hedgingDelay is 0", () => {
    const { hedging } = read({ hedgingPolicy: { maxAttempts: 9, nonFatalStatusCodes: ["UNAVAILABLE", 2] } });
    assert.deepEqual(hedging, { maxAttempts: 5, hedgingDelayMs: 0, nonFatalCodes: new Set([14, 2]) });
  });

  it("takes maxAttempts 6 for 5", () => {
    assert.equal(read({ retryPolicy: { ...retryPolicy, maxAttempts: 6 } }).retry?.maxAttempts, 5);
  });

  it("takes status codes by name in any case and by number", () => {
    const { retry } = read({ retryPolicy: { ...retryPolicy, retryableStatusCodes: ["Unavailable", "data_loss", 10] } });
    assert.deepEqual(retry?.retryableCodes, new Set([14, 15, 10]));
  });

  it("drops decimals of tokenRatio beyond the third", () => {
    const ratio = (tokenRatio: number) =>
      parseServiceConfig({ retryThrottling: { maxTokens: 10, tokenRatio } }).retryThrottling?.tokenRatio;
    assert.deepEqual([0.1, 0.1239, 1.001, 0.29].map(ratio), [0.1, 0.123, 1.001, 0.29]);
  });

  it("gives the same version to the same JSON and another one to a changed one", () => {
    const versions = ["1s", "1s", "2s"].map((timeout) => parseServiceConfig(entry({ timeout })).version);
    assert.deepEqual([versions[0] === versions[1], versions[0] === versions[2]], [true, false]);
    assert.match(versions[0] ?? "", /^[0-9a-f]{16}$/);
    assert.equal(defaultServiceConfig.version, "default");
  });

  it("accepts the configs of this repository", () => {
    for (const path of ["auth/v1", "notification/v1"]) {
      const text = readFileSync(new URL(`../../proto/${path}/service-config.json`, import.meta.url), "utf8");
      assert.doesNotThrow(() => parseServiceConfig(JSON.parse(text)), path);
    }
  });
});

describe("methodConfigOf", () => {
  const config = parseServiceConfig({
    circuitBreaker: { consecutiveFailures: 9 },
    methodConfig: [
      { name: [{}], timeout: "1s" },
      { name: [{ service: "a.B" }], timeout: "2s", circuitBreaker: { consecutiveFailures: 7 } },
      {
        name: [
          { service: "a.B", method: "C" },
          { service: "a.X", method: "C" },
        ],
        timeout: "3s",
      },
      { name: [{ service: "a.B", method: "D" }], waitForReady: true, circuitBreaker: { consecutiveFailures: 3 } },
    ],
  });
  const cases: readonly (readonly [string, string, ...unknown[]])[] = [
    ["a.B", "C", 3000, "methodConfig[2]", "a.B", 7],
    ["a.B", "D", undefined, "methodConfig[3]", "a.B/D", 3],
    ["a.B", "E", 2000, "methodConfig[1]", "a.B", 7],
    ["a.X", "C", 3000, "methodConfig[2]", "a.X", 9],
    ["a.X", "E", 1000, "methodConfig[0]", "a.X", 9],
    ["a.B.C", "C", 1000, "methodConfig[0]", "a.B.C", 9],
  ];
  for (const [contract, method, ...expected] of cases) {
    it(`finds timeout, entry, breaker and its failures in a row of ${contract}/${method}: ${expected.join(", ")}`, () => {
      const found = methodConfigOf(config, contract, method);
      assert.deepEqual([found.timeoutMs, found.source, found.breakerKey, found.breaker.consecutiveFailures], expected);
    });
  }

  it("gives the same object for every call", () => {
    assert.equal(methodConfigOf(config, "a.B", "C"), methodConfigOf(config, "a.B", "C"));
  });

  it("gives all methods that share a breaker the same settings", () => {
    assert.equal(methodConfigOf(config, "a.B", "C").breaker, methodConfigOf(config, "a.B", "E").breaker);
  });
});
