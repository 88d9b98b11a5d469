/** UploadSamples: a stream of messages to one test and its samples. */
import { SampleFormat, type UploadSamplesRequest } from "#gen/sensor/v1/sensor_pb.ts";
import { failedPrecondition, invalidArgument } from "#mesh/errors.ts";
import { callerKey, ownerOf, type Who } from "./ownership.ts";
import { beginUpload, checkedType } from "./requests.ts";
import { type SampleFormat as Format, type SampleDecoder, sampleDecoder } from "./sample-decoder.ts";
import type { SensorTest } from "./sensor-test.ts";
import type { SensorType } from "./sensor-types.ts";
import type { Lease } from "./store.ts";
import { inTime, type UploadParts, upload, uploadLease } from "./upload.ts";
import { attachUpload } from "./work-store.ts";

/** Takes an upload to its end and answers with the id of its test. `find` gives a test that the caller may see. */
export type UploadHandler = (
  requests: AsyncIterable<UploadSamplesRequest>,
  who: Who,
  find: (testId: string) => Promise<SensorTest>,
) => Promise<{ id: string }>;

/** What a first message asks for. */
interface Begin {
  readonly type: SensorType;
  readonly sampleRateHz: number;
  begin(lease: Lease, now: number): Promise<{ readonly id: string } | { readonly done: SensorTest }>;
}

/** The handler of UploadSamples, but for the message that it answers with. */
export function uploadHandler(parts: UploadParts & { readonly uploadTimeoutMs: number }): UploadHandler {
  const { db, clock, leaseMs, uploadTimeoutMs } = parts;

  return async (requests, who, find) => {
    const messages = inTime(requests, uploadTimeoutMs);
    const { value: first } = await messages.next();
    try {
      if (first === undefined) throw invalidArgument([{ field: "", description: "expected a message, got none" }]);
      const { type, sampleRateHz, begin } = first.testId === "" ? fresh(first, who) : await attached(first, find);
      const now = clock();
      const lease = uploadLease(now, leaseMs);
      const begun = await begin(lease, now);
      if ("done" in begun) return begun.done;
      await upload(parts, { id: begun.id, lease, type, sampleRateHz }, samplesOf(first, messages));
      return begun;
    } finally {
      // Whatever was not read is not wanted.
      void messages.return(undefined).catch(() => undefined);
    }
  };

  function fresh({ requestId, userId, sensorType, sensorId, sampleRateHz }: UploadSamplesRequest, who: Who): Begin {
    const checked = checkedType(sensorType, sampleRateHz);
    const draft = {
      caller: callerKey(who),
      requestId: requestId === "" ? undefined : requestId.toLowerCase(),
      userId: ownerOf(who, userId),
      sensorType,
      sensorId: sensorId.toWellFormed(),
      sampleRateHz: checked.sampleRateHz,
      degraded: who.principal?.degraded === true,
    };
    return { ...checked, begin: (lease, now) => beginUpload(db, draft, lease, now) };
  }

  async function attached(first: UploadSamplesRequest, find: (testId: string) => Promise<SensorTest>): Promise<Begin> {
    const { testId } = first;
    assertEmpty({ ...first, testId: "" }, "to be empty with a test_id");
    const { id, sensorType, sampleRateHz } = await find(testId);
    return {
      ...checkedType(sensorType, sampleRateHz),
      async begin(lease, now) {
        if (await attachUpload(db, id, lease, now)) return { id };
        throw failedPrecondition("TEST_NOT_WAITING", `test ${JSON.stringify(id)} does not wait for samples`);
      },
    };
  }
}

async function* samplesOf(
  first: UploadSamplesRequest,
  rest: AsyncIterable<UploadSamplesRequest>,
): AsyncGenerator<ArrayLike<number>> {
  let decoder: SampleDecoder | undefined;
  const read = function* ({ samples, raw, sampleFormat }: UploadSamplesRequest) {
    if (samples.length > 0) yield samples;
    if (raw === undefined || raw.data.length === 0) return;
    decoder ??= sampleDecoder(formatOf(first.sampleFormat || sampleFormat, first.raw?.contentType ?? raw.contentType));
    yield decoder.add(raw.data);
  };
  yield* read(first);
  let at = 1;
  for await (const message of rest) {
    assertEmpty(message, `only in the first message, not in that of index ${at++}`);
    yield* read(message);
  }
  if (decoder !== undefined) yield decoder.end();
}

function formatOf(format: SampleFormat, contentType: string): Format {
  if (format === SampleFormat.TEXT || (format === SampleFormat.UNSPECIFIED && /^text\//i.test(contentType))) return "text";
  return format === SampleFormat.FLOAT32 ? "float32" : "float64";
}

/** @throws INVALID_ARGUMENT naming the first field that says what the samples are. */
function assertEmpty(message: UploadSamplesRequest, expected: string): void {
  const { requestId, userId, sensorType, sensorId, sampleRateHz, testId } = message;
  const said = { request_id: requestId, user_id: userId, sensor_type: sensorType, sensor_id: sensorId, test_id: testId };
  const field =
    Object.entries(said).find(([, value]) => value !== "")?.[0] ?? (sampleRateHz === 0 ? undefined : "sample_rate_hz");
  if (field !== undefined) throw invalidArgument([{ field, description: `expected ${expected}` }]);
}
