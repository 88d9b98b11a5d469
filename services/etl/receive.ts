/** An upload: bytes from a stream into a file, no faster than the disk takes them, and no more of them than there is room for. */
import { createHash, randomUUID } from "node:crypto";
import { open } from "node:fs/promises";
import type { Logger } from "pino";
import { runWithoutContext } from "#mesh/context.ts";
import { aborted, alreadyExists, deadlineExceeded, invalidArgument, resourceExhausted } from "#mesh/errors.ts";
import type { Database } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import type { Folder } from "./folder.ts";
import type { FileFormat } from "./job.ts";
import { complete, countUploads, dropBroken, findUpload, getUpload, grow, insertUpload, keptBytes, type Upload } from "./upload-store.ts";

/** What uploads work with. */
export interface ReceiveParts {
  readonly db: Database;
  readonly folder: Folder;
  readonly log: Logger;
  readonly clock: () => number;
  readonly leaseMs: number;
  readonly uploadTimeoutMs: number;
  readonly retentionMs: number;
  readonly maxUploadBytes: number;
  readonly maxUserBytes: number;
  readonly maxDiskBytes: number;
}

/** Which file comes. */
export interface Incoming {
  readonly caller: string;
  readonly requestId: string | undefined;
  readonly userId: string;
  readonly fileName: string;
  readonly format: FileFormat;
}

/** Uploads that one user may have. */
const maxUploads = 1000;

/** How many bytes come between two looks at the room that is left. */
const lookEvery = 16 * 2 ** 20;

/**
 * Takes a file to its end. One that breaks off leaves nothing.
 *
 * @throws RESOURCE_EXHAUSTED when there is no room; ABORTED while the request id is being uploaded elsewhere; ALREADY_EXISTS when it
 * was another file; what `bytes` throws.
 */
export async function receive(parts: ReceiveParts, incoming: Incoming, bytes: AsyncIterable<Uint8Array>): Promise<Upload> {
  const { db, folder, log, clock, leaseMs } = parts;
  const begun = await begin(parts, incoming);
  if ("done" in begun) return begun.done;
  const { id, leaseId } = begun;
  const path = folder.uploadFile(id);
  let size = 0;
  let lost = false;
  // While the database is away there is nobody either who could take the lease.
  const renewal = async () => {
    lost = !(await grow(db, id, leaseId, size, clock() + leaseMs));
  };
  const beat = setInterval(
    () => runWithoutContext(renewal).catch((err: unknown) => log.debug({ err, upload: id }, "cannot renew a lease")),
    leaseMs / 3,
  );
  try {
    const file = await open(path, "wx");
    try {
      const hash = createHash("sha256");
      let looked = 0;
      for await (const some of inTime(bytes, parts.uploadTimeoutMs)) {
        if (lost) throw aborted("the upload was given up meanwhile, since this process was not heard of in time: upload it again");
        size += some.length;
        if (size > parts.maxUploadBytes) throw tooLarge(`an upload has at most ${parts.maxUploadBytes} bytes`);
        hash.update(some);
        await writeAll(file, some);
        if (size - looked < lookEvery) continue;
        looked = size;
        await assertRoom(parts, incoming.userId, id, leaseId, size);
      }
      if (size === 0) throw invalidArgument([{ field: "content", description: "expected bytes, got none" }]);
      await assertRoom(parts, incoming.userId, id, leaseId, size);
      await file.sync();
      // Nobody takes the file back: it is recorded although the caller may just have gone.
      const recorded = await runWithoutContext(() => complete(db, id, leaseId, size, hash.digest("hex")));
      if (!recorded) throw aborted("the upload was given up meanwhile: upload it again");
    } finally {
      await file.close();
    }
  } catch (error) {
    await folder.removeUpload(id).catch((err: unknown) => log.warn({ err, upload: id }, "cannot delete a file; the sweeper will"));
    await runWithoutContext(() => dropBroken(db, id, leaseId)).catch((err: unknown) =>
      log.warn({ err, upload: id }, "cannot forget an upload that broke off; its lease will end"),
    );
    throw error;
  } finally {
    clearInterval(beat);
  }
  const upload = await getUpload(db, id);
  if (upload === undefined) throw aborted("the upload was deleted meanwhile");
  log.info({ upload: id, bytes: size, format: incoming.format }, "received a file");
  return upload;
}

async function begin(parts: ReceiveParts, incoming: Incoming): Promise<{ id: string; leaseId: string } | { done: Upload }> {
  const { db, folder, clock, leaseMs, retentionMs } = parts;
  const now = clock();
  const id = uuidv7(now);
  const leaseId = randomUUID();
  if ((await countUploads(db, incoming.userId)) >= maxUploads) {
    throw tooLarge(`a user has at most ${maxUploads} uploads: delete some`);
  }
  const times = { createTime: now, expireTime: now + retentionMs, leaseUntil: now + leaseMs };
  if (await insertUpload(db, { ...incoming, ...times, id, leaseId, folder: folder.id })) return { id, leaseId };
  const before = await findUpload(db, incoming.caller, incoming.requestId ?? "");
  const same = before?.userId === incoming.userId && before.fileName === incoming.fileName && before.format === incoming.format;
  if (before !== undefined && !same) throw alreadyExists(`request_id ${JSON.stringify(incoming.requestId)} came before with another file`);
  if (before?.complete) return { done: before };
  throw aborted(`request_id ${JSON.stringify(incoming.requestId)} is being uploaded in another call`);
}

async function assertRoom(parts: ReceiveParts, userId: string, id: string, leaseId: string, size: number): Promise<void> {
  const { db, folder, clock, leaseMs, maxUserBytes, maxDiskBytes } = parts;
  await grow(db, id, leaseId, size, clock() + leaseMs);
  const kept = await keptBytes(db, userId, folder.id);
  if (kept.user > maxUserBytes) throw tooLarge(`a user's uploads and outputs have at most ${maxUserBytes} bytes: delete some`);
  if (kept.folder > maxDiskBytes) throw tooLarge("there is no room for the upload now");
}

function tooLarge(message: string) {
  return resourceExhausted(message, 60_000);
}

async function writeAll(file: { write(bytes: Uint8Array, offset: number): Promise<{ bytesWritten: number }> }, bytes: Uint8Array) {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
}

/** The items, as long as no more than `idleMs` pass before the next. */
async function* inTime<T>(items: AsyncIterable<T>, idleMs: number): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]();
  let finished = false;
  try {
    for (;;) {
      const next = iterator.next();
      // Lost races must not count as unhandled.
      next.catch(() => undefined);
      const late = Promise.withResolvers<never>();
      const timer = setTimeout(() => late.reject(deadlineExceeded(`nothing came for ${idleMs / 1000} s`)), idleMs);
      const result = await Promise.race([next, late.promise]).finally(() => clearTimeout(timer));
      if (result.done === true) {
        finished = true;
        return;
      }
      yield result.value;
    }
  } finally {
    // Not awaited: a stream that hangs would not answer this either.
    if (!finished) void iterator.return?.().catch(() => undefined);
  }
}
