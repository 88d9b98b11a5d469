/** The contract's methods: messages to domain values, rules, store, and back. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { SensorService, type SensorTypeSchema } from "#gen/sensor/v1/sensor_pb.ts";
import { type AnalysisSchema, Outcome, Status, type TestSchema, Verdict } from "#gen/sensor/v1/test_pb.ts";
import type { Charts } from "#mesh/chart/charts.ts";
import { currentContext } from "#mesh/context.ts";
import { failedPrecondition, notFound, notYours } from "#mesh/errors.ts";
import { type Implementation, implement } from "#mesh/server/implementation.ts";
import { badPageToken, decodePageToken, defaultPageSize, encodePageToken } from "#mesh/storage/page.ts";
import type { Changes } from "./changes.ts";
import { callerKey, mayActFor, ownerOf, type Who } from "./ownership.ts";
import { drawTest } from "./plot.ts";
import { acceptTest, checkedType } from "./requests.ts";
import type { Analysis, SensorTest, Status as TestStatus } from "./sensor-test.ts";
import { type SensorType, sensorTypeOf, sensorTypes } from "./sensor-types.ts";
import { getCurves, getTest, listTests } from "./store.ts";
import type { UploadParts } from "./upload.ts";
import { uploadHandler } from "./upload-handler.ts";

/** What the handlers work with. */
export interface HandlerParts extends UploadParts {
  readonly changes: Changes;
  readonly charts: Charts;
  readonly uploadTimeoutMs: number;
}

/** The contract and its methods. */
export function sensorHandlers(parts: HandlerParts): Implementation {
  const { db, changes, charts, clock, uploadTimeoutMs } = parts;
  const uploadSamples = uploadHandler(parts);

  return implement(SensorService, {
    async runTest({ requestId, userId, sensorType, sensorId, sampleRateHz, samples }) {
      const who = currentWho();
      const draft = {
        caller: callerKey(who),
        requestId: requestId === "" ? undefined : requestId.toLowerCase(),
        userId: ownerOf(who, userId),
        sensorType,
        sensorId: sensorId.toWellFormed(),
        sampleRateHz: checkedType(sensorType, sampleRateHz).sampleRateHz,
        degraded: isDegraded(who),
      };
      return { test: toMessage(await acceptTest(db, draft, samples, { now: clock(), uploadTimeoutMs }), who) };
    },

    async getTest({ testId }) {
      const who = currentWho();
      return { test: toMessage(await ownTest(testId, who), who) };
    },

    async listTests({ userId, pageSize, pageToken, sensorType, status }) {
      const who = currentWho();
      const size = pageSize || defaultPageSize;
      const found = await listTests(db, {
        userId: ownerOf(who, userId),
        size,
        after: decodePageToken(pageToken),
        sensorType: sensorType || undefined,
        status: statusNameOf[status],
      });
      const page = found.slice(0, size);
      const last = page.at(-1);
      const nextPageToken = found.length > size && last !== undefined ? encodePageToken([last.createTime, last.id]) : "";
      return { tests: page.map((test) => toMessage(test, who)), nextPageToken };
    },

    async *watchTest({ testId }, { signal }) {
      const who = currentWho();
      for await (const test of changes.watch(await ownTest(testId, who), signal)) yield { test: toMessage(test, who) };
    },

    async uploadSamples(requests) {
      const who = currentWho();
      const { id } = await uploadSamples(requests, who, (testId) => ownTest(testId, who));
      return { test: toMessage(await ownTest(id, who), who) };
    },

    async getTestPlot({ testId }, { signal }) {
      const test = await ownTest(testId, currentWho());
      const type = sensorTypeOf.get(test.sensorType);
      const curves = await getCurves(db, testId);
      if (curves === undefined || type === undefined) {
        throw failedPrecondition(
          "TEST_NOT_COMPLETED",
          `the test has status ${test.status.toUpperCase()}: there is nothing to draw`,
        );
      }
      const svg = await drawTest(charts, test, type, curves, signal);
      return { contentType: "image/svg+xml", data: new TextEncoder().encode(svg) };
    },

    listSensorTypes({ pageSize, pageToken }) {
      const after = decodePageToken(pageToken);
      if (after !== undefined && after.length !== 1) throw badPageToken();
      const rest = sensorTypes.filter(({ name }) => name > (after?.[0] ?? ""));
      const page = rest.slice(0, pageSize || defaultPageSize);
      const nextPageToken = page.length < rest.length ? encodePageToken([page.at(-1)?.name ?? ""]) : "";
      return { sensorTypes: page.map((type) => toTypeMessage(type, uploadTimeoutMs)), nextPageToken };
    },
  });

  /** @throws NOT_FOUND when there is no such test, or it is none of the caller's. */
  async function ownTest(id: string, who: Who): Promise<SensorTest> {
    const test = await getTest(db, id);
    if (test === undefined) throw notFound("test", id);
    if (!mayActFor(who, test.userId)) throw notYours("test", id);
    return test;
  }
}

