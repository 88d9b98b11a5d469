import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { PasswordHasher, standardCost } from "./password-hash.ts";

const cheap = { memory: 64, passes: 1, parallelism: 1 };

describe("PasswordHasher", () => {
  it("makes a PHC string with OWASP's cost, salted, and knows the password again", async () => {
    const hasher = new PasswordHasher();
    const [one, two] = [await hasher.hash("a good passphrase"), await hasher.hash("a good passphrase")];
    assert.match(one, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    assert.notEqual(one, two);
    assert.equal(await hasher.verify("a good passphrase", one), true);
    assert.equal(await hasher.verify("a good passphrase!", one), false);
  });

  it("knows a hash that another program made", async () => {
    // From the reference implementation: echo -n password | argon2 somesalt -id -t 2 -k 256 -p 1 -e
    const hash = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    assert.equal(await new PasswordHasher().verify("password", hash), true);
  });

  it("é typed as one character or as two is the same", async () => {
    const hasher = new PasswordHasher({ cost: cheap });
    assert.equal(await hasher.verify("caf\u0065\u0301 au lait", await hasher.hash("caf\u00e9 au lait")), true);
  });

  it("is false without a hash, also for the password that stands in", async () => {
    const hasher = new PasswordHasher({ cost: cheap });
    await hasher.warmUp();
    assert.equal(await hasher.verify("", undefined), false);
  });

  it("knows which hashes were made with less work", async () => {
    const weak = await new PasswordHasher({ cost: cheap }).hash("x");
    assert.equal(new PasswordHasher({ cost: standardCost }).isOutdated(weak), true);
    assert.equal(new PasswordHasher({ cost: cheap }).isOutdated(weak), false);
  });

  it("refuses with RESOURCE_EXHAUSTED when 1 runs, 2 wait and a 4th comes; then takes new ones", async () => {
    const hasher = new PasswordHasher({ cost: cheap, concurrency: 1, queueLimit: 2 });
    const results = await Promise.allSettled([1, 2, 3, 4].map(() => hasher.hash("x")));
    assert.deepEqual(
      results.map(({ status }) => status),
      ["fulfilled", "fulfilled", "fulfilled", "rejected"],
    );
    const reason = results[3]?.status === "rejected" ? results[3].reason : undefined;
    assert.ok(reason instanceof ConnectError && reason.code === Code.ResourceExhausted);
    await hasher.hash("x");
  });
});
