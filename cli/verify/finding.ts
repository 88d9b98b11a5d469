/** Something that a project of Heddle must not have, with the way out. */
export interface Finding {
  /** From the root of the project, with the line where one is known: `proto/auth/v1/auth.proto:12`. */
  readonly file: string;
  /** The rule's short name, for example `access-rule`. */
  readonly rule: string;
  /** What is wrong, as one sentence. */
  readonly what: string;
  /** What to do about it. */
  readonly fix: string;
}
