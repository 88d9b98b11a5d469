/** The form of the vectors, and their reading from `vectors/*.json`. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

/** One file of vectors. */
export interface Chapter {
  /** The file's name without `.json`. */
  readonly chapter: string;
  /** What the chapter is about, in a sentence. */
  readonly about: string;
  /** How the gateway must be set; absent: as it is by default. */
  readonly gateway?: Settings;
  readonly vectors: readonly Vector[];
}

/** Settings of a gateway, by the variables that our own reads: `GATEWAY_LENIENT`. */
export type Settings = Readonly<Record<string, string>>;

/** Whether a chapter is about the lenient mode, which other gateways have too. */
export function isLenient({ gateway }: Chapter): boolean {
  return gateway?.GATEWAY_LENIENT === "true";
}

/** One request and all that must come of it, or one contract and whether a gateway must take it. */
export type Vector = RequestVector | BootVector;

interface VectorHead {
  /** Unique in the chapter. */
  readonly name: string;
  /** The rule that the vector checks, in our own words; vectors of one rule share it. */
  readonly rule: string;
  /** Where the rule comes from: `http.proto`, `ProtoJSON`, `RFC 9110` or `transcoding.md`, a colon, and the place there. */
  readonly source: string;
  /** Why our own gateway need not pass it yet: a feature to come, or `bug: ...`. */
  readonly pending?: string;
}

/** A vector of a request. */
export interface RequestVector extends VectorHead {
  readonly request: VectorRequest;
  /** What the backend answers; absent: the empty message. */
  readonly backend?: BackendScript;
  readonly expect: Expectation;
  /** What the backend must have got; null: nothing at all; absent: it does not matter. */
  readonly received?: Received | null;
}

/** A vector of rules that stop the boot, or do not. */
export interface BootVector extends VectorHead {
  readonly boot: readonly BootRule[];
  readonly refused: boolean;
  /** Texts that the refusal must hold. */
  readonly says?: readonly string[];
}

/** An rpc of `boot.v1.BootService`. */
export interface BootRule {
  readonly rpc: string;
  /** The google.api.HttpRule in ProtoJSON. */
  readonly http: JsonObject;
  /** A message of the contract's package. Default Everything. */
  readonly input?: string;
  readonly output?: string;
}

/** A text, or pieces of one. */
export type Text = string | readonly (string | Repeat)[];

/** A piece that stands there many times. */
export interface Repeat {
  readonly repeat: string;
  readonly times: number;
}

/** Bytes: a text in UTF-8, base64, or a text in a content coding. */
export type Bytes = Text | { readonly base64: string } | { readonly text: Text; readonly encoding: readonly Coding[] };

/** A content coding; `deflate-raw` is deflate without the header of zlib. */
export type Coding = "gzip" | "br" | "deflate" | "deflate-raw";

/** An HTTP/1.1 request, sent as it is. */
export interface VectorRequest {
  readonly method: string;
  readonly target: Text;
  /** `Name: value`. Host, Connection: close and Content-Length are added unless they, or Transfer-Encoding, are given. */
  readonly headers?: readonly Text[];
  readonly body?: Bytes;
  /** Sends the body chunked, in chunks of so many bytes. */
  readonly chunked?: number;
  /** Sends no Host of its own. */
  readonly noHost?: boolean;
  /** Goes away after so many milliseconds. */
  readonly abortAfterMs?: number;
}

