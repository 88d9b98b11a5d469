/** One server's contracts, by gRPC reflection (https://github.com/grpc/grpc/blob/master/doc/server-reflection.md). */
import { fromBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { Connection } from "#mesh/net/connection.ts";
import { ownFiles } from "./own-files.ts";
import { type ReflectionQuestion, ReflectionStream } from "./reflection-stream.ts";
import { repair } from "./repair.ts";
import { referencesOf, resolveReference, symbolsOf } from "./symbols.ts";

/** What a server told. */
export interface Reflected {
  /** The full names of its services. */
  readonly services: readonly string[];
  /** The files of those services and all that they import. */
  readonly files: readonly FileDescriptorProto[];
}

/**
 * Asks the server at `address` (host:port) for its contracts.
 *
 * @param services the full names of those that matter; undefined: all that it lists but for gRPC's own
 * @param signal gives up
 * @throws ConnectError: UNAVAILABLE, UNIMPLEMENTED for a server without reflection, NOT_FOUND for a service that it does not
 *   know, INTERNAL for answers that are none.
 */
export async function reflect(address: string, services: readonly string[] | undefined, signal: AbortSignal): Promise<Reflected> {
  const connection = new Connection(address);
  try {
    using stream = new ReflectionStream(connection, signal);
    const wanted = services ?? (await listed(stream));
    const files = new Map<string, FileDescriptorProto>();
    for (const symbol of wanted) await fetchFiles(stream, { case: "fileContainingSymbol", value: symbol }, files);
    for (const name of missing(files)) await fetchImport(stream, name, files);
    await settle(stream, files);
    return { services: wanted, files: [...files.values()] };
  } finally {
    connection.destroy();
  }
}

async function listed(stream: ReflectionStream): Promise<string[]> {
  const answer = await stream.ask({ case: "listServices", value: "*" });
  const names = answer.case === "listServicesResponse" ? answer.value.service.map(({ name }) => name) : [];
  return names.filter((name) => !name.startsWith("grpc."));
}

/** Some servers answer with a file's imports too, others wait to be asked for each. */
async function fetchFiles(
  stream: ReflectionStream,
  question: ReflectionQuestion,
  files: Map<string, FileDescriptorProto>,
): Promise<void> {
  const answer = await stream.ask(question);
  if (answer.case !== "fileDescriptorResponse") return;
  for (const bytes of answer.value.fileDescriptorProto) {
    const file = fromBinary(FileDescriptorProtoSchema, bytes);
    // What came before may be settled already.
    if (files.has(file.name)) continue;
    repair(file);
    files.set(file.name, file);
  }
}

async function fetchImport(stream: ReflectionStream, name: string, files: Map<string, FileDescriptorProto>): Promise<void> {
  try {
    await fetchFiles(stream, { case: "fileByFilename", value: name }, files);
  } catch (error) {
    const { code, rawMessage } = ConnectError.from(error);
    throw new ConnectError(`import ${JSON.stringify(name)}: ${rawMessage}`, code);
  }
  if (!files.has(name)) throw new ConnectError(`import ${JSON.stringify(name)}: the server does not answer with that file`);
}

/**
 * Settles what files leave open: @grpc/reflection of Node serves them without imports, and with names that are relative to their
 * scope.
 */
async function settle(stream: ReflectionStream, files: Map<string, FileDescriptorProto>): Promise<void> {
  const definedIn = new Map([...ownFiles.values()].flatMap((file) => symbolsOf(file).map((symbol) => [symbol, file.name])));
  const indexed = new Set<FileDescriptorProto>();
  const index = (): void => {
    for (const file of files.values()) {
      if (!indexed.has(file) && !ownFiles.has(file.name)) for (const symbol of symbolsOf(file)) definedIn.set(symbol, file.name);
      indexed.add(file);
    }
  };
  // Files that are fetched in the loop are set in the map, and so come up in it.
  for (const file of files.values()) {
    if (ownFiles.has(file.name)) continue;
    index();
    for (const reference of referencesOf(file)) {
      if (resolveReference(reference, definedIn) === undefined) {
        await fetchFiles(stream, { case: "fileContainingSymbol", value: reference.name.replace(/^\./, "") }, files);
        index();
      }
      const symbol = resolveReference(reference, definedIn);
      const from = symbol === undefined ? undefined : definedIn.get(symbol);
      if (symbol === undefined || from === undefined) throw unresolved(reference.name, file.name);
      reference.settle(symbol);
      if (from !== file.name && !file.dependency.includes(from)) file.dependency.push(from);
    }
  }
}

function unresolved(name: string, file: string): ConnectError {
  return new ConnectError(`${JSON.stringify(file)} refers to ${name}, which the server does not tell of`, Code.Internal);
}

/** Imports that are not there yet; each one that arrives may bring more. Those of the gateway's own need no asking. */
function* missing(files: ReadonlyMap<string, FileDescriptorProto>): Generator<string> {
  // A Map's iteration goes on to what is set meanwhile.
  for (const file of files.values()) {
    for (const name of file.dependency) if (!files.has(name) && !ownFiles.has(name)) yield name;
  }
}
