/** What Consul has and the embedded agent has not, by the start of the path, with what to do about it. */

const missing: readonly (readonly [prefix: string, what: string])[] = [
  ["/v1/agent/connect/", "the Connect CA"],
  ["/v1/connect/", "Connect: no CA and no intentions"],
  ["/v1/health/connect/", "Connect"],
  ["/v1/catalog/connect/", "Connect"],
  ["/v1/config", "config entries"],
  ["/v1/discovery-chain/", "discovery chains"],
  ["/v1/acl/", "ACLs: every request is allowed"],
  ["/v1/session/", "sessions and locks"],
  ["/v1/txn", "transactions"],
  ["/v1/event/", "events"],
  ["/v1/query", "prepared queries"],
  ["/v1/coordinate/", "network coordinates"],
  ["/v1/operator/", "a cluster to operate"],
  ["/v1/snapshot", "snapshots: its state is one JSON file in its data folder"],
  ["/v1/agent/join/", "a cluster to join"],
  ["/v1/agent/force-leave/", "a cluster to leave"],
  ["/v1/agent/leave", "a cluster to leave: stop its process instead"],
  ["/v1/agent/reload", "a configuration to reload"],
  ["/v1/agent/monitor", "a log stream: read its log instead"],
  ["/v1/agent/metrics", "metrics"],
  ["/v1/agent/token/", "ACL tokens"],
  ["/v1/agent/host", "host information"],
];

/** A sentence for a path that Consul would know, undefined for any other. */
export function unsupportedSentence(path: string): string | undefined {
  const entry = missing.find(([prefix]) => path.startsWith(prefix));
  return entry && `Heddle's embedded agent does not have ${entry[1]}. Run a real Consul and set CONSUL_HTTP_ADDR to use it.`;
}
