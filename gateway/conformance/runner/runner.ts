/** Runs vectors against a gateway: any that answers at a URL, with the recording backend behind it. */
import { setTimeout as sleep } from "node:timers/promises";
import type { RecordingBackend } from "./backend.ts";
import { checkAnswer, checkReceived } from "./check.ts";
import { bootImage, type Contract } from "./contract.ts";
import { sendRaw } from "./raw-http.ts";
import { type BootVector, type Chapter, isBoot, type RequestVector, type Vector } from "./vector.ts";

/** A gateway under test. */
export interface Target {
  /** `http://host:port` of the gateway; undefined when it could not be started. */
  readonly url: URL | undefined;
  readonly backend: RecordingBackend;
  readonly contract: Contract;
  /** Tries to boot over an image: the reason of the refusal, or undefined when it boots. Absent: such vectors are skipped. */
  readonly boot?: (image: Uint8Array) => Promise<string | undefined>;
}

/** How one vector went. */
export interface Outcome {
  readonly vector: Vector;
  readonly chapter: string;
  /** What differed; empty: it passed. */
  readonly differences: readonly string[];
}

/** Runs every vector of the chapters, one after the other, each chapter against the target that `choose` gives for it. */
export async function runChapters(
  chapters: readonly Chapter[],
  choose: (chapter: Chapter) => Promise<Target> | Target,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const chapter of chapters) {
    const target = await choose(chapter);
    for (const vector of chapter.vectors) {
      const differences = await runVector(target, vector);
      outcomes.push({ vector, chapter: chapter.chapter, differences });
    }
  }
  return outcomes;
}

/** Runs one vector; answers what differed. */
export function runVector(target: Target, vector: Vector): Promise<string[]> {
  return isBoot(vector) ? runBoot(target, vector) : runRequest(target, vector);
}

async function runRequest({ url, backend }: Target, vector: RequestVector): Promise<string[]> {
  if (url === undefined) return ["the gateway does not run"];
  await calm(url, backend, vector);
  backend.play(vector.backend);
  const answer = await sendRaw(url, vector.request);
  const { received } = vector;
  const cancellation = received?.cancelledWithinMs;
  if (cancellation !== undefined) await until(() => backend.calls.at(-1)?.cancelledAt !== undefined, cancellation + 1000);
  const ofAnswer = vector.request.abortAfterMs === undefined ? checkAnswer(vector.expect, answer) : [];
  return [...ofAnswer, ...(received === undefined ? [] : checkReceived(received, backend.calls, answer.leftAt))];
}

/** Codes that circuit breakers count: a row of vectors about them would open one, and rightly so. */
const counted = new Set([2, 4, 8, 13, 14, 15]);

/** Good calls before one that fails, so that no breaker opens. */
async function calm(url: URL, backend: RecordingBackend, { backend: script, request }: RequestVector): Promise<void> {
  const error = script?.error?.code ?? 0;
  const fails =
    counted.has(error) || error > 16 || script?.reset === true || script?.http !== undefined || script?.delayMs !== undefined;
  if (!fails && request.abortAfterMs === undefined) return;
  backend.play(undefined);
  for (let count = 0; count < 3; count++) await sendRaw(url, { method: "GET", target: "/v1/calm" });
}

async function runBoot({ boot, contract }: Target, vector: BootVector): Promise<string[]> {
  if (boot === undefined) return ["the gateway has no way to try a boot"];
  const reason = await boot(bootImage(contract, vector.boot));
  if (!vector.refused) return reason === undefined ? [] : [`boot: expected it to be taken, got ${reason}`];
  if (reason === undefined) return ["boot: expected a refusal, got none"];
  return (vector.says ?? [])
    .filter((text) => !reason.includes(text))
    .map((text) => `boot: expected ${JSON.stringify(text)} in: ${reason}`);
}

async function until(condition: () => boolean, ms: number): Promise<void> {
  const end = performance.now() + ms;
  while (!condition() && performance.now() < end) await sleep(5);
}
