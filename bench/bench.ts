/**
 * `npm run bench [name...]`: measures what the promises are about, on the platform as `npm start` runs it. Without names, all.
 * What it prints goes into bench/RESULTS.md, by hand, with the command.
 */
import { boot } from "./boot.ts";
import { calculation } from "./calculation.ts";
import { events } from "./events.ts";
import { metrics } from "./metrics.ts";
import { queue } from "./queue.ts";
import { signIn } from "./sign-in.ts";
import { unary } from "./unary.ts";
import { vector } from "./vector.ts";

const benches: Readonly<Record<string, () => Promise<void>>> = {
  boot,
  calculation,
  events,
  metrics,
  queue,
  "sign-in": signIn,
  unary,
  vector,
};

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(benches);
for (const name of names) {
  const bench = benches[name];
  if (bench === undefined) {
    process.stderr.write(`no bench ${JSON.stringify(name)}: expected ${Object.keys(benches).join(", ")}\n`);
    process.exit(2);
  }
  process.stdout.write(`\n## ${name}\n`);
  await bench();
}
