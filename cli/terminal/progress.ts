import type { InstanceState } from "../supervisor/instance-state.ts";
import type { Paint } from "./paint.ts";
import { humanDuration } from "./quantity.ts";
import { cut } from "./table.ts";

/** One process as the display shows it. */
export interface ProgressRow {
  readonly name: string;
  readonly state: InstanceState;
}

/** Where the display writes: a terminal has a size. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

/** A display of processes that start: one line each, redrawn in place, on a terminal; a line per change elsewhere. */
export interface Progress {
  /** Shows that a process changed. */
  changed(row: ProgressRow): void;
  /** A line of text, above what is redrawn. */
  note(line: string): void;
  /** Ends redrawing; what stands, stays, and later changes are lines of their own. */
  settle(): void;
}

const frameMs = 100;
const spinner = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/** Opens the display. `names` are all processes, in the order in which they are shown. */
export function openProgress(stream: ProgressStream, paint: Paint, names: readonly string[], clock = Date.now): Progress {
  const rows = new Map<string, ProgressRow>(names.map((name) => [name, { name, state: { kind: "waiting" } }]));
  let drawn = 0;
  let live = stream.isTTY === true;

  // One write per frame, and each line is overwritten before its rest is cleared: nothing is blank in between, so nothing flickers.
  const draw = (above = "") => {
    const width = stream.columns ?? 80;
    const lines = [...rows.values()].slice(0, (stream.rows ?? 24) - 2).map((row) => cut(rowLine(row, paint, clock()), width));
    const up = drawn === 0 ? "" : `\x1b[${drawn}A`;
    drawn = lines.length;
    stream.write(`${up}${above}${lines.map((line) => `\x1b[2K${line}\n`).join("")}`);
  };
  const timer = live ? setInterval(draw, frameMs) : undefined;
  if (live) stream.write("\x1b[?25l");

  return {
    changed(row) {
      const before = rows.get(row.name)?.state.kind;
      rows.set(row.name, row);
      // That a process starts is no news, and what never started does not stop either.
      const news = row.state.kind !== before && row.state.kind !== "starting" && before !== "waiting";
      if (!live && news) stream.write(`${changeLine(row, paint)}\n`);
    },
    note(line) {
      if (live) draw(`\x1b[2K${line}\n`);
      else stream.write(`${line}\n`);
    },
    settle() {
      if (!live) return;
      draw();
      live = false;
      clearInterval(timer);
      stream.write("\x1b[?25h");
    },
  };
}

/** A process's line on a terminal at time `now`. */
export function rowLine({ name, state }: ProgressRow, paint: Paint, now: number): string {
  const label = name.padEnd(16);
  switch (state.kind) {
    case "waiting":
      return paint.dim(`  · ${label} waits`);
    case "starting": {
      const turn = spinner[Math.floor(now / frameMs) % spinner.length] ?? "";
      return `  ${paint.cyan(turn)} ${label} starts   ${paint.dim(humanDuration(now - state.startedAt))}`;
    }
    case "ready":
      return `  ${paint.green("✔")} ${label} ready    ${paint.dim(humanDuration(state.readyAt - state.startedAt))}`;
    case "unready":
      return `  ${paint.yellow("!")} ${label} ${state.why}`;
    case "backoff":
      return `  ${paint.red("✖")} ${label} ${state.why}`;
    case "stopping":
      return paint.dim(`  · ${label} stops`);
    case "stopped":
      return paint.dim(`  · ${label} stopped`);
  }
}

function changeLine({ name, state }: ProgressRow, paint: Paint): string {
  switch (state.kind) {
    case "ready":
      return `${paint.green("✔")} ${name} is ready after ${humanDuration(state.readyAt - state.startedAt)}`;
    case "unready":
      return `${paint.yellow("!")} ${name} is not ready: ${state.why}`;
    case "backoff":
      return `${paint.red("✖")} ${name}: ${state.why}`;
    default:
      return `· ${name} ${state.kind === "stopping" ? "stops" : state.kind}`;
  }
}
