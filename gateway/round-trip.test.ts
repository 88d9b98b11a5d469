import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
  create,
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonValue,
  type Message,
  type Registry,
  toBinary,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import type { Transport } from "@connectrpc/connect";
import { WebSocket } from "ws";
import { type Contracts, loadContracts } from "./contracts.ts";
import { stringifyExact } from "./exact-json.ts";
import { echoContracts } from "./fixtures/echo.ts";
import { startTestGateway, type TestGateway } from "./fixtures/harness.ts";
import { shopContracts } from "./fixtures/shop.ts";
import { canonical } from "./fuzz/canonical.ts";
import { fill, randomMessage } from "./fuzz/messages.ts";
import { Random } from "./fuzz/random.ts";
import { type RestRequest, restRequest, streamItem } from "./fuzz/rest-request.ts";
import { type Route, routesOf } from "./routes.ts";

const images: readonly [name: string, contracts: () => Contracts][] = [
  ["gen/contracts.binpb", () => loadContracts(readFileSync(new URL("../gen/contracts.binpb", import.meta.url)))],
  ["echo.v1", () => echoContracts],
  ["shop", shopContracts],
];

/** How often each route is tried, with other messages. */
const tries = 4;

for (const [name, load] of images) {
  describe(`gateway/round-trip: every method of ${name} by its every binding`, () => {
    const contracts = load();
    const types = contracts.types;
    const routes = routesOf(contracts).map(({ target }) => target);
    const random = new Random(77);
    const text = (message: Message) => canonical(message, types);
    let got: Message[] = [];
    let answers: Message[] = [];
    let gateway: TestGateway;
    before(async () => {
      const roles = contracts.methods.flatMap(({ access }) => access?.role ?? []);
      gateway = await startTestGateway({
        contracts,
        transport: () =>
          recording(
            () => answers,
            (message) => got.push(message),
          ),
        rateLimit: { perSecond: 0, burst: 0 },
        verifier: {
          verify: async (token, now) => ({
            kind: "user",
            id: "u",
            roles,
            scopes: [],
            sessionId: "s",
            token,
            expiresAt: now + 60_000,
            degraded: false,
          }),
        },
      });
    });
    after(() => gateway[Symbol.asyncDispose]());
    beforeEach(() => {
      got = [];
    });

    for (const route of routes) {
      const { method, httpMethod, template } = route;
      it(`${method.parent.typeName}.${method.name}: ${httpMethod} ${template.text}`, async () => {
        for (let left = tries; left > 0; left--) {
          got = [];
          const request = restRequest({ random, types, share: random.pick([0.2, 0.6]) }, isSocket(route) ? bodied(route) : route);
          answers = random.times(isStream(route) ? 3 : 1, () => response(random, route, contracts));
          const sent = [request.message];
          const received = await exchange(route, request, sent);
          assert.deepEqual(got.map(text), sent.map(text));
          assert.deepEqual(
            received,
            answers.map((message) => shown(route, message, types)),
          );
        }
      });
    }

    /** Sends the request, of a stream with two messages more, and reads the answers as canonical texts. */
    async function exchange(route: Route, request: RestRequest, sent: Message[]): Promise<string[]> {
      const { methodKind } = route.method;
      const many = methodKind === "client_streaming" || methodKind === "bidi_streaming";
      const more =
        many && !isBytes(bodyType(route)) ? random.times(2, () => streamItem({ random, types, share: 0.3 }, bodied(route))) : [];
      sent.push(...more.map(({ message }) => message));
      const authorization = "Bearer anybody";
      if (methodKind === "bidi_streaming")
        return overSocket(
          route,
          request,
          more.map(({ body }) => body),
        );
      const accept = random.pick(["application/x-ndjson", "text/event-stream", "application/json"]);
      const type =
        request.contentType === ""
          ? {}
          : { "content-type": many && more.length > 0 ? "application/x-ndjson" : request.contentType };
      const body = more.length === 0 ? request.body : [request.body, ...more.map((item) => item.body)].join("\n");
      // What a response cache keeps would be the answer to the next request, too.
      const headers = {
        authorization,
        "cache-control": "no-cache",
        ...type,
        ...(isStream(route) ? { accept } : {}),
        "content-length": String(Buffer.byteLength(body)),
      };
      const reply = await gateway.send(`${request.httpMethod} ${request.target}`, {
        headers,
        ...(body.length === 0 ? {} : { body }),
      });
      assert.equal(
        reply.status,
        200,
        `${request.httpMethod} ${request.target} ${String(request.body).slice(0, 500)}: ${reply.text}`,
      );
      if (isBytes(answerType(route))) return bytesShown(route, reply.text, reply.headers["content-type"] ?? "");
      if (!isStream(route)) return [read(route, reply.text)];
      if (accept === "application/json")
        return (JSON.parse(reply.text) as JsonValue[]).map((item) => read(route, stringifyExact(item)));
      const lines = reply.text
        .split("\n")
        .filter((line) => line !== "" && (accept !== "text/event-stream" || line.startsWith("data: ")));
      return lines.map((line) => read(route, line.replace(/^data: /, "")));
    }

    async function overSocket(route: Route, request: RestRequest, frames: readonly string[]): Promise<string[]> {
      const headers = { authorization: "Bearer anybody" };
      const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}${request.target}`, { headers });
      const texts: string[] = [];
      socket.on("message", (data) => texts.push(String(data)));
      await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
      for (const frame of [String(request.body), ...frames, ""]) socket.send(frame);
      const code = await new Promise((resolve) => socket.once("close", resolve));
      assert.equal(code, 1000, texts.join("\n"));
      return texts.map((one) => read(route, one));
    }

    function read({ method, responseField }: Route, json: string): string {
      const value = JSON.parse(json) as JsonValue;
      const whole = responseField === undefined ? value : { [responseField.jsonName]: value };
      return canonicalAnswer(method.output, fromJson(method.output, whole, { registry: types }), types);
    }

    /** A stream of bytes comes as one; so it is compared as one, at the first place. */
    function bytesShown(route: Route, text: string, contentType: string): string[] {
      const all = answers.map((message) => bytesOf(route, message));
      assert.equal(text, all.map(({ data }) => Buffer.from(data).toString()).join(""));
      assert.equal(contentType, all[0]?.contentType);
      return answers.map((message) => shown(route, message, types));
    }
  });
}

function recording(answers: () => readonly Message[], got: (message: Message) => void): Transport {
  const decoded = (type: DescMessage, message: Message) => fromBinary(type, toBinary(type, message));
  return {
    async unary(method, _signal, _timeout, _header, input) {
      got(decoded(method.input, input as Message));
      const [message] = answers();
      return {
        stream: false,
        service: method.parent,
        method,
        header: new Headers(),
        trailer: new Headers(),
        message: message as never,
      };
    },
    async stream(method, _signal, _timeout, _header, input) {
      for await (const message of input) got(decoded(method.input, message as Message));
      const message = (async function* () {
        yield* answers() as never[];
      })();
      return { stream: true, service: method.parent, method, header: new Headers(), trailer: new Headers(), message };
    },
  };
}

/** A response; of a route with `response_body` with that field set, and of bytes with text that a test can compare. */
function response(random: Random, route: Route, { types }: Contracts): Message {
  const { method, responseField } = route;
  const message = reflect(method.output, randomMessage({ random, types, share: 0.5 }, method.output), false);
  if (responseField !== undefined) fill({ random, types }, message, responseField);
  const type = answerType(route);
  if (type !== undefined && isBytes(type)) {
    const bytes = create(type, { contentType: "text/x-test", data: Buffer.from("some bytes ") });
    if (responseField === undefined) return bytes;
    message.set(responseField, reflect(type, bytes));
  }
  return message.message;
}

/** What of the response the client can see. */
function shown({ method, responseField }: Route, message: Message, types: Registry): string {
  if (responseField === undefined) return canonicalAnswer(method.output, message, types);
  const part = reflect(method.output, create(method.output), false);
  const whole = reflect(method.output, message, false);
  if (whole.isSet(responseField)) part.set(responseField, whole.get(responseField));
  return canonicalAnswer(method.output, part.message, types);
}

/** After the wire, where a default is as good as nothing. */
function canonicalAnswer(type: DescMessage, message: Message, types: Registry): string {
  return canonical(fromBinary(type, toBinary(type, message)), types);
}

function isSocket({ method }: Route): boolean {
  return method.methodKind === "bidi_streaming";
}

function isStream({ method }: Route): boolean {
  return method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming";
}

function bodyType({ body, method }: Route): DescMessage | undefined {
  return body.kind === "field" ? body.field.message : body.kind === "whole" ? method.input : undefined;
}

function answerType({ responseField, method }: Route): DescMessage | undefined {
  return responseField === undefined ? method.output : responseField.message;
}

function isBytes(type: DescMessage | undefined): boolean {
  return type?.typeName === "google.api.HttpBody";
}

function bytesOf({ method, responseField }: Route, message: Message): { contentType: string; data: Uint8Array } {
  const value =
    responseField?.fieldKind === "message" ? reflect(method.output, message, false).get(responseField).message : message;
  return value as Message & { contentType: string; data: Uint8Array };
}

/** Over a WebSocket the frames of a rule without a body are whole messages. */
function bodied(route: Route): Route {
  return route.body.kind === "none" ? { ...route, body: { kind: "whole" } } : route;
}
