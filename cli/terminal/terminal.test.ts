import assert from "node:assert/strict";
import { stripVTControlCharacters } from "node:util";
import { parseLogLine, prettyLogLine } from "./log-line.ts";
import { paintFor } from "./paint.ts";
import { openProgress, type ProgressStream } from "./progress.ts";
import { humanBytes, humanDuration } from "./quantity.ts";
import { cut, tableLines } from "./table.ts";

const plain = paintFor({}, {});

describe("progress", () => {
  function stream(isTTY: boolean, columns = 80): ProgressStream & { text: string } {
    return {
      isTTY,
      columns,
      rows: 24,
      text: "",
      write(part: string) {
        this.text += part;
      },
    };
  }
  const ready = { kind: "ready", pid: 1, startedAt: 0, readyAt: 800 } as const;

  it("writes a line per change where there is no terminal, without control characters", () => {
    const out = stream(false);
    const progress = openProgress(out, plain, ["auth-1", "gateway-1"], () => 0);
    progress.changed({ name: "auth-1", state: { kind: "starting", pid: 1, startedAt: 0 } });
    progress.changed({ name: "auth-1", state: ready });
    progress.changed({ name: "auth-1", state: { kind: "backoff", until: 0, why: "it ended with code 1" } });
    progress.changed({ name: "gateway-1", state: { kind: "stopped" } });
    progress.settle();
    assert.equal(out.text, "✔ auth-1 is ready after 0.8 s\n✖ auth-1: it ended with code 1\n");
  });

  it("redraws its lines in place on a terminal, each frame in one write that blanks nothing in between", () => {
    const out = stream(true);
    const progress = openProgress(out, plain, ["postgres", "auth-1"], () => 0);
    progress.changed({ name: "postgres", state: ready });
    progress.settle();
    assert.equal(stripVTControlCharacters(out.text), "  ✔ postgres         ready    0.8 s\n  · auth-1           waits\n");
    assert.ok(out.text.startsWith("\x1b[?25l") && out.text.endsWith("\x1b[?25h"));
  });

  it("cuts lines to 20 columns, so that none wraps and the redraw stays in place", () => {
    const out = stream(true, 20);
    const progress = openProgress(out, plain, ["a"], () => 0);
    progress.changed({ name: "a", state: { kind: "backoff", until: 0, why: "a very long reason" } });
    progress.settle();
    assert.deepEqual(stripVTControlCharacters(out.text).trimEnd().length, 20);
  });
});

describe("colours", () => {
  for (const [env, isTTY, expected] of [
    [{}, true, "\x1b[32mok\x1b[39m"],
    [{ NO_COLOR: "1" }, true, "ok"],
    [{ TERM: "dumb" }, true, "ok"],
    [{}, false, "ok"],
  ] as const) {
    it(`${JSON.stringify(env)} on ${isTTY ? "a terminal" : "a pipe"} gives ${JSON.stringify(expected)}`, () => {
      assert.equal(paintFor({ isTTY }, env).green("ok"), expected);
    });
  }
});

describe("log line", () => {
  it("writes control characters and marks of direction as escapes, in every part of a line", () => {
    const evil = "a\x1b]0;owned\x07\u009b2J\u202eb\rc";
    const shown = "a\\u001b]0;owned\\u0007\\u009b2J\\u202eb\\u000dc";
    const pretty = (text: string) => prettyLogLine(parseLogLine(text), "auth-1", plain);
    assert.ok(pretty(evil).endsWith(` ${shown}`));
    const line = pretty(JSON.stringify({ level: evil, msg: evil, [evil]: evil, err: { stack: `${evil}\n${evil}` } }));
    assert.equal(line.split("\n").length, 3);
    assert.doesNotMatch(line, /[^\P{Cc}\n]|\u202e/u);
  });

  const time = new Date(2026, 0, 2, 3, 4, 5, 67).toISOString();

  it("shows time of day, level, process, message and the other fields", () => {
    const text = JSON.stringify({
      level: "info",
      time,
      service: "auth",
      instance: "auth-1",
      port: 7001,
      msg: "serving",
      where: "a b",
    });
    assert.equal(
      prettyLogLine(parseLogLine(text), "auth-1", plain),
      '03:04:05.067 info  auth-1           serving port=7001 where="a b"',
    );
  });

  it("reads pino's numbers for levels as well: 50 is error", () => {
    const text = JSON.stringify({ level: 50, time: Date.parse(time), msg: "no" });
    assert.equal(prettyLogLine(parseLogLine(text), "a", plain), "03:04:05.067 error a                no");
  });

  it("puts an error's stack below", () => {
    const text = JSON.stringify({ level: "error", time, msg: "no", err: { message: "x", stack: "Error: x\n  at y" } });
    assert.match(prettyLogLine(parseLogLine(text), "a", plain), / no\n {4}Error: x\n {6}at y$/);
  });

  it("leaves what is no JSON as it stands", () => {
    assert.equal(
      prettyLogLine(parseLogLine("there is something wrong"), "a", plain).trim(),
      "a                there is something wrong",
    );
  });
});

describe("quantities", () => {
  for (const [ms, text] of [
    [0, "0.0 s"],
    [840, "0.8 s"],
    [9949, "9.9 s"],
    [9950, "10 s"],
    [59_600, "1 min 0 s"],
    [185_000, "3 min 5 s"],
    [8_040_000, "2 h 14 min"],
    [273_600_000, "3 d 4 h"],
  ] as const) {
    it(`${ms} ms is ${text}`, () => assert.equal(humanDuration(ms), text));
  }

  it("64000000 bytes are 61 MiB, 1500000000 are 1.4 GiB", () => {
    assert.deepEqual([64_000_000, 1_500_000_000].map(humanBytes), ["61 MiB", "1.4 GiB"]);
  });
});

describe("table", () => {
  it("aligns columns, numbers to the right, and does not count colours", () => {
    const rows = [
      ["a", "\x1b[32mready\x1b[39m", "7"],
      ["long", "-", "123"],
    ];
    assert.deepEqual(tableLines(rows, [2]), ["a     \x1b[32mready\x1b[39m    7", "long  -      123"]);
  });

  it("cuts abcdef to abc… at 4 columns", () => {
    assert.equal(cut("abcdef", 4), "abc…");
    assert.equal(cut("abcd", 4), "abcd");
  });
});
