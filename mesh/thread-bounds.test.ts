import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const script = `
  import { once } from "node:events";
  import { getHeapStatistics } from "node:v8";
  import { Worker } from "node:worker_threads";
  import { boundThreadsByThemselves } from "${new URL("./thread-bounds.ts", import.meta.url)}";
  const resourceLimits = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 6 };
  const limit = async () => {
    const code = 'require("worker_threads").parentPort.postMessage(require("v8").getHeapStatistics().heap_size_limit)';
    const worker = new Worker(code, { eval: true, execArgv: [], resourceLimits });
    return (await once(worker, "message"))[0];
  };
  const own = getHeapStatistics().heap_size_limit;
  const before = await limit();
  boundThreadsByThemselves();
  const megabytes = [before, await limit()].map((bytes) => bytes / 2 ** 20);
  console.log(JSON.stringify([...megabytes, own === getHeapStatistics().heap_size_limit]));
`;

describe("boundThreadsByThemselves", () => {
  it("has a thread of 64 + 6 MB hold to that under the flags of heddle up, and leaves the process's own heap as it is", async () => {
    const flags = ["--max-old-space-size=192", "--max-semi-space-size=8", "--input-type=module", "--eval", script];
    const { stdout } = await promisify(execFile)(process.execPath, flags);
    const [before, after, same] = JSON.parse(stdout);
    assert.deepEqual([before > 192, after, same], [true, 70, true]);
  });
});
