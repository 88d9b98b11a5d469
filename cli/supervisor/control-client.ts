import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { Failure } from "../failure.ts";
import type { ControlLine, ControlRequest, PlatformStatus } from "./control-server.ts";
import type { DataFolder } from "./data-folder.ts";

/** The status of the platform on the folder; undefined when none runs. */
export async function platformStatus(folder: DataFolder): Promise<PlatformStatus | undefined> {
  for await (const line of ask(folder, { action: "status" })) {
    if ("status" in line) return line.status;
  }
  return undefined;
}

/**
 * Has the supervisor do something, and settles when it is done.
 *
 * @throws Failure when no platform runs, when the supervisor could not do it, and when it ended over it.
 */
export async function control(folder: DataFolder, request: ControlRequest, report: (step: string) => void): Promise<void> {
  let heard = false;
  for await (const line of ask(folder, request)) {
    heard = true;
    if ("step" in line) report(line.step);
    else if ("error" in line) throw new Failure(line.error);
    else return;
  }
  throw new Failure(heard ? "the supervisor ended before it was done" : "the platform is not running: start it with `heddle up`");
}

/** The lines of the answer; none when nobody listens. */
async function* ask(folder: DataFolder, request: ControlRequest): AsyncIterable<ControlLine> {
  const socket = await open(folder);
  if (socket === undefined) return;
  // A supervisor that is killed resets the connection, which says no more than its end.
  socket.on("error", () => {});
  try {
    socket.write(`${JSON.stringify(request)}\n`);
    for await (const line of createInterface({ input: socket })) yield JSON.parse(line) as ControlLine;
  } finally {
    socket.destroy();
  }
}

function open(folder: DataFolder): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(folder.controlSocket, () => resolve(socket));
    socket.once("error", (error: NodeJS.ErrnoException) => {
      // No socket, or one whose supervisor died: nothing runs.
      if (error.code === "ENOENT" || error.code === "ECONNREFUSED") resolve(undefined);
      else reject(error);
    });
  });
}
