import assert from "node:assert/strict";
import { ConfigError, duration, flag, integer, list, oneOf, optionalUrl, port, readConfig, secret, text } from "./config.ts";

describe("config", () => {
  const settings = {
    name: text("NAME", "x"),
    workers: integer("WORKERS", 1, 64, 4),
    port: port("PORT", 8080),
    wait: duration("WAIT", "1.5s"),
    debug: flag("DEBUG", false),
    level: oneOf("LEVEL", ["info", "warn"], "info"),
    database: optionalUrl("DATABASE_URL", "postgres:"),
    keys: list("KEYS"),
  };

  it("an empty environment gives every default", () => {
    assert.deepEqual(readConfig({}, settings), {
      name: "x",
      workers: 4,
      port: 8080,
      wait: 1500,
      debug: false,
      level: "info",
      database: undefined,
      keys: [],
    });
  });

  it("reads each kind from its text", () => {
    const env = {
      NAME: "a b",
      WORKERS: "64",
      PORT: "0",
      WAIT: "250ms",
      DEBUG: "true",
      LEVEL: "warn",
      DATABASE_URL: "postgres://h/d",
      KEYS: " a, b ,,",
    };
    assert.deepEqual(readConfig(env, settings), {
      name: "a b",
      workers: 64,
      port: 0,
      wait: 250,
      debug: true,
      level: "warn",
      database: new URL("postgres://h/d"),
      keys: ["a", "b"],
    });
  });

  it("reports all mistakes at once, each with variable, expected and got", () => {
    const env = { WORKERS: "65", PORT: "http", WAIT: "10", DEBUG: "yes", LEVEL: "loud", DATABASE_URL: "mysql://u:pw@h" };
    assert.throws(
      () => readConfig(env, { ...settings, token: secret("TOKEN") }),
      new ConfigError([
        'WORKERS: expected a whole number from 1 to 64, got "65"',
        'PORT: expected a port from 0 to 65535, got "http"',
        'WAIT: expected a duration such as 250ms, 10s, 5m, 2h or 30d, got "10"',
        'DEBUG: expected true or false, got "yes"',
        'LEVEL: expected one of info, warn, got "loud"',
        "DATABASE_URL: expected a URL with postgres:, got something else (not shown)",
        "TOKEN: expected a text, got nothing",
      ]),
    );
  });

  for (const [written, ms] of [
    ["0ms", 0],
    ["0.5s", 500],
    ["2m", 120_000],
    ["1h", 3_600_000],
    ["30d", 2_592_000_000],
  ] as const) {
    it(`the duration ${written} is ${ms} ms`, () =>
      assert.deepEqual(readConfig({ W: written }, { w: duration("W") }), { w: ms }));
  }
});
