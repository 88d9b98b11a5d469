/** /v1/kv: the key-value store. Values of at most 512 KiB; sessions and locks are refused. */
import type { KeyValue } from "./key-values.ts";
import type { AgentParts } from "./parts.ts";
import { refuse } from "./refusal.ts";
import { type Call, ok, type Reply, type Route } from "./routing.ts";

/** The routes under /v1/kv. */
export function kvRoutes({ keys, settle }: AgentParts): Route[] {
  return [
    {
      method: "GET",
      path: "/v1/kv/*",
      topic: (call) => (call.query.has("recurse") || call.query.has("keys") ? "kv" : `kv:${keyOf(call)}`),
      answer: (call) => {
        const key = keyOf(call);
        if (call.query.has("keys")) return listed(folded(keys.under(key), key, call.query.get("separator") ?? ""));
        if (call.query.has("recurse")) return listed(keys.under(key).map(view));
        if (key === "") refuse(400, "Missing key name");
        const entry = keys.get(key);
        if (entry === undefined) return { status: 404 };
        return call.query.has("raw") ? raw(entry) : ok([view(entry)]);
      },
    },
    {
      method: "PUT",
      path: "/v1/kv/*",
      answer: async (call) => {
        refuseSessions(call);
        const key = keyOf(call);
        if (key === "") refuse(400, "Missing key name");
        const flags = whole(call, "flags") ?? 0;
        const did = keys.put(key, call.body.toString("base64"), flags, whole(call, "cas"));
        if (did) await settle();
        return ok(did);
      },
    },
    {
      method: "DELETE",
      path: "/v1/kv/*",
      answer: async (call) => {
        const key = keyOf(call);
        if (call.query.has("recurse")) keys.deleteUnder(key);
        else if (key === "") refuse(400, "Missing key name");
        else if (!keys.delete(key, whole(call, "cas"))) return ok(false);
        await settle();
        return ok(true);
      },
    },
  ];
}

function keyOf(call: Call): string {
  return call.params["*"] ?? "";
}

function view(entry: KeyValue) {
  const { key, value, flags, createIndex, modifyIndex } = entry;
  const Value = value === "" ? null : value;
  return { LockIndex: 0, Key: key, Flags: flags, Value, CreateIndex: createIndex, ModifyIndex: modifyIndex };
}

function listed(entries: readonly unknown[]): Reply {
  return entries.length === 0 ? { status: 404 } : ok(entries);
}

function raw(entry: KeyValue): Reply {
  // A value is anybody's bytes: a browser must not run it on this origin.
  const headers = { "Content-Type": "text/plain", "Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff" };
  return { status: 200, headers, body: Buffer.from(entry.value, "base64") };
}

/** Keys, cut after the first separator beyond the prefix, each once. */
function folded(entries: readonly KeyValue[], prefix: string, separator: string): string[] {
  const cut = ({ key }: KeyValue) => {
    const at = separator === "" ? -1 : key.indexOf(separator, prefix.length);
    return at === -1 ? key : key.slice(0, at + separator.length);
  };
  return [...new Set(entries.map(cut))];
}

function whole(call: Call, name: string): number | undefined {
  const text = call.query.get(name);
  if (text === null) return undefined;
  const number = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number))
    refuse(400, `${name}: expected a whole number, got ${JSON.stringify(text)}`);
  return number;
}

function refuseSessions(call: Call): void {
  const name = ["acquire", "release"].find((parameter) => call.query.has(parameter));
  if (name !== undefined) refuse(400, `${name}: Heddle's embedded agent does not have sessions and locks`);
}
