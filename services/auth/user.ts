/** A person who can sign in, as the domain sees it. Times are ms since the epoch. */
export interface User {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly emailVerified: boolean;
  readonly mfaEnabled: boolean;
  readonly createTime: number;
  readonly updateTime: number;
}

/** What addresses are compared by: letters in lower case, in one Unicode form. */
export function emailKey(email: string): string {
  return email.trim().normalize("NFKC").toLowerCase();
}
