/** A backend in this process, of whatever methods: it keeps what each request came to, and answers with it. */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { internal } from "#mesh/errors.ts";

/** A call. */
export interface Recorded {
  /** The name of the method. */
  readonly method: string;
  readonly bytes: Uint8Array;
}

/** Keeps calls by the metadata `fuzz` that the request set. */
export class Recorder {
  readonly #waiting = new Map<string, Recorded[]>();
  /** Encodes and decodes what it gets, as a backend over gRPC would. */
  readonly transport: Transport = {
    unary: async (method, _signal, _timeoutMs, header, input) => {
      const bytes = toBinary(method.input, input as never);
      this.#waiting.get(new Headers(header).get("fuzz") ?? "")?.push({ method: method.name, bytes });
      const message = fromBinary(method.output, bytes);
      return { stream: false, service: method.parent, method, header: new Headers(), trailer: new Headers(), message };
    },
    stream: () => Promise.reject(internal("there are no streams here")),
  };

  /** The calls of a request from now on. */
  listen(id: string): readonly Recorded[] {
    const calls: Recorded[] = [];
    this.#waiting.set(id, calls);
    return calls;
  }

  forget(id: string): void {
    this.#waiting.delete(id);
  }
}
