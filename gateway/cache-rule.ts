/** What a contract's option heddle.v1.cache says of a method. */
import { type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import { type Duration, durationMs, MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { CacheScope, cache } from "#gen/heddle/v1/cache_pb.ts";

/** How answers of a method may be kept. */
export interface CacheRule {
  readonly ttlMs: number;
  /** How much longer an answer may stand in for a failure. */
  readonly staleMs: number;
  /** True: one answer serves everybody. */
  readonly shared: boolean;
}

/** The rule of a method; undefined: its answers are not kept. */
export function cacheRuleOf(method: DescMethod): CacheRule | undefined {
  let rule = rules.get(method);
  if (rule === undefined) {
    rule = { value: compile(method) };
    rules.set(method, rule);
  }
  return rule.value;
}

/** What is wrong with a method's option, as a sentence without its subject. */
export function cacheMistakes(method: DescMethod): string[] {
  const rule = cacheRuleOf(method);
  if (rule === undefined) return [];
  const mistakes: string[] = [];
  if (!(rule.ttlMs > 0 && rule.ttlMs <= dayMs))
    mistakes.push(`heddle.v1.cache: expected a ttl of at most a day, got ${rule.ttlMs / 1000}s`);
  if (!(rule.staleMs >= 0 && rule.staleMs <= 30 * dayMs)) {
    mistakes.push(`heddle.v1.cache: expected a stale_if_error of at most 30 days, got ${rule.staleMs / 1000}s`);
  }
  if (method.methodKind !== "unary") mistakes.push("heddle.v1.cache: streams are not kept");
  if (method.idempotency !== MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS) {
    mistakes.push("heddle.v1.cache: expected idempotency_level NO_SIDE_EFFECTS beside it");
  }
  return mistakes;
}

const dayMs = 86_400_000;

const rules = new WeakMap<DescMethod, { readonly value: CacheRule | undefined }>();

function compile(method: DescMethod): CacheRule | undefined {
  if (!hasOption(method, cache)) return undefined;
  const { ttl, staleIfError, scope } = getOption(method, cache);
  return { ttlMs: msOf(ttl), staleMs: msOf(staleIfError), shared: scope === CacheScope.PUBLIC };
}

function msOf(duration: Duration | undefined): number {
  return duration === undefined ? 0 : durationMs(duration);
}
