/** What a unary gRPC call costs the host of a service: by its direct path, and by Connect's pipeline in the same process. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { create } from "@bufbuild/protobuf";
import { EchoService } from "../mesh/server/echo.fixture.ts";
import { framed } from "../mesh/server/raw-call.fixture.ts";
import { cpuSeconds } from "./cpu-seconds.ts";
import { median } from "./median.ts";

const callers = 32;
const callsOfRound = 8000;
const rounds = 7;

/** The direct path leaves other spellings of the media type to Connect. */
const paths = { direct: "application/grpc", Connect: "Application/grpc" } as const;
type Path = keyof typeof paths;

interface Round {
  readonly cpuMicros: number;
  readonly perSecond: number;
  readonly promotedKb: number;
  readonly p99Ms: number;
}

/** 32 callers on one connection, rounds of both paths in turn, after one round of each that does not count. */
export async function unary(): Promise<void> {
  // Room enough that no full collection comes between: what is promoted is then what old space grows by.
  const execArgv = ["--max-old-space-size=4000", "--initial-heap-size=2000", "--max-semi-space-size=8"];
  const host = fork(new URL("./unary-host.ts", import.meta.url), { execArgv });
  const [port] = (await once(host, "message")) as [number];
  const session = connect(`http://127.0.0.1:${port}`);
  const results: Record<Path, Round[]> = { direct: [], Connect: [] };
  for (let round = 0; round <= rounds; round++) {
    for (const path of Object.keys(paths) as Path[]) {
      const result = await measure(host, session, paths[path]);
      if (round > 0) results[path].push(result);
    }
  }
  session.destroy();
  const exited = once(host, "exit");
  host.kill();
  await exited;
  const of = (path: Path, key: keyof Round) => median(results[path].map((result) => result[key]));
  for (const path of Object.keys(paths) as Path[]) {
    const [cpu, rate, kb, p99] = (["cpuMicros", "perSecond", "promotedKb", "p99Ms"] as const).map((key) => of(path, key));
    console.log(
      `      ${path}: ${cpu?.toFixed(0)} us of CPU and ${kb?.toFixed(1)} KB into old space a call, ${rate?.toFixed(0)} calls/s, p99 ${p99?.toFixed(1)} ms`,
    );
  }
  console.log(`      ratio of CPU: ${(of("direct", "cpuMicros") / of("Connect", "cpuMicros")).toFixed(2)}`);
}

async function measure(host: ChildProcess, session: ClientHttp2Session, contentType: string): Promise<Round> {
  const { input } = EchoService.method.unary;
  const body = framed(input, create(input, { text: "a text of usual length" }));
  const times: number[] = [];
  const call = async () => {
    const from = performance.now();
    const stream = session.request({
      ":method": "POST",
      ":path": "/test.v1.EchoService/Unary",
      "content-type": contentType,
      te: "trailers",
    });
    stream.resume().end(body);
    const [trailers] = await once(stream, "trailers");
    if (trailers["grpc-status"] !== "0") throw new Error(`expected grpc-status 0, got ${trailers["grpc-status"]}`);
    times.push(performance.now() - from);
  };
  const [oldSpace, cpu, from] = [await oldSpaceOf(host), cpuSeconds(host.pid), performance.now()];
  const caller = async () => {
    for (let made = 0; made < callsOfRound / callers; made++) await call();
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const [seconds, spent] = [(performance.now() - from) / 1000, cpuSeconds(host.pid) - cpu];
  times.sort((a, b) => a - b);
  return {
    cpuMicros: (spent / callsOfRound) * 1e6,
    perSecond: callsOfRound / seconds,
    promotedKb: ((await oldSpaceOf(host)) - oldSpace) / callsOfRound / 1024,
    p99Ms: times[Math.ceil(times.length * 0.99) - 1] ?? Number.NaN,
  };
}

async function oldSpaceOf(host: ChildProcess): Promise<number> {
  host.send("old space");
  const [bytes] = (await once(host, "message")) as [number];
  return bytes;
}