/** Our name of each status of the contract; what is unspecified or unknown has none. */
export const statusNameOf: Readonly<Record<number, TestStatus>> = {
  [Status.PROCESSING]: "processing",
  [Status.COMPLETED]: "completed",
  [Status.FAILED]: "failed",
};
const statusOf = { processing: Status.PROCESSING, completed: Status.COMPLETED, failed: Status.FAILED };
const verdictOf = { pass: Verdict.PASS, fail: Verdict.FAIL, inconclusive: Verdict.INCONCLUSIVE };
const outcomeOf = { passed: Outcome.PASSED, failed: Outcome.FAILED, "too-few-samples": Outcome.TOO_FEW_SAMPLES };

function currentWho(): Who {
  return currentContext() ?? { principal: undefined, caller: undefined };
}

/** Whether the call's token was verified by its signature alone. */
export function isDegraded({ principal }: Who): boolean {
  return principal?.degraded === true;
}

function toMessage(test: SensorTest, who: Who): MessageInitShape<typeof TestSchema> {
  const { status, verdict, analysis, sampleCount, createTime, completeTime, uploadDeadline, ...same } = test;
  return {
    ...same,
    degraded: test.degraded || isDegraded(who),
    unit: sensorTypeOf.get(test.sensorType)?.unit ?? "",
    status: statusOf[status],
    sampleCount: BigInt(sampleCount),
    createTime: timestampFromMs(createTime),
    ...(verdict === undefined ? {} : { verdict: verdictOf[verdict] }),
    ...(analysis === undefined ? {} : { analysis: toAnalysis(analysis) }),
    ...(completeTime === undefined ? {} : { completeTime: timestampFromMs(completeTime) }),
    ...(uploadDeadline === undefined ? {} : { uploadDeadline: timestampFromMs(uploadDeadline) }),
  };
}

function toAnalysis(analysis: Analysis): MessageInitShape<typeof AnalysisSchema> {
  const { range, drift, stuck, noise, spectrum, mean, standardDeviation } = analysis;
  const { firstBadIndex, outsideCount, missingCount, ...bounds } = range;
  const { signalToNoiseDb, ...scatter } = noise;
  const { frequencyHz, windows, ...tone } = spectrum;
  return {
    range: {
      ...bounds,
      outcome: outcomeOf[range.outcome],
      outsideCount: BigInt(outsideCount),
      missingCount: BigInt(missingCount),
      ...(firstBadIndex === undefined ? {} : { firstBadIndex: BigInt(firstBadIndex) }),
    },
    drift: { ...drift, outcome: outcomeOf[drift.outcome] },
    stuck: {
      outcome: outcomeOf[stuck.outcome],
      longestRun: BigInt(stuck.longestRun),
      limit: BigInt(stuck.limit),
      value: stuck.value,
      startIndex: BigInt(stuck.startIndex),
    },
    noise: {
      ...scatter,
      outcome: outcomeOf[noise.outcome],
      ...(signalToNoiseDb === undefined ? {} : { signalToNoiseDb }),
    },
    spectrum: { ...tone, outcome: outcomeOf[spectrum.outcome], peakFrequencyHz: frequencyHz, windows: BigInt(windows) },
    mean,
    standardDeviation,
  };
}

function toTypeMessage(type: SensorType, uploadTimeoutMs: number): MessageInitShape<typeof SensorTypeSchema> {
  const uploadTimeout = {
    seconds: BigInt(Math.floor(uploadTimeoutMs / 1000)),
    nanos: Math.round((uploadTimeoutMs % 1000) * 1e6),
  };
  return { ...type, maxRun: BigInt(type.maxRun), sources: { ...type.sources }, uploadTimeout };
}
