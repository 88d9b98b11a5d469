import { closeSync, existsSync, ftruncateSync, openSync, readSync, renameSync, rmSync, statSync, writeSync } from "node:fs";

/** How large a log file may grow, and how many older ones are kept beside it as `<file>.1` (the latest), `<file>.2`, ... */
export interface LogLimits {
  readonly maxBytes: number;
  readonly keep: number;
}

/**
 * Opens a log file to append to, for a process to inherit: it writes straight to the file, so its lines cost the supervisor
 * nothing and outlive it. The caller closes the descriptor.
 */
export function openLogFile(path: string): number {
  return openSync(path, "a", 0o600);
}

/** Writes one line of the supervisor's own into a process's log, in the form of the services' own lines. */
export function appendNote(path: string, message: string, now: number): void {
  const fd = openLogFile(path);
  try {
    writeSync(
      fd,
      `${JSON.stringify({ level: "warn", time: new Date(now).toISOString(), service: "supervisor", msg: message })}\n`,
    );
  } finally {
    closeSync(fd);
  }
}

/**
 * Starts a log over when it has grown beyond its limit. True when it did.
 *
 * The process that writes holds the file open, so the file cannot be moved away: it is copied, then emptied; the process appends
 * (O_APPEND) and so goes on at its new end. What is written while the copy runs is copied too, up to the emptying itself.
 */
export function rotate(path: string, limits: LogLimits): boolean {
  if (!existsSync(path) || statSync(path).size <= limits.maxBytes) return false;
  rmSync(`${path}.${limits.keep}`, { force: true });
  for (let n = limits.keep - 1; n >= 1; n--) {
    if (existsSync(`${path}.${n}`)) renameSync(`${path}.${n}`, `${path}.${n + 1}`);
  }
  const fd = openSync(path, "r+");
  const copy = openSync(`${path}.1`, "w", 0o600);
  try {
    moveBytes(fd, copy);
  } finally {
    closeSync(copy);
    closeSync(fd);
  }
  return true;
}

function moveBytes(from: number, to: number): void {
  const buffer = Buffer.allocUnsafe(1 << 20);
  let position = 0;
  for (let read = -1; read !== 0; position += read) {
    read = readSync(from, buffer, 0, buffer.length, position);
    writeSync(to, buffer, 0, read);
  }
  ftruncateSync(from, 0);
}
