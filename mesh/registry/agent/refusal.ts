/** An answer other than 200 to a request of Consul's API: a status and a sentence as plain text. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** @throws Refusal always. */
export function refuse(status: number, message: string): never {
  throw new Refusal(status, message);
}
