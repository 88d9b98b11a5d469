/** docker-compose.yml and the Dockerfile belong to the platform as it is. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { readConfig, type Setting } from "#mesh/config.ts";
import { processSettings } from "#mesh/settings.ts";
import { platform } from "../services/platform.ts";

/** What is asked here of a service in a Compose file. */
interface ComposeService {
  readonly image: string;
  readonly build?: string;
  readonly command: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck: { readonly test: readonly string[]; readonly interval: string; readonly retries: number };
  readonly deploy: { readonly resources: { readonly limits: { readonly cpus: string; readonly memory: string } } };
}

const root = join(import.meta.dirname, "..");
const text = readFileSync(join(root, "docker-compose.yml"), "utf8");
const { services } = parse(text, { merge: true }) as { services: Readonly<Record<string, ComposeService>> };
const dockerfile = readFileSync(join(root, "Dockerfile"), "utf8");

function service(name: string): ComposeService {
  const found = services[name];
  assert.ok(found, `docker-compose.yml has no service ${name}`);
  return found;
}

describe("docker-compose.yml", () => {
  it("runs Consul, PostgreSQL, Prometheus and every service of services/platform.ts, and nothing else", () => {
    const beneath = ["consul", "postgres", "prometheus"];
    assert.deepEqual(Object.keys(services).toSorted(), [...beneath, ...platform.map(({ name }) => name)].toSorted());
  });

  it("lets Prometheus read what Consul knows by its admin port, and metrics and Prometheus the gateway", () => {
    const [, file = "", mounted = ""] = /- \.\/(\S+):(\/etc\/prometheus\/\S+):ro/.exec(text) ?? [];
    assert.ok(service("prometheus").command.includes(`--config.file=${mounted} `));
    const { scrape_configs: jobs } = parse(readFileSync(join(root, file), "utf8")) as {
      scrape_configs: readonly {
        readonly consul_sd_configs?: readonly { readonly server: string }[];
        readonly relabel_configs?: readonly { readonly target_label?: string; readonly source_labels: readonly string[] }[];
        readonly static_configs?: readonly { readonly targets: readonly string[] }[];
      }[];
    };
    assert.deepEqual(
      jobs.flatMap(({ consul_sd_configs: found = [] }) => found.map(({ server }) => server)),
      ["consul:8500"],
    );
    const address = jobs[0]?.relabel_configs?.find(({ target_label: label }) => label === "__address__");
    assert.deepEqual(address?.source_labels, ["__meta_consul_service_address", "__meta_consul_service_metadata_admin"]);
    const gateway = `gateway:${platform.find(({ name }) => name === "gateway")?.port ?? 0}`.replace(/:8080$/, ":9080");
    assert.deepEqual(
      jobs.flatMap(({ static_configs: fixed = [] }) => fixed.flatMap(({ targets }) => targets)),
      [gateway],
    );
    assert.equal(service("metrics").environment.METRICS_TARGETS, `gateway=${gateway}`);
  });

  for (const { name, entry, port, needs, database } of platform) {
    it(`${name} runs ${entry} and is healthy when /readyz on ${port + 1000} is 200`, () => {
      const { command, healthcheck } = service(name);
      assert.equal(`${command}/service.ts`, entry);
      const ask = `fetch('http://127.0.0.1:${port + 1000}/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))`;
      assert.deepEqual(healthcheck.test, ["CMD", "node", "-e", ask]);
    });

    it(`${name} waits until what it needs is healthy`, () => {
      const waits = service(name).depends_on ?? {};
      for (const { condition } of Object.values(waits)) assert.equal(condition, "service_healthy");
      const beneath = ["consul", ...(database ? ["postgres"] : []), ...needs];
      assert.deepEqual(
        beneath.filter((needed) => !(needed in waits)),
        [],
      );
    });

    it(`${name} is built here, with the image and the environment of all`, () => {
      const { image, build, environment } = service(name);
      // Compose pulls an image that a service names and does not build, before it builds that of another.
      assert.deepEqual([image, build], [service("auth").image, "."]);
      assert.deepEqual(environment, service("auth").environment);
    });
  }

  it("limits the processors and the memory of everything", () => {
    for (const [name, { deploy }] of Object.entries(services)) {
      assert.match(deploy.resources.limits.cpus, /^\d\.\d$/, name);
      assert.match(deploy.resources.limits.memory, /^\d+M$/, name);
    }
  });

  it("checks the health of everything", () => {
    for (const [name, { healthcheck }] of Object.entries(services)) assert.ok(healthcheck.retries >= 10, name);
  });

  it("publishes ports on loopback only", () => {
    for (const [name, { ports = [] }] of Object.entries(services)) {
      for (const port of ports) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/, name);
    }
  });

  it("has no secret with a default", () => {
    const [, ...uses] = text.split("${");
    const secrets = uses.map((use) => use.slice(0, use.indexOf("}"))).filter((use) => /SECRET|PASSWORD/.test(use));
    assert.ok(secrets.length >= 3);
    for (const secret of secrets) assert.match(secret, /^[A-Z_]+:\?set /);
  });

  it("gives each process an environment that it can read", () => {
    const filled = Object.entries(service("auth").environment).map(([name, value]) => [
      name,
      value.replaceAll(/\$\{(\w+):-([^}]*)\}/g, "$2").replaceAll(/\$\{\w+:\?[^}]*\}/g, "0123456789abcdef0123456789abcdef"),
    ]);
    const settings: Readonly<Record<string, Setting<unknown>>> = processSettings;
    const { databaseUrl, consulAddress } = readConfig(Object.fromEntries(filled), settings);
    assert.equal(String(databaseUrl), "postgres://heddle:0123456789abcdef0123456789abcdef@postgres:5432/postgres");
    assert.equal(consulAddress, "http://consul:8500");
  });
});

describe("Dockerfile", () => {
  it("copies only what is there", () => {
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths = ""]) => paths.split(" "));
    assert.ok(copied.length >= 7);
    for (const path of copied) assert.ok(existsSync(join(root, path)), path);
  });

  it("copies the folder of every service, and what a service imports from", () => {
    const copied = [...dockerfile.matchAll(/^COPY (\w+) \w+$/gm)].map(([, folder]) => folder);
    const folders = platform.map(({ entry }) => entry.split("/")[0]);
    assert.deepEqual(
      [...new Set([...folders, "gen", "mesh", "proto"])].filter((folder) => !copied.includes(folder)),
      [],
    );
  });

  it("runs on the Node that package.json locks, not as root", () => {
    const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { dependencies: { node: string } };
    const images = [...dockerfile.matchAll(/^FROM node:(\d+)-/gm)].map(([, version]) => version);
    assert.deepEqual([...new Set(images)], [dependencies.node.split(".")[0]]);
    assert.match(dockerfile, /^USER node$/m);
  });
});
