/** Step 5, around the call: its precondition, the cache before it, and what was selected of its answer. */
import type { Message } from "@bufbuild/protobuf";
import { cacheOwner, type Identity } from "./authenticate.ts";
import type { Duties } from "./duties.ts";
import type { Exchange } from "./exchange.ts";
import { type Answer, type Call, isMany } from "./forward.ts";
import { explainPrecondition, noteEntityTag, passPrecondition, refusePrecondition } from "./precondition.ts";
import type { Route } from "./routes.ts";
import { type Selection, select } from "./selection.ts";

/** One request that has become a message, or messages as they come. */
export interface Question {
  readonly exchange: Exchange;
  readonly route: Route;
  readonly message: Message | AsyncIterable<Message>;
  readonly who: Identity;
  readonly call: Call;
  readonly selection: Selection;
}

/** The answer to the request, from the backend or from memory. @throws what Call.forward does; 412 for a precondition. */
export async function ask({ cache, stats }: Pick<Duties, "cache" | "stats">, question: Question): Promise<Answer> {
  const { exchange, route, message, who, call, selection } = question;
  const principal = who.own ? undefined : who.principal;
  const fetch = () => stats.call(route.method.parent.typeName, () => call.forward(message, principal));
  if (isMany(message)) {
    refusePrecondition(exchange.request);
    const answer = await fetch();
    noteEntityTag(exchange, route, answer);
    return select(selection, route, answer);
  }
  const conditional = passPrecondition(route, exchange.request, message);
  const owner = cacheOwner(who, exchange.request.headers);
  try {
    const answer = await cache.answer({ exchange, route, message, owner, signal: call.signal, fetch });
    noteEntityTag(exchange, route, answer);
    return select(selection, route, answer);
  } catch (error) {
    throw explainPrecondition(call.explain(error), conditional);
  }
}
