/** A process of the platform as the supervisor runs it. Ports are numbers above 0, chosen before anything starts. */
export interface ProcessSpec {
  /** The service's name, or `postgres` or `consul`. */
  readonly name: string;
  /** The absolute path of the module to run. */
  readonly entry: string;
  /** The processes that must be ready before it starts. */
  readonly needs: readonly string[];
  readonly port: number;
  readonly adminPort: number;
  /** The variable that moves the port, for the message when it is taken. */
  readonly portVariable: string;
  /** Where it answers 200 once it is ready. */
  readonly readiness: { readonly on: "port" | "admin"; readonly path: string };
  /** The resident set, in bytes, above which it is restarted; undefined: not watched. */
  readonly memoryBytes: number | undefined;
  /** What runs it: part of the platform itself, or a service that may be scaled and restarted. */
  readonly kind: "infrastructure" | "service";
  /** Clients find it in the registry, so another instance on any port can stand in for it. */
  readonly discovered: boolean;
}

/** One process of a spec: its own name and ports. */
export interface InstanceSpec extends ProcessSpec {
  /** `auth-1`; of infrastructure, which there is one of, the bare name. */
  readonly instance: string;
}

/** The n-th instance of a spec. The first has the spec's own ports. */
export function instanceOf(
  spec: ProcessSpec,
  n: number,
  ports?: { readonly port: number; readonly adminPort: number },
): InstanceSpec {
  return { ...spec, ...ports, instance: spec.kind === "infrastructure" ? spec.name : `${spec.name}-${n}` };
}
