import type { CommandContext } from "../command-context.ts";
import { messageOf } from "../failure.ts";

/** Tells a story at the terminal, and keeps count of the promises that did not hold. */
export class Narrator {
  readonly #context: CommandContext;
  #kept = 0;
  #broken = 0;

  constructor(context: CommandContext) {
    this.#context = context;
  }

  /** A chapter: what happens next, and why one should look. */
  chapter(title: string): void {
    this.#context.out.write(`\n${this.#context.paint.bold(title)}\n`);
  }

  /** Something that was done or seen. */
  say(line: string): void {
    this.#context.out.write(`  ${line}\n`);
  }

  /** A promise: `check` answers with what was seen, and throws when it does not hold. A broken one ends nothing but the claim. */
  async promise(what: string, check: () => Promise<string>): Promise<void> {
    const { out, paint } = this.#context;
    try {
      const seen = await check();
      this.#kept += 1;
      out.write(`  ${paint.green("✔")} ${what}${seen === "" ? "" : paint.dim(`  ${seen}`)}\n`);
    } catch (error) {
      this.#broken += 1;
      out.write(`  ${paint.red("✘")} ${what}\n    ${messageOf(error)}\n`);
    }
  }

  /** The last line, and the exit code: 1 when a promise was broken. */
  end(): number {
    const { out, paint } = this.#context;
    const sum = `${this.#kept} promises kept, ${this.#broken} broken`;
    out.write(`\n${this.#broken === 0 ? paint.green(sum) : paint.red(sum)}\n`);
    return this.#broken === 0 ? 0 : 1;
  }
}
