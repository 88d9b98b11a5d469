/** Whether the time of a refused sign-in tells an address that exists from one that does not. */
import { request } from "../e2e/http.ts";
import { startPlatform } from "../e2e/platform.ts";
import { median } from "./median.ts";

/** 50 refusals of each kind, interleaved, each address tried at most 4 times so that none is locked out; prints medians. */
export async function signIn(): Promise<void> {
  await using platform = await startPlatform();
  const api = `${platform.gateway}/api/v1/auth`;
  const known = Array.from({ length: 13 }, (_, index) => `known${index}@example.com`);
  for (const email of known) await request("POST", `${api}/register`, { body: { email, password: "correct horse battery" } });

  const times: { wrongPassword: number[]; unknownUser: number[] } = { wrongPassword: [], unknownUser: [] };
  const refused = async (email: string) => {
    const from = performance.now();
    const { status } = await request("POST", `${api}/login`, { body: { email, password: "not this one" } });
    if (status !== 401) throw new Error(`expected 401, got ${status}`);
    return performance.now() - from;
  };
  for (let round = 0; round < 50; round++) {
    const index = Math.floor(round / 4);
    times.wrongPassword.push(await refused(known[index] ?? ""));
    times.unknownUser.push(await refused(`unknown${index}@example.com`));
  }
  const [wrong, unknown] = [median(times.wrongPassword), median(times.unknownUser)];
  console.log(`wrong password: median ${wrong.toFixed(1)} ms; unknown user: median ${unknown.toFixed(1)} ms`);
  console.log(`ratio ${(unknown / wrong).toFixed(3)}`);
}
