import { setTimeout as sleep } from "node:timers/promises";
import type { CommandContext } from "../command-context.ts";
import { Narrator } from "../demo/narrator.ts";
import { asOperator } from "../demo/operator.ts";
import { bringBack, kill, takeDown } from "../demo/outage.ts";
import { eventually, newUser, type PlatformUser, type RestAnswer, told } from "../demo/platform-user.ts";
import { Failure } from "../failure.ts";

/** Milliseconds within which a call that cannot succeed must say so. */
const fastMs = 1000;
/** A minute of room temperature, twice a second: nothing is wrong with it. */
const samples = Array.from({ length: 120 }, (_, i) => 21 + 0.0005 * ((i * 7919) % 13));

/**
 * `heddle demo resilience`: kills auth, events and the database of the running platform one after another, shows what callers see, brings them
 * back, and shows that nothing was lost. 1 when a promise did not hold; what was taken down is brought back in any case.
 */
export async function demoResilience(context: CommandContext): Promise<number> {
  const story = new Narrator(context);
  const user = await newUser(context, "demo", ["auth", "sensor", "events"]);
  const tests: string[] = [];
  story.say(`${user.email} has registered and signed in.`);

  await story.promise("a sensor test is judged", async () => judged(user, tests));
  await withoutAuth(context, story, user, tests);
  await withoutEvents(context, story, user, tests);
  await withoutDatabase(context, story, user, tests);

  story.chapter("Afterwards: what was lost?");
  await story.promise("every test is there, with its verdict", async () => {
    for (const id of tests) {
      const { body } = await eventually(`test ${id}`, () => user.ask("GET", `/api/v1/tests/${id}`), isJudged);
      if (body.id !== id) throw new Failure(`test ${id} came back as ${body.id}`);
    }
    return `${tests.length} tests`;
  });
  await story.promise("every verdict is among the events, once", async () => {
    const keys = await verdicts(context, tests);
    const twice = tests.filter((id) => keys.filter((key) => key === id).length !== 1);
    if (twice.length > 0) throw new Failure(`not exactly once: ${twice.join(", ")}`);
    return `${tests.length} events`;
  });
  return story.end();
}

async function withoutAuth(context: CommandContext, story: Narrator, user: PlatformUser, tests: string[]): Promise<void> {
  story.chapter("auth is killed, and kept down.");
  story.say(`killed ${(await takeDown(context, "auth")).join(", ")} (SIGKILL)`);
  try {
    await story.promise("sensor tests go on with the signed token, and say that it could not be checked fully", async () => {
      const started = await user.want("POST", "/api/v1/sensors/temperature/tests", { samples, sampleRateHz: 2 });
      tests.push(started.id);
      if (started.degraded !== true) throw new Failure(`degraded is ${started.degraded}`);
      return "degraded: true";
    });
    await story.promise("a token that nobody signed is refused all the same", async () => {
      const forged = `${user.token.slice(0, -8)}AAAAAAAA`;
      return expectStatus(await user.ask("GET", "/api/v1/tests", undefined, forged), 401);
    });
    await story.promise("what needs auth itself answers 503 fast, with Retry-After", async () =>
      fastRefusal(await user.ask("GET", "/api/v1/auth/me")),
    );
    await story.promise("the breaker over auth opens", async () => {
      for (let i = 0; i < 30; i++) await user.ask("GET", "/api/v1/auth/me");
      return breakerIs(user, "auth", (state) => state !== "CLOSED");
    });
  } finally {
    await bringBack(context, "auth");
    story.say("auth is back");
  }
  await story.promise("people are known again, and the breaker closes", async () => {
    await eventually(
      "GET /api/v1/auth/me",
      () => user.ask("GET", "/api/v1/auth/me"),
      ({ status }) => status === 200,
    );
    return breakerIs(user, "auth", (state) => state === "CLOSED");
  });
}

