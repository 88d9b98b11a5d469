import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import pino from "pino";
import { ServiceConfigError } from "../policy/service-config.ts";
import type { KvListener, Registry, Watch } from "../registry/registry.ts";
import { loadServiceConfigs } from "./service-configs.ts";

const silent = pino({ level: "silent" });
const key = "heddle/service-config/auth.v1.AuthService";

describe("loadServiceConfigs", () => {
  let root: string;

  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), "service-configs-"));
  });

  afterEach(() => rm(root, { recursive: true, force: true }));

  async function file(folder: string, text: string): Promise<void> {
    await mkdir(path.join(root, folder), { recursive: true });
    await writeFile(path.join(root, folder, "service-config.json"), text);
  }

  it("reads auth/v1/service-config.json for the contracts of package auth.v1 alone", async () => {
    await file("auth/v1", timeout("auth.v1.AuthService", "2s"));
    await file("shop/cart/v2", timeout("shop.cart.v2.Cart", "3s"));
    await using source = await loadServiceConfigs({ root: pathToFileURL(root), log: silent });
    assert.equal(source.methodConfig("auth.v1.AuthService", "Login").timeoutMs, 2000);
    assert.equal(source.methodConfig("shop.cart.v2.Cart", "Get").timeoutMs, 3000);
    assert.equal(source.methodConfig("auth.v1.Other", "Login").source, "default");
    assert.equal(source.serviceConfig("auth.v2.AuthService").version, "default");
    assert.equal(source.serviceConfig("NoPackage").version, "default");
  });

  it("names every mistake of every file, with file and path", async () => {
    await file("a/v1", "{");
    await file("b/v1", timeout("b.v1.B", "soon"));
    await file("c/v1", timeout("b.v1.B", "1s"));
    await file("d/v1", timeout("d.v1.Typo", "1s"));
    const known = (contract: string) => contract !== "d.v1.Typo";
    await assert.rejects(loadServiceConfigs({ root: pathToFileURL(root), log: silent, known }), (error) => {
      assert(error instanceof ServiceConfigError);
      const [syntax, ...rest] = error.message.split("\n");
      assert.match(syntax ?? "", /^a\/v1\/service-config.json: \$: expected JSON, got Expected property name/);
      assert.deepEqual(rest, [
        'b/v1/service-config.json: methodConfig[0].timeout: expected a duration above 0 in seconds with up to 9 decimals such as "0.5s", got "soon"',
        'c/v1/service-config.json: methodConfig[0].name[0].service: expected a contract of package c.v1, got "b.v1.B"',
        'd/v1/service-config.json: methodConfig[0].name[0].service: expected a contract that exists, got "d.v1.Typo"',
      ]);
      return true;
    });
  });

  it("is overridden live by the key, goes back to the file when the key is deleted, and keeps what a call holds", async () => {
    await file("auth/v1", timeout("auth.v1.AuthService", "2s"));
    const registry = new FakeRegistry();
    await using source = await loadServiceConfigs({ root: pathToFileURL(root), log: silent, registry });
    const held = source.serviceConfig("auth.v1.AuthService");
    const timeoutMs = () => source.methodConfig("auth.v1.AuthService", "Login").timeoutMs;
    assert.deepEqual([timeoutMs(), registry.watched()], [2000, [key]]);
    registry.publish(key, timeout("auth.v1.AuthService", "7s"));
    assert.equal(timeoutMs(), 7000);
    const override = source.serviceConfig("auth.v1.AuthService");
    registry.publish(key, timeout("auth.v1.AuthService", "7s"));
    assert.equal(source.serviceConfig("auth.v1.AuthService"), override);
    registry.publish(key, undefined);
    assert.equal(source.serviceConfig("auth.v1.AuthService"), held);
  });

  it("keeps the last good config when the key's value is bad, and logs path and reason", async () => {
    const lines: string[] = [];
    const log = pino({ level: "error" }, { write: (line: string) => void lines.push(line) });
    const registry = new FakeRegistry();
    await using source = await loadServiceConfigs({ root: pathToFileURL(root), log, registry });
    source.serviceConfig("auth.v1.AuthService");
    registry.publish(key, timeout("auth.v1.AuthService", "7s"));
    for (const bad of ["", "nonsense", '{"typo":1}', timeout("auth.v1.AuthService", "0s"), timeout("auth.v1.Other", "1s")]) {
      registry.publish(key, bad);
      assert.equal(source.methodConfig("auth.v1.AuthService", "Login").timeoutMs, 7000);
    }
    assert.equal(lines.length, 5);
    const last = JSON.parse(lines[4] ?? "{}");
    assert.deepEqual(
      [last.contract, last.key, last.mistakes],
      [
        "auth.v1.AuthService",
        key,
        [
          {
            path: "methodConfig[0].name[0].service",
            expected: "contract auth.v1.AuthService",
            got: '"auth.v1.Other"',
          },
        ],
      ],
    );
  });

  it("has read the keys that it is told to watch when it settles", async () => {
    const registry = new FakeRegistry(new Map([[key, timeout("auth.v1.AuthService", "7s")]]));
    const options = { root: pathToFileURL(root), log: silent, registry, watch: ["auth.v1.AuthService"] };
    await using source = await loadServiceConfigs(options);
    assert.equal(source.methodConfig("auth.v1.AuthService", "Login").timeoutMs, 7000);
  });

  it("settles within 1 s and a half when the registry does not answer", async () => {
    const registry = new FakeRegistry("away");
    const before = performance.now();
    const options = { root: pathToFileURL(root), log: silent, registry, watch: ["auth.v1.AuthService"] };
    await using source = await loadServiceConfigs(options);
    const took = performance.now() - before;
    assert.equal(source.methodConfig("auth.v1.AuthService", "Login").source, "default");
    assert(took >= 990 && took < 1500, `${took}`);
  });

  it("stops every watch when it is disposed, and starts no other", async () => {
    const registry = new FakeRegistry();
    const source = await loadServiceConfigs({ root: pathToFileURL(root), log: silent, registry });
    source.serviceConfig("auth.v1.AuthService");
    source.serviceConfig("auth.v1.Other");
    assert.equal(registry.watched().length, 2);
    await source[Symbol.asyncDispose]();
    source.serviceConfig("auth.v1.Third");
    assert.deepEqual(registry.watched(), []);
  });
});

