import type { Paint } from "../terminal/paint.ts";
import { tableLines } from "../terminal/table.ts";

/** A service as the registry has it. */
export interface SeenService {
  readonly name: string;
  readonly instances: readonly SeenInstance[];
}

/** One of its instances. */
export interface SeenInstance {
  readonly id: string;
  readonly address: string;
  readonly port: number;
  readonly url: string;
  readonly version: string;
  /** `passing`, `warning` or `critical`. */
  readonly health: string;
  /** Whether it is a program outside the mesh. */
  readonly outside: boolean;
}

/** The registry's word on the process of `service` at `port`, such as `passing`; `-` when it has none. */
export function healthOf(services: readonly SeenService[], service: string, port: number): string {
  const instances = services.find(({ name }) => name === service)?.instances ?? [];
  return instances.find((instance) => instance.port === port && !instance.outside)?.health ?? "-";
}

/** A table of the programs outside the mesh; nothing when there is none. */
export function outsideLines(services: readonly SeenService[], paint: Paint): readonly string[] {
  const rows = services.flatMap(({ name, instances }) =>
    instances
      .filter(({ outside }) => outside)
      .map(({ health, version, url }) => [name, paintHealth(health, paint), version || "-", url]),
  );
  return rows.length === 0
    ? []
    : ["", ...tableLines([["outside the mesh", "health", "version", "url"].map(paint.bold), ...rows])];
}

/** A health word in its colour. */
export function paintHealth(word: string, paint: Paint): string {
  const colours: Readonly<Record<string, (text: string) => string>> = {
    passing: paint.green,
    warning: paint.yellow,
    critical: paint.red,
  };
  return (colours[word] ?? paint.dim)(word);
}
