/**
 * `node gateway/conformance/score.ts [--no-build]`: builds the peers, runs every vector against them and our own gateway, and
 * writes the scores into README.md, between its marks. Needs Go and the Go module proxy.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bootPeer, buildPeers, type Peer, peers, startPeer } from "./peers/peers.ts";
import { startBackend } from "./runner/backend.ts";
import { buildContract, type Contract } from "./runner/contract.ts";
import { markdownReport } from "./runner/markdown.ts";
import { bootOwn, startOwn } from "./runner/own.ts";
import { type Outcome, runChapters } from "./runner/runner.ts";
import { isLenient, loadChapters } from "./runner/vector.ts";

const chapters = loadChapters();
const contract = buildContract();
if (!process.argv.includes("--no-build")) buildPeers(contract);

const outcomes: [string, Outcome[]][] = [["Heddle", await ofOwn(contract)]];
for (const peer of peers) outcomes.push([peer, await ofPeer(peer, contract)]);

const readme = join(import.meta.dirname, "README.md");
const [before = "", , after = ""] = readFileSync(readme, "utf8").split(/<!-- scores begin -->|<!-- scores end -->/);
const report = markdownReport(chapters, new Map(outcomes));
writeFileSync(readme, `${before}<!-- scores begin -->\n\n${report}\n<!-- scores end -->${after}`);

async function ofOwn(contract: Contract): Promise<Outcome[]> {
  await using undo = new AsyncDisposableStack();
  const backend = undo.use(await startBackend(contract));
  // Awaited here, since what it uses ends with this function.
  return await runChapters(chapters, async ({ gateway }) => {
    const { url } = undo.use(await startOwn(contract, backend.port, gateway));
    return { url, backend, contract, boot: bootOwn };
  });
}

/** Of the settings of chapters a peer has the lenient mode; the others run against it as it is. */
async function ofPeer(peer: Peer, contract: Contract): Promise<Outcome[]> {
  await using backend = await startBackend(contract);
  await using strict = await startPeer(peer, backend.port, false);
  await using lenient = await startPeer(peer, backend.port, true);
  const boot = (image: Uint8Array) => bootPeer(peer, contract, image);
  const found = await runChapters(chapters, (chapter) => {
    const { url } = isLenient(chapter) ? lenient : strict;
    return { url, backend, contract, boot };
  });
  process.stdout.write(`${peer}: its process ended ${strict.crashes + lenient.crashes} times by itself\n`);
  return found;
}
