/** The audit log's share of a request that was refused here. */
import { ConnectError } from "@connectrpc/connect";
import { refusalOf } from "#mesh/identity/refusal.ts";
import type { RefusalReporter } from "#mesh/identity/refusal-reporter.ts";
import type { Exchange } from "./exchange.ts";

/**
 * Reports how `exchange` ended when the gateway refused it for who sent it: a bad or revoked token, an access rule. What a
 * service refused, or auth when it was asked about an API key, has been recorded there.
 */
export function reportRefusal(reporter: Pick<RefusalReporter, "report"> | undefined, exchange: Exchange): void {
  const { error, rpc, route, principal, sessionId } = exchange;
  if (reporter === undefined || !(error instanceof ConnectError)) return;
  const refusal = refusalOf(error, { name: rpc || route, principal: { id: principal, sessionId } });
  if (refusal !== undefined) reporter.report(refusal, exchange);
}
