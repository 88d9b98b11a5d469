/** Generated over every method of every contract: one person's token on another person's objects finds nothing. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import {
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  fromJson,
  type Message,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { createValidator } from "@bufbuild/protovalidate";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AccessLevel } from "#gen/heddle/v1/access_pb.ts";
import { contractPlan } from "../cli/commands/contract-plan.ts";
import { platform as processes } from "../services/platform.ts";
import { newPerson, type PlatformPerson } from "./person.ts";
import { type Platform, startPlatform } from "./platform.ts";
import { extraNames, harmless, makeObjects, type OwnedObjects, ownerless, validRequests } from "./stranger-calls.ts";

const { contracts } = contractPlan(join(import.meta.dirname, ".."));
const methods = contracts.methods.filter(
  ({ desc, access }) =>
    /^(?!grpc\.)/.test(desc.parent.typeName) && access !== undefined && access.level >= AccessLevel.AUTHENTICATED,
);

/** The fields of a request, two messages deep, that may name somebody's object. */
function namingFields(message: DescMessage, path: readonly DescField[] = []): (readonly DescField[])[] {
  return message.fields.flatMap((field) => {
    const here = [...path, field];
    if (field.message !== undefined && field.fieldKind === "message" && path.length === 0)
      return namingFields(field.message, here);
    const names = field.fieldKind === "scalar" && (/(^|_)id$/.test(field.name) || extraNames.includes(keyOf(here)));
    return names && !ownerless.includes(field.name) && !ownerless.includes(keyOf(here)) ? [here] : [];
  });
}

/** `contract package/field`, such as `queue.v1/queue`. */
function keyOf(path: readonly DescField[]): string {
  const last = path.at(-1);
  return `${last?.parent.file.proto.package}/${last?.name}`;
}

function fieldOf(path: readonly DescField[]): string {
  return path.map(({ name }) => name).join(".");
}

function objectOf(objects: OwnedObjects, path: readonly DescField[]): string | undefined {
  return objects[keyOf(path)] ?? objects[path.at(-1)?.name ?? ""];
}

describe("a stranger's token, on every method of every contract", () => {
  const validator = createValidator();
  const found: { readonly method: DescMethod; readonly path: readonly DescField[]; readonly level: AccessLevel }[] =
    methods.flatMap(({ desc, access }) =>
      namingFields(desc.input).map((path) => ({ method: desc, path, level: access?.level ?? AccessLevel.UNSPECIFIED })),
    );
  let platform: Platform;
  let owner: PlatformPerson;
  let stranger: PlatformPerson;
  let objects: OwnedObjects;
  let transport: Transport;

  before(async function () {
    this.timeout(180_000);
    platform = await startPlatform(
      {},
      processes.map(({ name }) => name),
    );
    [owner, stranger] = await Promise.all([newPerson(platform.gateway, "owner"), newPerson(platform.gateway, "stranger")]);
    objects = await makeObjects(owner);
    transport = createGrpcTransport({ baseUrl: platform.gateway });
  });
  after(async function () {
    this.timeout(60_000);
    await platform?.[Symbol.asyncDispose]();
  });

  function requestOf(method: DescMethod, path: readonly DescField[]): Message {
    const name = `${method.parent.typeName}/${method.name}`;
    const message = fromJson(method.input, validRequests[`${name} ${fieldOf(path)}`] ?? validRequests[name] ?? {});
    const owned = objectOf(objects, path);
    // A service that is new here: its own test makes objects, and this one at least finds nothing where nothing is.
    if (owned === undefined)
      console.log(`      ${keyOf(path)}: no object of the owner's in stranger-calls.ts; tried with nobody's`);
    const value = owned ?? randomUUID();
    let at = reflect(method.input, message);
    for (const field of path.slice(0, -1)) {
      assert.ok(field.fieldKind === "message");
      if (!at.isSet(field)) at.set(field, reflect(field.message));
      at = at.get(field);
    }
    at.set(path.at(-1) ?? assert.fail(), value);
    const { kind, violations } = validator.validate(method.input, message);
    assert.equal(kind, "valid", `give ${name} a valid request in stranger-calls.ts: ${violations?.join("; ")}`);
    return message;
  }

  /** The status code of a call, 0 for OK: of a stream's first answer. */
  async function codeOf(method: DescMethod, message: Message, token: string): Promise<number> {
    const header = { authorization: `Bearer ${token}` };
    try {
      if (isUnary(method)) {
        await transport.unary(method, undefined, 10_000, header, message);
      } else if (isStreaming(method)) {
        const one = async function* () {
          yield message;
        };
        const { message: answers } = await transport.stream(method, AbortSignal.timeout(10_000), 10_000, header, one());
        for await (const _ of answers) break;
      }
      return 0;
    } catch (error) {
      return ConnectError.from(error).code;
    }
  }

  for (const { method, path, level } of found) {
    const name = `${method.parent.typeName}/${method.name}`;
    const allowed = harmless[`${name} ${fieldOf(path)}`];
    const expected = allowed === undefined ? "NOT_FOUND or PERMISSION_DENIED" : (Code[allowed] ?? "nothing");
    it(`${name} with another's ${fieldOf(path)}: ${expected}`, async () => {
      const message = requestOf(method, path);
      const code = await codeOf(method, message, stranger.token);
      // What only services may call is not there for the outside, which gRPC calls UNIMPLEMENTED and REST 404.
      if (allowed !== undefined) return assert.equal(code, allowed);
      const refusals = level === AccessLevel.SERVICE ? [Code.Unimplemented] : [Code.NotFound, Code.PermissionDenied];
      assert.ok(refusals.includes(code), `${Code[code] ?? code}`);
      // Without it, a request that is refused to everybody would prove nothing. What changes nothing can be asked by its owner.
      if (objectOf(objects, path) === undefined) return;
      if (level === AccessLevel.AUTHENTICATED && method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS) {
        assert.equal(await codeOf(method, message, owner.token), 0, "its owner may");
      }
    }).timeout(30_000);
  }

  it("has a valid request for each of these methods", () => {
    const names = new Set(methods.map(({ desc }) => `${desc.parent.typeName}/${desc.name}`));
    assert.deepEqual(
      Object.keys(validRequests).filter((name) => !names.has(name.split(" ")[0] ?? "")),
      [],
    );
    assert.ok(found.length > 0);
  });
});

function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === "unary";
}

function isStreaming(method: DescMethod): method is DescMethodStreaming {
  return method.methodKind !== "unary";
}
