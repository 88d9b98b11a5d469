/** The library's contract as an image, and its backends in other languages: each is generated and built as its users do it. */
import { type ExecFileOptions, execFile, spawn } from "node:child_process";
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");
const work = join(root, ".heddle/backends");
const googleapis = "node_modules/google-gax/build/protos";
const excluded = ["apikeys", "cloudquotas", "expr", "servicecontrol", "servicemanagement", "serviceusage"];
const config = JSON.stringify({
  version: "v2",
  modules: [
    { path: "e2e/backends" },
    {
      path: googleapis,
      includes: [`${googleapis}/google/api`],
      excludes: excluded.map((name) => `${googleapis}/google/api/${name}`),
    },
  ],
});

/** Writes `library.binpb`, as the README says; answers with its path. */
export async function buildImage(folder: string): Promise<string> {
  const image = join(folder, "library.binpb");
  const paths = ["annotations", "http"].map((name) => `${googleapis}/google/api/${name}.proto`);
  const only = [...paths, "e2e/backends/library.proto"].flatMap((path) => ["--path", path]);
  await run(join(root, "node_modules/.bin/buf"), ["build", "--config", config, ...only, "-o", image], { cwd: root });
  return image;
}

/** Builds the backend in Go; answers with its command. */
export async function buildGo(go: string, image: string): Promise<string[]> {
  const folder = join(work, "go");
  const bin = join(work, "bin");
  await mkdir(join(folder, "library"), { recursive: true });
  for (const name of ["main.go", "go.mod", "go.sum"]) await copyFile(join(import.meta.dirname, "go", name), join(folder, name));
  const options: ExecFileOptions = { cwd: folder };
  await run(
    go,
    ["build", "-o", `${bin}/`, "google.golang.org/protobuf/cmd/protoc-gen-go", "google.golang.org/grpc/cmd/protoc-gen-go-grpc"],
    options,
  );
  const plugins = ["protoc-gen-go", "protoc-gen-go-grpc"].map((name) => ({ local: join(bin, name), out: "library" }));
  const template = JSON.stringify({
    version: "v2",
    plugins: plugins.map((plugin) => ({ ...plugin, opt: "paths=source_relative" })),
  });
  await run(join(root, "node_modules/.bin/buf"), ["generate", image, "--template", template, "--path", "library.proto"], options);
  const program = join(bin, "library");
  await run(go, ["build", "-o", program, "."], options);
  return [program];
}

/** Generates what the backend in Python needs; answers with its command. */
export async function buildPython(python: string): Promise<string[]> {
  const folder = join(work, "python");
  await mkdir(folder, { recursive: true });
  const { stdout } = await run(python, ["-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]);
  const paths = [`-I${import.meta.dirname}`, `-I${stdout.trim()}`];
  await run(python, [
    "-m",
    "grpc_tools.protoc",
    ...paths,
    `--python_out=${folder}`,
    `--grpc_python_out=${folder}`,
    "library.proto",
  ]);
  return [python, join(import.meta.dirname, "python/server.py"), folder];
}

/** A backend that listens. */
export interface RunningBackend extends AsyncDisposable {
  /** host:port */
  readonly address: string;
}

/** Runs a backend; settles when it has said where it listens. */
export async function startBackend([command = "", ...args]: readonly string[]): Promise<RunningBackend> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const address = await new Promise<string>((resolve, reject) => {
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk;
      const found = /listening on (\S+)\n/.exec(text)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`${command} ended with ${code}: ${text}`)));
  });
  return {
    address,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