/** What the backend does with every call. */
export interface BackendScript {
  /** Initial metadata. */
  readonly header?: Readonly<Record<string, string>>;
  /** A unary answer in ProtoJSON. */
  readonly message?: JsonValue;
  /** A unary answer as the bytes of a message, which may be none. */
  readonly base64?: string;
  /** The messages of a stream; of a unary call, where there must be one, as many as these. */
  readonly stream?: readonly JsonValue[];
  /** A message that is repeated so many times in a stream, after `stream`. */
  readonly repeat?: { readonly message: JsonValue; readonly times: number };
  /** How it ends; absent: OK. */
  readonly error?: {
    readonly code: number;
    readonly message?: string;
    /** ProtoJSON of google.protobuf.Any, or bytes under a type that nobody knows. */
    readonly details?: readonly ({ readonly type: string; readonly base64: string } | JsonObject)[];
  };
  readonly trailer?: Readonly<Record<string, string>>;
  /** Milliseconds before the first answer. */
  readonly delayMs?: number;
  /** Sends the initial metadata at once, before the delay. */
  readonly early?: boolean;
  /** Milliseconds before the end, after the last message. */
  readonly endDelayMs?: number;
  /** An answer that is no gRPC. */
  readonly http?: { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string };
  /** Breaks the call off at its end, without a status. */
  readonly reset?: boolean;
}

/** A text that is exactly so, is not there (null), has a pattern, or, if it is there at all, is without a piece. */
export type TextMatch = string | null | { readonly pattern: string } | { readonly without: string };

/** What the client must get. */
export interface Expectation {
  /** A list where the rule leaves a choice. */
  readonly status: number | readonly number[];
  readonly headers?: Readonly<Record<string, TextMatch>>;
  /** The body as JSON. */
  readonly json?: JsonValue;
  /** The body, after its content coding was undone. */
  readonly text?: Text;
  readonly base64?: string;
  readonly bodyPattern?: string;
  /** No body at all. */
  readonly empty?: boolean;
  /** A JSON value in each line. */
  readonly ndjson?: readonly JsonValue[];
  readonly events?: readonly { readonly id?: TextMatch; readonly event?: string; readonly data?: JsonValue }[];
  /** A google.rpc.Status. */
  readonly error?: {
    /** Absent where the rule gives an HTTP status alone. */
    readonly code?: number;
    readonly message?: string;
    /** The field paths of the google.rpc.BadRequest, in any order; each must be named, and no other. */
    readonly fields?: readonly string[];
    readonly details?: readonly JsonValue[];
  };
  /** The stream shows its failure with this code: in its last line or event, or by breaking off. */
  readonly failsWith?: number;
  /** As failsWith, with whatever code. */
  readonly fails?: boolean;
  /** Messages that must stand in the body before the failure. */
  readonly before?: readonly JsonValue[];
  readonly withinMs?: number;
}

/** What the backend must have got. */
export interface Received {
  /** `Service/Method`, without the package. */
  readonly rpc?: string;
  readonly message?: JsonValue;
  readonly messages?: readonly JsonValue[];
  readonly metadata?: Readonly<Record<string, TextMatch>>;
  /** Milliseconds of the deadline; null: it has none. */
  readonly deadlineMs?: { readonly min: number; readonly max: number } | null;
  /** The call was cancelled within so many milliseconds after the client went. */
  readonly cancelledWithinMs?: number;
}

/** Whether the vector is about booting. */
export function isBoot(vector: Vector): vector is BootVector {
  return "boot" in vector;
}

/**
 * Reads every chapter, in the order of their names.
 *
 * @throws Error when two vectors of a chapter have one name, or a field is none of those above.
 */
export function loadChapters(folder = join(import.meta.dirname, "../vectors")): Chapter[] {
  const chapters = readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .sort()
    .map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as Chapter);
  for (const { chapter, vectors } of chapters) check(chapter, vectors);
  return chapters;
}

function check(chapter: string, vectors: readonly Vector[]): void {
  const names = new Set<string>();
  for (const vector of vectors) {
    if (names.has(vector.name)) throw new Error(`${chapter}: two vectors are called ${JSON.stringify(vector.name)}`);
    names.add(vector.name);
    const unknown = Object.keys(vector).find((key) => !known.has(key));
    if (unknown !== undefined) throw new Error(`${chapter}: ${vector.name}: a vector has no "${unknown}"`);
  }
}

const known = new Set([
  "name",
  "rule",
  "source",
  "pending",
  "request",
  "backend",
  "expect",
  "received",
  "boot",
  "refused",
  "says",
]);
