import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { ContractError, loadContracts } from "../../gateway/contracts.ts";
import { compilePlan, type Plan } from "../../gateway/plan.ts";
import { Failure, messageOf } from "../failure.ts";

/** The image that `npm run generate` makes of the platform's contracts. */
export const platformImage = "gen/contracts.binpb";

/**
 * The table that a gateway would compile of an image.
 *
 * @param file default: the platform's own
 * @throws Failure when it cannot be read or its rules cannot be served, with all that is wrong.
 */
export function contractPlan(root: string, file?: string): Plan {
  const path = file ?? join(root, platformImage);
  try {
    return compilePlan(loadContracts(readFileSync(path), `image ${basename(path)}`), []);
  } catch (error) {
    throw new Failure(error instanceof ContractError ? `${path}: ${error.message}` : messageOf(error), 1, error);
  }
}
