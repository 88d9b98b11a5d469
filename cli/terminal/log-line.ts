import type { Paint } from "./paint.ts";

/** One line of a log: when it was written, in milliseconds since the epoch (undefined for text that is no JSON), and the line. */
export interface LogLine {
  readonly time: number | undefined;
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>> | undefined;
}

/** Reads a line of pino's NDJSON; a line of anything else stays as it is. */
export function parseLogLine(text: string): LogLine {
  try {
    const fields: unknown = JSON.parse(text);
    if (typeof fields !== "object" || fields === null || Array.isArray(fields))
      return { time: undefined, text, fields: undefined };
    const record = fields as Record<string, unknown>;
    const time = typeof record.time === "number" ? record.time : Date.parse(String(record.time));
    return { time: Number.isNaN(time) ? undefined : time, text, fields: record };
  } catch {
    return { time: undefined, text, fields: undefined };
  }
}

type Colour = "dim" | "green" | "yellow" | "red";

/** Levels by pino's numbers and by the names that Heddle's logs write. */
const levels: ReadonlyMap<string, readonly [label: string, colour: Colour]> = new Map(
  (
    [
      ["10", "trace", "dim"],
      ["20", "debug", "dim"],
      ["30", "info", "green"],
      ["40", "warn", "yellow"],
      ["50", "error", "red"],
      ["60", "fatal", "red"],
    ] as const
  ).flatMap(([number, label, colour]) => [
    [number, [label, colour]],
    [label, [label, colour]],
  ]),
);

/** What is not repeated behind the message: it stands in front, or says nothing to a person. */
const hidden = new Set(["level", "time", "pid", "hostname", "service", "instance", "msg", "v"]);

/** A line for a person: time of day, level, process, message, then the other fields as `name=value`, an error's stack below. */
export function prettyLogLine(line: LogLine, process: string, paint: Paint): string {
  const { fields } = line;
  const name = paint.cyan(process.padEnd(16));
  if (fields === undefined) return `${" ".repeat(12)}       ${name} ${printable(line.text)}`;
  const [label, colour] = levels.get(String(fields.level)) ?? [printable(String(fields.level ?? "")), "dim"];
  const error =
    typeof fields.err === "object" && fields.err !== null ? (fields.err as { stack?: unknown; message?: unknown }) : undefined;
  const rest = Object.entries(fields)
    .filter(([key]) => !hidden.has(key) && !(key === "err" && error !== undefined))
    .map(
      ([key, value]) =>
        paint.dim(`${printable(key)}=`) + (typeof value === "string" ? quoted(value) : printable(JSON.stringify(value))),
    );
  const words = [timeOfDay(line.time), paint[colour](label.padEnd(5)), name, printable(String(fields.msg ?? "")), ...rest];
  const stack = error === undefined ? "" : `\n${stackOf(error).replaceAll(/^/gm, "    ")}`;
  return words.filter((word) => word !== "").join(" ") + stack;
}

function timeOfDay(time: number | undefined): string {
  if (time === undefined) return "";
  const date = new Date(time);
  const pad = (value: number, width = 2) => String(value).padStart(width, "0");
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}.${pad(date.getMilliseconds(), 3)}`;
}

function quoted(value: string): string {
  return printable(/^[^\s"=]+$/.test(value) ? value : JSON.stringify(value));
}

function stackOf({ stack, message }: { readonly stack?: unknown; readonly message?: unknown }): string {
  return String(stack ?? message ?? "")
    .split("\n")
    .map(printable)
    .join("\n");
}

/**
 * The text with control characters as escapes: what a stranger had written to the log must not drive the terminal. So too the marks that
 * turn the direction of writing, by which a line can read as another.
 */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, (mark) =>
    mark === "\t" ? mark : `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