function timeout(service: string, text: string): string {
  return JSON.stringify({ methodConfig: [{ name: [{ service }], timeout: text }] });
}

/** A registry of keys alone; "away": it never answers. */
class FakeRegistry implements Registry {
  readonly #values: ReadonlyMap<string, string> | "away";
  readonly #listeners = new Map<string, KvListener>();

  constructor(values: ReadonlyMap<string, string> | "away" = new Map()) {
    this.#values = values;
  }

  watched(): string[] {
    return [...this.#listeners.keys()];
  }

  publish(key: string, value: string | undefined): void {
    this.#listeners.get(key)?.(value);
  }

  watchKey(key: string, listener: KvListener): Watch {
    this.#listeners.set(key, listener);
    const values = this.#values;
    const first = values === "away" ? new Promise<void>(() => {}) : Promise.resolve().then(() => listener(values.get(key)));
    return { first, ageMs: () => 0, [Symbol.dispose]: () => void this.#listeners.delete(key) };
  }

  register(): never {
    throw new Error("not part of this test");
  }
  deregister(): never {
    throw new Error("not part of this test");
  }
  watchKeys(): never {
    throw new Error("not part of this test");
  }
  watchService(): never {
    throw new Error("not part of this test");
  }
  watchCatalog(): never {
    throw new Error("not part of this test");
  }
  getKey(): never {
    throw new Error("not part of this test");
  }
  setKey(): never {
    throw new Error("not part of this test");
  }
  deleteKey(): never {
    throw new Error("not part of this test");
  }
  status(): never {
    throw new Error("not part of this test");
  }
  async [Symbol.asyncDispose](): Promise<void> {}
}
