/** UploadFile: a stream of messages to one file. */
import type { UploadFileRequest } from "#gen/etl/v1/etl_pb.ts";
import { invalidArgument } from "#mesh/errors.ts";
import type { FileFormat } from "./job.ts";
import { formatNames, nameOf } from "./messages.ts";
import { callerKey, ownerOf, type Who } from "./ownership.ts";
import { type ReceiveParts, receive } from "./receive.ts";
import type { Upload } from "./upload-store.ts";

/** Takes an upload to its end. */
export type UploadHandler = (requests: AsyncIterable<UploadFileRequest>, who: Who) => Promise<Upload>;

/** The handler of UploadFile. */
export function uploadHandler(parts: ReceiveParts): UploadHandler {
  return async (requests, who) => {
    const messages = requests[Symbol.asyncIterator]();
    try {
      const { value: first } = await messages.next();
      if (first === undefined) throw wrong("", "expected a message, got none");
      const { requestId, userId, fileName, format, content } = first as UploadFileRequest;
      const incoming = {
        caller: callerKey(who),
        requestId: requestId === "" ? undefined : requestId.toLowerCase(),
        userId: ownerOf(who, userId),
        fileName: fileName.toWellFormed(),
        format: nameOf(formatNames, format) ?? formatOf(fileName, content?.contentType ?? ""),
      };
      return await receive(parts, incoming, bytesOf(first as UploadFileRequest, messages));
    } finally {
      // Whatever was not read is not wanted.
      void messages.return?.().catch(() => undefined);
    }
  };
}

async function* bytesOf(first: UploadFileRequest, rest: AsyncIterator<UploadFileRequest>): AsyncGenerator<Uint8Array> {
  if (first.content !== undefined) yield first.content.data;
  for (let at = 1; ; at++) {
    const { value: message, done } = await rest.next();
    if (done === true) return;
    const { requestId, userId, fileName, format, content } = message as UploadFileRequest;
    if (requestId !== "" || userId !== "" || fileName !== "" || format !== 0) {
      throw wrong("", `expected only content in messages behind the first, got more in that of index ${at}`);
    }
    if (content !== undefined) yield content.data;
  }
}

const byEnding: Readonly<Record<string, FileFormat>> = {
  csv: "csv",
  tsv: "csv",
  json: "json",
  ndjson: "ndjson",
  jsonl: "ndjson",
  parquet: "parquet",
};

const byType: Readonly<Record<string, FileFormat>> = {
  "text/csv": "csv",
  "text/tab-separated-values": "csv",
  "application/csv": "csv",
  "application/json": "json",
  "application/x-ndjson": "ndjson",
  "application/ndjson": "ndjson",
  "application/jsonl": "ndjson",
  "application/vnd.apache.parquet": "parquet",
};

/** What a file is by its name, else by its type. @throws INVALID_ARGUMENT naming format */
export function formatOf(fileName: string, contentType: string): FileFormat {
  const ending = /\.([a-z]+)$/i.exec(fileName)?.[1]?.toLowerCase() ?? "";
  const type = contentType.split(";")[0]?.trim().toLowerCase() ?? "";
  const format =
    (Object.hasOwn(byEnding, ending) ? byEnding[ending] : undefined) ?? (Object.hasOwn(byType, type) ? byType[type] : undefined);
  if (format !== undefined) return format;
  throw wrong("format", "expected a format, since neither the file's name nor its content type tells it");
}

function wrong(field: string, description: string) {
  return invalidArgument([{ field, description }]);
}
