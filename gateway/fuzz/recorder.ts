/** A backend in this process, of whatever methods: it keeps what each request came to, and answers with it. */
import { create, type DescMessage, fromBinary, type Message, type Registry, toBinary, toJson } from "@bufbuild/protobuf";
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
  /** The types of the contract. */
  types: Registry;

  constructor(types: Registry) {
    this.types = types;
  }

  /** Encodes and decodes what it gets, as a backend over gRPC would. */
  readonly transport: Transport = {
    unary: async (method, _signal, _timeoutMs, header, input) => {
      const bytes = toBinary(method.input, input as never);
      this.#waiting.get(new Headers(header).get("fuzz") ?? "")?.push({ method: method.name, bytes });
      const message = this.#answer(method.output, bytes);
      return { stream: false, service: method.parent, method, header: new Headers(), trailer: new Headers(), message };
    },
    stream: () => Promise.reject(internal("there are no streams here")),
  };

  /** The request; where ProtoJSON has no form for it, an empty message, as of a backend that does not store such things. */
  #answer<D extends DescMessage>(type: D, bytes: Uint8Array) {
    const message = fromBinary(type, bytes);
    return isExpressible(type, message, this.types) ? message : create(type);
  }

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

/** Whether ProtoJSON can say it: not so a time beyond the year 9999, an Any of an unknown type, a mask of a name like `a_1`. */
export function isExpressible(type: DescMessage, message: Message, types: Registry): boolean {
  try {
    toJson(type, message, { registry: types });
    return true;
  } catch {
    return false;
  }
}