async function withoutEvents(context: CommandContext, story: Narrator, user: PlatformUser, tests: string[]): Promise<void> {
  story.chapter("events is killed, and kept down.");
  story.say(`killed ${(await takeDown(context, "events")).join(", ")} (SIGKILL)`);
  try {
    for (let i = 0; i < 3; i++)
      await story.promise("a sensor test is judged, its event waits in the outbox", () => judged(user, tests));
    await story.promise(
      "an event that somebody publishes is refused fast: nobody says that it is safe when it is not",
      async () => fastRefusal(await user.ask("POST", "/api/v1/events", { key: user.id, type: "demo.shown", data: {} })),
    );
  } finally {
    await bringBack(context, "events");
    story.say("events is back");
  }
  await story.promise("events are taken again", async () => {
    const publish = () => user.ask("POST", "/api/v1/events", { key: user.id, type: "demo.shown", data: {} });
    const { body } = await eventually("POST /api/v1/events", publish, ({ status }) => status === 200);
    return String(body.status);
  });
}

async function withoutDatabase(context: CommandContext, story: Narrator, user: PlatformUser, tests: string[]): Promise<void> {
  story.chapter("The database is killed. Heddle starts it again by itself.");
  await story.promise("meanwhile answers come fast: 503 with Retry-After, or 200 as soon as it is back", async () => {
    await kill(context, "postgres");
    const seen = new Map<number, number>();
    let slowest = 0;
    const startedAt = Date.now();
    for (let recovered = 0; recovered < 20; ) {
      const answer = await user.ask("GET", `/api/v1/tests/${tests[0]}`);
      if (answer.status === 503) fastRefusal(answer);
      else expectStatus(answer, 200);
      recovered = answer.status === 200 ? recovered + 1 : 0;
      seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1);
      slowest = Math.max(slowest, answer.ms);
      if (Date.now() - startedAt > 30_000) throw new Failure("it was not back after 30 s");
    }
    return `${[...seen].map(([status, count]) => `${count} x ${status}`).join(", ")}, slowest ${slowest} ms`;
  });
  await story.promise("a sensor test is judged again", () => judged(user, tests));
}

/** Runs a sensor test to its end. */
async function judged(user: PlatformUser, tests: string[]): Promise<string> {
  const path = "/api/v1/sensors/temperature/tests";
  const started = await eventually(
    `POST ${path}`,
    () => user.ask("POST", path, { samples, sampleRateHz: 2 }),
    (a) => a.status === 200,
  );
  const { id } = started.body;
  tests.push(id);
  const { body } = await eventually(`test ${id}`, () => user.ask("GET", `/api/v1/tests/${id}`), isJudged);
  return `${body.verdict} in ${Date.parse(body.completeTime) - Date.parse(body.createTime)} ms`;
}

function isJudged({ status, body }: RestAnswer): boolean {
  return status === 200 && body.status === "STATUS_COMPLETED";
}

/** The keys of all verdicts among the events, as soon as each of `tests` is there. */
async function verdicts(context: CommandContext, tests: readonly string[]): Promise<readonly string[]> {
  const startedAt = Date.now();
  for (;;) {
    const keys: string[] = [];
    let pageToken = "";
    do {
      const request = { topic: "sensor-tests", pageSize: 1000, pageToken };
      const page = await asOperator(context, "events.v1.EventService/ListEvents", request);
      for (const { key } of page.events ?? []) keys.push(key);
      pageToken = page.nextPageToken ?? "";
    } while (pageToken !== "");
    if (tests.every((id) => keys.includes(id)) || Date.now() - startedAt > 30_000) return keys;
    await sleep(200);
  }
}

function expectStatus(answer: RestAnswer, status: number): string {
  if (answer.status !== status) throw new Failure(`expected ${status}, got ${told(answer)}`);
  return `${status} in ${answer.ms} ms`;
}

function fastRefusal(answer: RestAnswer): string {
  const after = answer.headers.get("retry-after");
  if (answer.status !== 503 || after === null) throw new Failure(`expected 503 with Retry-After, got ${told(answer)}`);
  if (answer.ms > fastMs) throw new Failure(`503 took ${answer.ms} ms, more than ${fastMs}`);
  return `503 in ${answer.ms} ms, Retry-After: ${after}`;
}

async function breakerIs(user: PlatformUser, service: string, wanted: (state: string) => boolean): Promise<string> {
  const states = ({ body }: RestAnswer): readonly string[] =>
    (body.circuit_breakers as readonly { service: string; endpoint?: string; state: string }[])
      .filter((breaker) => breaker.service === service && breaker.endpoint === undefined)
      .map(({ state }) => state);
  const seen = await eventually(
    `the breaker over ${service}`,
    () => user.ask("GET", "/health"),
    (answer) => states(answer).length > 0 && states(answer).every(wanted),
  );
  return states(seen).join(", ");
}
