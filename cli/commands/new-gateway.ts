import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import type { CommandContext } from "../command-context.ts";
import { Failure } from "../failure.ts";
import { filled, type Names, namesOf } from "../templates/fill.ts";

/** The options of `heddle new gateway`. */
export interface NewGatewayOptions {
  /** Where the gateway listens. */
  readonly port: number;
  /** `host:port` of the gRPC server behind it. */
  readonly backend: string;
}

const templates = join(import.meta.dirname, "../templates/gateway");

/** Where each template goes. */
const places: Readonly<Record<string, (names: Names) => string>> = {
  "contract.proto.tmpl": ({ packageName }) => `proto/${packageName}/v1/${packageName}.proto`,
  "buf.yaml.tmpl": () => "buf.yaml",
  "buf.gen.yaml.tmpl": () => "buf.gen.yaml",
  "backend.mjs.tmpl": () => "backend.mjs",
  "test.mjs.tmpl": () => "gateway.test.mjs",
  "package.json.tmpl": () => "package.json",
  "README.md.tmpl": () => "README.md",
  "gitignore.tmpl": () => ".gitignore",
  "npmrc.tmpl": () => ".npmrc",
};

/** What a contract with routes imports, from Google's package in our dependencies: the project then needs nothing but npm. */
const vendored = ["google/api/annotations.proto", "google/api/http.proto"];

/**
 * `heddle new gateway`: a project of its own, outside this one, whose gateway serves REST for a gRPC server: contract, buf's files, a
 * server to try it on, a test, and a README. It is called as its folder, and runs this Heddle by a link.
 *
 * @throws Failure for a folder that holds something or whose name cannot be a package; nothing is written then.
 */
export async function newGateway({ root, out }: CommandContext, path: string, options: NewGatewayOptions): Promise<number> {
  const folder = resolve(path);
  const names = namesOf(basename(folder));
  if (names === undefined) {
    throw new Failure(
      `${basename(folder)}: expected a folder in lower case, such as library or price-list: it names the contract`,
      2,
    );
  }
  if (existsSync(folder) && readdirSync(folder).length > 0) throw new Failure(`${path} exists, and is not empty`, 2);
  if (!relative(root, folder).startsWith("..")) {
    throw new Failure(`${path} is inside of Heddle's own folder: a service in here is made by \`heddle new service\``, 2);
  }
  const heddle = relative(folder, root);
  const values = {
    ...versions(root),
    heddle: heddle.replaceAll("\\", "/"),
    port: String(options.port),
    backend: options.backend,
    backendPort: options.backend.split(":").at(-1) ?? "",
  };
  for (const [template, place] of Object.entries(places)) {
    const file = place(names);
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), filled(readFileSync(join(templates, template), "utf8"), names, values));
    out.write(`made ${file}\n`);
  }
  for (const file of vendored) cpSync(join(root, "node_modules/google-gax/build/protos", file), join(folder, "vendor", file));
  out.write("made vendor/google/api\n");
  out.write(next(path, options.port));
  return 0;
}

/** The versions of this project's own dependencies, as the template's `version:<package>`. */
function versions(root: string): Readonly<Record<string, string>> {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Record<
    string,
    Record<string, string>
  >;
  return Object.fromEntries(Object.entries({ ...dependencies, ...devDependencies }).map(([name, at]) => [`version:${name}`, at]));
}

function next(path: string, port: number): string {
  return `
Next:
  cd ${path}
  npm install
  npm run backend &
  npm start
and in another terminal:
  curl -s localhost:${port}/v1/notes -H 'content-type: application/json' -d '{"text": "green tea"}'
`;
}
