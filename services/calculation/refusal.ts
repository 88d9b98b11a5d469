/** A request that cannot be calculated as it stands. It crosses from a thread as data. */

/** What is wrong with which field. Becomes INVALID_ARGUMENT. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly field: string;

  constructor(field: string, description: string) {
    super(description);
    this.field = field;
  }
}
