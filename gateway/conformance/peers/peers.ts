/** The peers that are scored beside our own gateway: built from their Go modules over the same contract, and run. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { CodeGeneratorRequestSchema, CodeGeneratorResponseSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { bootFile, type Contract, withoutRules } from "../runner/contract.ts";

/** The peers. */
export const peers = ["grpc-gateway", "vanguard"] as const;

/** A peer. */
export type Peer = (typeof peers)[number];

/** The rules that grpc-gateway's generator refuses or makes broken Go of: they are taken from its contract, and fail. */
export const refusedByGrpcGateway: ReadonlySet<string> = new Set([
  "GET /v1/path/mask/{mask}",
  "PURGE /v1/custom/purge/{id}",
  "* /v1/custom/every/{id}",
]);

/**
 * Builds both peers into `.heddle/peers/bin`, from the Go module proxy.
 *
 * @throws Error with the compiler's message.
 */
export function buildPeers(contract: Contract): void {
  mkdirSync(bin, { recursive: true });
  writeFileSync(image, contract.image);
  go(join(import.meta.dirname, "vanguard"), "build", "-o", join(bin, "vanguard"), ".");
  const source = join(import.meta.dirname, "grpc-gateway");
  const copy = join(work, "grpc-gateway");
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy, { recursive: true });
  for (const name of ["main.go", "go.mod", "go.sum"]) copyFileSync(join(source, name), join(copy, name));
  go(copy, "build", "-o", `${bin}/`, ...plugins.map(({ module }) => module));
  writeFileSync(join(copy, "contract.binpb"), withoutRules(contract, refusedByGrpcGateway).image);
  const local = plugins.map(({ name }) => ({ local: join(bin, name), out: ".", opt: optionsOf(name, contract) }));
  const template = JSON.stringify({ version: "v2", plugins: local });
  const args = [
    "generate",
    join(copy, "contract.binpb"),
    "--template",
    template,
    "--path",
    "conformance/v1",
    "-o",
    join(copy, "gen"),
  ];
  execFileSync(join(root, "node_modules/.bin/buf"), args, { stdio: ["ignore", "inherit", "pipe"] });
  go(copy, "build", "-o", join(bin, "grpc-gateway"), ".");
}

/** A peer that runs; when a request ends its process, it is started again. */
export interface RunningPeer extends AsyncDisposable {
  readonly url: URL;
  /** How often its process ended by itself. */
  readonly crashes: number;
}

/** Starts a peer in front of the backend at `backendPort`, on a free port. */
export async function startPeer(peer: Peer, backendPort: number, lenient: boolean): Promise<RunningPeer> {
  const port = await freePort();
  const args = ["-port", String(port), "-backend", `127.0.0.1:${backendPort}`, ...(lenient ? ["-lenient"] : [])];
  let stopped = false;
  let crashes = 0;
  let child: ChildProcess;
  const start = () => {
    child = spawn(join(bin, peer), peer === "vanguard" ? [...args, "-image", image] : args, { stdio: "ignore" });
    child.on("exit", () => {
      if (stopped) return;
      crashes++;
      start();
    });
  };
  start();
  const url = new URL(`http://127.0.0.1:${port}`);
  await untilAnswers(url);
  return {
    url,
    get crashes() {
      return crashes;
    },
    async [Symbol.asyncDispose]() {
      stopped = true;
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill();
      await gone;
    },
  };
}

/** Whether a peer boots over an image: the reason why not, or undefined. */
export async function bootPeer(peer: Peer, contract: Contract, bytes: Uint8Array): Promise<string | undefined> {
  const request = create(CodeGeneratorRequestSchema, {
    fileToGenerate: [bootFile],
    parameter: `${optionsOf("protoc-gen-grpc-gateway", contract)},M${bootFile}=heddle.test/boot/v1;bootv1`,
    protoFile: fromBinary(FileDescriptorSetSchema, bytes).file,
  });
  try {
    if (peer === "vanguard") {
      await run(join(bin, peer), ["-check"], bytes);
      return undefined;
    }
    const response = await run(join(bin, "protoc-gen-grpc-gateway"), [], toBinary(CodeGeneratorRequestSchema, request));
    return fromBinary(CodeGeneratorResponseSchema, response).error || undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const root = join(import.meta.dirname, "../../..");
const work = join(root, ".heddle/peers");
const bin = join(work, "bin");
const image = join(work, "contract.binpb");

const plugins = [
  { name: "protoc-gen-go", module: "google.golang.org/protobuf/cmd/protoc-gen-go" },
  { name: "protoc-gen-go-grpc", module: "google.golang.org/grpc/cmd/protoc-gen-go-grpc" },
  { name: "protoc-gen-grpc-gateway", module: "github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-grpc-gateway" },
];

function optionsOf(plugin: string, { types }: Contract): string {
  const names = [...types.files].map((file) => `${file.name}.proto`).filter((name) => name.startsWith("conformance/v1/"));
  const go = names.map((name) => `M${name}=heddle.test/peers/grpc-gateway/gen/conformance/v1;conformancev1`);
  return [...go, "paths=source_relative", ...(plugin.endsWith("grpc-gateway") ? ["generate_unbound_methods=true"] : [])].join(
    ",",
  );
}

function go(folder: string, ...args: string[]): void {
  execFileSync("nice", ["-n", "19", "go", ...args], { cwd: folder, stdio: ["ignore", "inherit", "inherit"] });
}

/** The standard output of a command that gets the bytes; rejects with its standard error. */
function run(command: string, args: readonly string[], input: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(Buffer.concat(out));
      else reject(new Error(Buffer.concat(err).toString().trim() || `exit code ${code}`));
    });
    child.stdin.end(input);
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

async function untilAnswers(url: URL): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const answers = await fetch(url).then(
      () => true,
      () => false,
    );
    if (answers) return;
    await sleep(50);
  }
  throw new Error(`nothing answers at ${url}`);
}
