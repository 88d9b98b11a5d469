/** Where contracts come from while the gateway runs. */
import type { FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import { ContractError } from "../contracts.ts";

/** The .proto files of contracts, with all that they import. */
export interface ContractFiles {
  /** Where they come from, for people: `image contracts.binpb`. */
  readonly origin: string;
  readonly files: readonly FileDescriptorProto[];
  /** The full names of the services to serve; undefined: all that the files hold. */
  readonly services: ReadonlySet<string> | undefined;
}

/** Hears of every change, and of mistakes: those leave what holds as it is. */
export type ContractListener = (next: ContractFiles | ContractError) => void;

/** Contracts that change. Disposing ends the watching. */
export interface ContractSource extends Disposable {
  /** What holds now. */
  readonly current: ContractFiles;
  /** The part of it that somebody wrote down for this gateway: a mistake in it stops the boot, one in the rest does not. */
  readonly floor: ContractFiles;
  /** Sets the one listener. A mistake that holds now is told at once. */
  subscribe(listener: ContractListener): void;
}

/** What sources have in common: what holds, what is wrong, and who wants to know. */
export abstract class ChangingContracts implements ContractSource {
  #current: ContractFiles;
  #mistake: ContractError | undefined;
  #listener: ContractListener = () => {};

  constructor(first: ContractFiles) {
    this.#current = first;
  }

  get current(): ContractFiles {
    return this.#current;
  }

  abstract get floor(): ContractFiles;

  subscribe(listener: ContractListener): void {
    this.#listener = listener;
    if (this.#mistake !== undefined) listener(this.#mistake);
  }

  abstract [Symbol.dispose](): void;

  /** Publishes what `find` gives, or the ContractError that it throws. */
  protected publish(find: () => ContractFiles): void {
    try {
      this.#current = find();
      this.#mistake = undefined;
    } catch (error) {
      if (!(error instanceof ContractError)) throw error;
      this.#mistake = error;
    }
    this.#listener(this.#mistake ?? this.#current);
  }
}
