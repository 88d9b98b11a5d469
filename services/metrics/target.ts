/** An instance to collect from. */

/** One instance, as discovery names it. */
export interface Target {
  /** Its id in the registry. */
  readonly instance: string;
  readonly service: string;
  /** Where its admin listener is; undefined when it names none. */
  readonly host: string | undefined;
  readonly port: number | undefined;
}

/**
 * Instances that the settings name, as `service=host:port` of the admin listener: processes that no registry knows, such as a gateway.
 *
 * @throws Error naming the entry that is none.
 */
export function fixedTargets(entries: readonly string[]): Target[] {
  return entries.map((entry) => {
    const [, service, host, port] = /^([a-z][a-z0-9-]{0,62})=(\[[0-9a-fA-F:.]+\]|[^\s:/]+):(\d{1,5})$/.exec(entry) ?? [];
    if (service === undefined || host === undefined || Number(port) > 65_535) {
      throw new Error(`METRICS_TARGETS: expected service=host:port, got ${JSON.stringify(entry)}`);
    }
    return { instance: `${service}@${host}:${port}`, service, host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
  });
}
