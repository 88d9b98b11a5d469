/** A contract and the code that answers for it. */
import type { DescService } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";

/** One contract with its handlers, ready to be served. Methods without a handler answer UNIMPLEMENTED. */
export interface Implementation {
  readonly service: DescService;
  readonly methods: Partial<ServiceImpl<DescService>>;
}

/** Pairs `service` with `methods`; the compiler holds every handler to its message types and misses none. */
export function implement<S extends DescService>(service: S, methods: ServiceImpl<S>): Implementation {
  // S is known to the caller alone; from here on the methods are found by name, as the router does.
  return { service, methods: methods as Partial<ServiceImpl<DescService>> };
}
