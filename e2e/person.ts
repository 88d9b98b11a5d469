/** Somebody with an account on a running platform, signed in. */
import assert from "node:assert/strict";
import { request } from "./http.ts";

/** A person, and REST in that person's name: each call must be answered 200. */
export interface PlatformPerson {
  readonly id: string;
  readonly email: string;
  readonly token: string;
  // biome-ignore lint/suspicious/noExplicitAny: the test states the shape of each body where it reads it
  get(path: string): Promise<any>;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  post(path: string, body: unknown): Promise<any>;
}

/** Registers `name`@example.com at the gateway and signs in. */
export async function newPerson(gateway: string, name: string): Promise<PlatformPerson> {
  const account = { email: `${name}@example.com`, password: `the long way of ${name}` };
  const call = async (method: string, path: string, body?: unknown, token?: string) => {
    const parts = { ...(body === undefined ? {} : { body }), ...(token === undefined ? {} : { token }) };
    const answer = await request(method, `${gateway}${path}`, parts);
    assert.equal(answer.status, 200, `${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const { user } = await call("POST", "/api/v1/auth/register", account);
  const { access_token: token } = await call("POST", "/api/v1/auth/login", account);
  return {
    id: user.id,
    email: account.email,
    token,
    get: (path) => call("GET", path, undefined, token),
    post: (path, body) => call("POST", path, body, token),
  };
}
