/** One POST to a URL that somebody else chose: no redirects, no private addresses, nothing without an end. */
import { lookup as dnsLookup } from "node:dns";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import type { HttpAnswer } from "./http-outcome.ts";
import { isPrivateAddress } from "./private-address.ts";

/** A POST to make. */
export interface HttpPost {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Ends the request at once. */
  readonly signal: AbortSignal;
  /** Whether addresses that are not on the public internet may be reached. */
  readonly allowPrivate: boolean;
  /** From the name lookup to the last byte that is read, in milliseconds. Default 10 seconds. */
  readonly timeoutMs?: number;
  /** Looks names up; default the system's resolver. */
  readonly lookup?: typeof dnsLookup;
}

/** The URL leads to an address that is not on the public internet. Another attempt would, too. */
export class PrivateAddressError extends Error {
  override readonly name = "PrivateAddressError";

  constructor(host: string) {
    super(`${host} is not on the public internet`);
  }
}

/** How much of an answer is read: enough for the history's detail. */
const maxAnswerBytes = 4096;

/**
 * Posts, and answers with what came: any status, none followed. The address is judged where the connection is made, after the name was
 * looked up, so that a name that changes its address between a check and the call gains nothing.
 *
 * @throws PrivateAddressError before anything is sent; any error of the network; an Error when the time is over.
 */
export function post({ url, headers, body, signal, allowPrivate, timeoutMs = 10_000, lookup }: HttpPost): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const host = url.hostname.replace(/^\[|\]$/g, "");
    // A literal address is never looked up.
    if (!allowPrivate && isIP(host) !== 0 && isPrivateAddress(host)) throw new PrivateAddressError(host);
    const request = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, {
      method: "POST",
      // Length and no chunks: some receivers know only that.
      headers: { ...headers, "content-length": String(body.length), "user-agent": "heddle-notification" },
      // A connection of its own: a kept one would have been judged for another URL.
      agent: false,
      signal,
      lookup: allowPrivate ? (lookup ?? dnsLookup) : publicOnly(lookup ?? dnsLookup),
    });
    const timer = setTimeout(() => {
      request.destroy(new Error(`no answer within ${timeoutMs / 1000} s`));
    }, timeoutMs);
    request.once("close", () => clearTimeout(timer));
    request.once("error", reject);
    request.once("response", (response) => {
      readStart(response, (text) => {
        const retryAfter = response.headers["retry-after"];
        resolve({ status: response.statusCode ?? 0, retryAfter, body: text });
        request.destroy();
      });
    });
    request.end(body);
  });
}

/** The first bytes of an answer, whether it ends, breaks off, or goes on: its status has decided already. */
function readStart(response: IncomingMessage, done: (text: string) => void): void {
  const chunks: Buffer[] = [];
  let size = 0;
  const finish = () => done(Buffer.concat(chunks).subarray(0, maxAnswerBytes).toString("utf8"));
  response.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= maxAnswerBytes) finish();
  });
  response.once("end", finish).once("error", finish).once("close", finish);
}

/** A lookup that knows only public addresses: the connection can go nowhere else. */
function publicOnly(lookup: typeof dnsLookup): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, []);
      const open = addresses.filter(({ address }) => !isPrivateAddress(address));
      const [first] = open;
      if (first === undefined) return callback(new PrivateAddressError(hostname), []);
      if (options.all === true) return callback(null, open);
      return callback(null, first.address, first.family);
    });
  };
}
