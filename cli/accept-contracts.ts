/**
 * `npm run contracts:accept`: the contracts as they stand become the baseline that `buf breaking` holds later changes
 * against. Run it on purpose, and commit gen/baseline.binpb alone, so that the moment of acceptance can be found.
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const args = ["build", "proto", "--exclude-source-info", "-o", "gen/baseline.binpb"];
execFileSync(join(root, "node_modules/.bin/buf"), args, { cwd: root, stdio: "inherit" });
