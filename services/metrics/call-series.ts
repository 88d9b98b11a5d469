/** Histograms of calls: one for each method and each way in which calls end. */
import { FormatError } from "./sample-key.ts";

/** Whether a histogram is one of calls, which are no measures. */
export function isOfCalls(family: string): boolean {
  return families.has(family);
}

/** Which calls a histogram is of; undefined when it is of something else, or of calls that are not counted. */
export function callOf(
  family: string,
  labels: ReadonlyMap<string, string>,
): { readonly method: string; readonly outcome: string } | undefined {
  const names = families.get(family);
  if (names === undefined) return undefined;
  const method = names.method.map((label) => labels.get(label) ?? "").join(" ");
  const outcome = labels.get(names.outcome) ?? "";
  if (method.trim() === "" || uncounted.test(method)) return undefined;
  return { method: method.slice(0, 300), outcome: /^[A-Z][A-Z_0-9]{0,30}$|^[1-5]\d\d$/.test(outcome) ? outcome : "OTHER" };
}

/** The histograms that mesh and gateway keep of the calls that they answer (gRFC A66, and OpenTelemetry's of HTTP). */
const families: ReadonlyMap<string, { readonly method: readonly string[]; readonly outcome: string }> = new Map([
  ["grpc_server_call_duration_seconds", { method: ["grpc_method"], outcome: "grpc_status" }],
  [
    "http_server_request_duration_seconds",
    { method: ["http_request_method", "http_route"], outcome: "http_response_status_code" },
  ],
]);

/** What the registry and people's tools ask of every process says nothing of its work. */
const uncounted = /^grpc\.(health|reflection)\./;

/** Buckets of one histogram, those of all instances together. */
const maxBuckets = 200;

/** Where the parts of one histogram are among the values of a reading. */
export class CallSeries {
  readonly method: string;
  readonly outcome: string;
  #bounds: readonly number[] = [];
  #indexes: readonly number[] = [];
  /** -1 until it was seen. */
  count = -1;
  sum = -1;
  /** Of the bucket of everything. */
  all = -1;

  constructor(method: string, outcome: string) {
    this.method = method;
    this.outcome = outcome;
  }

  /** The finite bounds that any instance has, ascending. */
  get bounds(): readonly number[] {
    return this.#bounds;
  }

  /** Where the bucket of each of the bounds is. */
  get indexes(): readonly number[] {
    return this.#indexes;
  }

  /** Whether a part is already at `index`. */
  has(part: string, le: number | undefined, index: number): boolean {
    if (part === "_count") return this.count === index;
    if (part === "_sum") return this.sum === index;
    if (le === Number.POSITIVE_INFINITY) return this.all === index;
    return this.#indexes[this.#bounds.indexOf(le ?? Number.NaN)] === index;
  }

  /** Says where a part is. @throws FormatError for a second bucket of the same bound. */
  put(part: string, le: number | undefined, index: number): void {
    if (part === "_count") this.count = index;
    else if (part === "_sum") this.sum = index;
    else if (le === Number.POSITIVE_INFINITY) this.all = index;
    else if (le !== undefined && !this.has(part, le, index)) {
      if (this.#bounds.length === maxBuckets) throw new FormatError(0, `expected at most ${maxBuckets} buckets of calls`);
      if (this.#bounds.includes(le)) throw new FormatError(0, `there is another bucket with le = ${le}`);
      const at = this.#bounds.filter((bound) => bound < le).length;
      this.#bounds = this.#bounds.toSpliced(at, 0, le);
      this.#indexes = this.#indexes.toSpliced(at, 0, index);
    }
  }
}
