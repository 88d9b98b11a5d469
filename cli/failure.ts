/**
 * A command that cannot go on, with a sentence for the person at the terminal. It is printed without a stack.
 *
 * Calls that fail are ConnectErrors as everywhere; this is for what happens around them: a taken port, no platform running.
 */
export class Failure extends Error {
  override readonly name = "Failure";
  /** The exit code: 1 for what failed, 2 for a command line that makes no sense. */
  readonly exitCode: 1 | 2;

  constructor(message: string, exitCode: 1 | 2 = 1, cause?: unknown) {
    super(message, { cause });
    this.exitCode = exitCode;
  }
}

/** The message of anything thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
