/** `Expect: 100-continue` (RFC 9110, 10.1.1): a client that waits is invited to send its body when somebody is about to read it. */
import type { IncomingMessage, ServerResponse } from "node:http";

const waiting = new WeakMap<IncomingMessage, { readonly response: ServerResponse; readonly keepAlive: boolean }>();

/** Notes a client that waits. Until it is invited, its connection ends with the answer: what comes next could be body or request. */
export function holdBody(request: IncomingMessage, response: ServerResponse): void {
  waiting.set(request, { response, keepAlive: response.shouldKeepAlive });
  response.shouldKeepAlive = false;
}

/** Says 100 Continue to a client that waits for it; nothing to any other. */
export function inviteBody(request: IncomingMessage): void {
  const held = waiting.get(request);
  if (held === undefined || held.response.headersSent) return;
  waiting.delete(request);
  held.response.shouldKeepAlive = held.keepAlive;
  held.response.writeContinue();
}
