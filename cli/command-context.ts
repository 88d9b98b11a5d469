import { type DataFolder, dataFolder } from "./supervisor/data-folder.ts";
import { type Paint, paintFor } from "./terminal/paint.ts";

/** What every command is given of the world around it. */
export interface CommandContext {
  /** The folder of the project: where services/, gen/ and node_modules/ are. */
  readonly root: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly out: NodeJS.WriteStream;
  readonly err: NodeJS.WriteStream;
  /** The platform's folder. It need not exist. */
  readonly folder: DataFolder;
  /** Colours for `out`. */
  readonly paint: Paint;
}

/** The context of this process. */
export function commandContext(root: string): CommandContext {
  const { env, stdout: out, stderr: err } = process;
  return { root, env, out, err, folder: dataFolder(root, env.HEDDLE_DATA), paint: paintFor(out, env) };
}
