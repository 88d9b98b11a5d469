import { rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { messageOf } from "../failure.ts";
import type { DataFolder } from "./data-folder.ts";
import type { ProcessStatus } from "./supervisor.ts";

/** What the supervisor tells of the platform. */
export interface PlatformStatus {
  readonly pid: number;
  /** `failed`: a process did not start, and all is being stopped. */
  readonly phase: "starting" | "running" | "stopping" | "failed";
  /** Why it failed; empty otherwise. */
  readonly why: string;
  readonly startedAt: number;
  readonly data: string;
  readonly registry: { readonly address: string; readonly embedded: boolean };
  /** PostgreSQL with user and password; undefined when nothing that runs needs one, or the embedded one is not ready yet. */
  readonly postgres: { readonly url: string; readonly embedded: boolean } | undefined;
  readonly processes: readonly ProcessStatus[];
}

/** What the supervisor does when it is asked to. Each reports its steps as it takes them. */
export interface ControlActions {
  status(): PlatformStatus;
  restart(service: string, report: (step: string) => void): Promise<void>;
  scale(service: string, count: number, report: (step: string) => void): Promise<void>;
  /** Settles when everything is stopped, just before the supervisor itself ends. */
  stop(report: (step: string) => void): Promise<void>;
}

/** What is asked, one line of JSON. */
export type ControlRequest =
  | { readonly action: "status" | "stop" }
  | { readonly action: "restart"; readonly service: string }
  | { readonly action: "scale"; readonly service: string; readonly count: number };

/** One line of an answer: a step of the work, and at last its end; or the status, at once. */
export type ControlLine =
  | { readonly step: string }
  | { readonly done: true }
  | { readonly error: string }
  | { readonly status: PlatformStatus };

/**
 * Listens on the folder's control socket, which only the owner may open (0600): a ControlRequest comes as a line of JSON, ControlLines
 * go back until the work is done, and the connection ends. No HTTP: node:http would take a third of the supervisor's memory.
 */
export async function startControl(folder: DataFolder, actions: ControlActions): Promise<{ close(): Promise<void> }> {
  const server = createServer((socket) => {
    // A client that goes away does not end the work that it asked for.
    socket.on("error", () => {});
    readLine(socket, (line) => void answer(actions, line, socket));
  });
  // The lock is ours, so what stands here was left by a supervisor that died.
  rmSync(folder.controlSocket, { force: true });
  const umask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(folder.controlSocket, resolve));
  } finally {
    process.umask(umask);
  }
  return { close: () => new Promise((resolve) => server.close(() => resolve())) };
}

function readLine(socket: Socket, listener: (line: string) => void): void {
  let text = "";
  const take = (part: Buffer) => {
    text += part.toString();
    const end = text.indexOf("\n");
    if (end === -1 && text.length < 65_536) return;
    socket.off("data", take).resume();
    listener(text.slice(0, Math.max(0, end)));
  };
  socket.on("data", take);
}

async function answer(actions: ControlActions, line: string, socket: Socket): Promise<void> {
  const write = (answer: ControlLine) => socket.writable && socket.write(`${JSON.stringify(answer)}\n`);
  try {
    const request = JSON.parse(line) as ControlRequest;
    if (request.action === "status") write({ status: actions.status() });
    else {
      await perform(actions, request, (step) => write({ step }));
      write({ done: true });
    }
  } catch (error) {
    write({ error: messageOf(error) });
  }
  socket.end();
}

function perform(
  actions: ControlActions,
  request: Exclude<ControlRequest, { action: "status" }>,
  report: (step: string) => void,
): Promise<void> {
  switch (request.action) {
    case "restart":
      return actions.restart(request.service, report);
    case "scale":
      return actions.scale(request.service, request.count, report);
    case "stop":
      return actions.stop(report);
    default:
      throw new Error(`expected status, restart, scale or stop, got ${JSON.stringify(request)}`);
  }
}
