/** What a malformed request is, and how one is written. */
import type { Dice } from "./random.ts";

/** One wrong request, and what its answer must say. */
export interface Malformed {
  readonly bytes: Buffer;
  /** The statuses that it may get. */
  readonly statuses: readonly number[];
  /** What the message must hold: the field, or the rule that was broken. */
  readonly names: RegExp;
  /** True: the sending side hangs up in the middle, so there may be nobody left to answer. */
  readonly cutOff?: boolean;
}

/** Who the requests are from. */
export interface Sender {
  readonly token: string;
  readonly userId: string;
}

/** Makes one of its kind. */
export type Kind = (dice: Dice, sender: Sender) => Malformed;

/** A wrong request that is answered with one of `statuses`, by default 400. */
export function bad(bytes: Buffer, names: RegExp, ...statuses: number[]): Malformed {
  return { bytes, names, statuses: statuses.length === 0 ? [400] : statuses };
}

/** A registration with this body. */
export function register(body: string | Uint8Array, headers = "content-type: application/json"): Buffer {
  return post("/api/v1/auth/register", body, headers);
}

/** A notification to send, with this body. */
export function send(body: string, token: string): Buffer {
  return post("/api/v1/notifications:send", body, `authorization: Bearer ${token}\r\ncontent-type: application/json`);
}

/** A POST with the length of its body. */
function post(path: string, body: string | Uint8Array, headers: string): Buffer {
  return request(`POST ${path}`, `${headers}\r\ncontent-length: ${Buffer.byteLength(body)}`, body);
}

/** A GET in a user's name. */
export function get(path: string, token: string, headers = "accept: */*"): Buffer {
  return request(`GET ${path}`, `authorization: Bearer ${token}\r\n${headers}`);
}

/** Any request on a connection that ends with its answer; the head goes out as Latin-1. */
export function request(line: string, headers = "accept: */*", body: string | Uint8Array = ""): Buffer {
  const head = `${line} HTTP/1.1\r\nhost: heddle\r\nconnection: close\r\n${headers}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, "latin1"), Buffer.from(body)]);
}
