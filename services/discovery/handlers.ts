/** The contract's methods: the view and the keeper as messages. */
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { DiscoveryService, UrlSource } from "#gen/discovery/v1/discovery_pb.ts";
import { failedPrecondition, notFound } from "#mesh/errors.ts";
import type { Instance } from "#mesh/registry/registry.ts";
import { environmentUrls, instanceUrl, instanceUrls, serviceUrlVariable } from "#mesh/registry/service-url.ts";
import { type Implementation, implement } from "#mesh/server/implementation.ts";
import { badPageToken, decodePageToken, encodePageToken } from "#mesh/storage/page.ts";
import type { OutsideKeeper } from "./keeper.ts";
import { contractsOf, isOutside, toInstance, toService } from "./messages.ts";
import { type Outside, outsideId, registrationOf } from "./outside.ts";
import { outsideOf, type RequestRules } from "./requests.ts";
import type { ServiceState, ServiceView } from "./view.ts";

/** What the handlers work with. */
export interface HandlerParts extends RequestRules {
  readonly view: ServiceView;
  readonly keeper: OutsideKeeper;
  /** Where <SERVICE>_SERVICE_URL stands. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Services on a page when page_size is 0. */
const defaultPageSize = 100;

/** The contract and its methods. */
export function discoveryHandlers({ view, keeper, env, ...rules }: HandlerParts): Implementation {
  let turn = 0;

  async function known(name: string): Promise<ServiceState | undefined> {
    await view.ready();
    return view.service(name);
  }

  return implement(DiscoveryService, {
    async listServices({ pageSize, pageToken, contract }) {
      await view.ready();
      const position = decodePageToken(pageToken);
      if (position !== undefined && position.length !== 1) throw badPageToken();
      const rest = view.services().filter(({ name, instances }) => {
        return name > (position?.[0] ?? "") && (contract === "" || contractsOf(instances).includes(contract));
      });
      const page = rest.slice(0, pageSize || defaultPageSize);
      const nextPageToken = page.length < rest.length ? encodePageToken([page.at(-1)?.name ?? ""]) : "";
      const { connected, ageMs } = view.freshness();
      return {
        services: page.map(toService),
        nextPageToken,
        registryConnected: connected,
        ...(Number.isFinite(ageMs) ? { age: durationFromMs(ageMs) } : {}),
      };
    },

    async getService({ service }) {
      const state = await known(service);
      if (state === undefined) throw notFound("service", service);
      return { service: toService(state) };
    },

    async getServiceUrl({ service }) {
      let away: unknown;
      // A registry that is away at the start is a reason to ask the environment.
      const state = await known(service).catch((error) => {
        away = error;
        return undefined;
      });
      const instances = state?.instances ?? [];
      const found = instanceUrls(instances);
      if (found !== undefined) {
        const passing = instances.filter(({ status }) => status === "passing").map(instanceUrl);
        const candidates = passing.length > 0 ? passing : found.urls;
        turn += 1;
        const url = candidates[turn % candidates.length] ?? "";
        return { url, source: UrlSource.REGISTRY, urls: [...found.urls] };
      }
      const [url] = environmentUrls(service, env)?.urls ?? [];
      if (url === undefined && away !== undefined) throw away;
      if (url === undefined) throw notFound(`a healthy instance, or ${serviceUrlVariable(service)}, of service`, service);
      return { url, source: UrlSource.ENVIRONMENT, urls: [url] };
    },

    async registerService(request) {
      const state = await known(request.service);
      if (state?.instances.some((instance) => !isOutside(instance))) {
        throw failedPrecondition("RESERVED", `${request.service} is a service of the mesh, which registers itself`);
      }
      const outside = await outsideOf(request, rules);
      await keeper.put(outside);
      return { instance: toInstance(seenInstance(outside)) };
    },

    async deregisterService({ service, instanceId }) {
      const seen = (await known(service))?.instances.find(({ id }) => id === instanceId);
      const kept = keeper.get(instanceId);
      if (seen !== undefined && !isOutside(seen)) {
        throw failedPrecondition("NOT_OUTSIDE", `${instanceId} is a process of the mesh, which deregisters itself when it ends`);
      }
      if (seen === undefined && kept?.service !== service) throw notFound("registration", instanceId);
      await keeper.remove(instanceId);
      return {};
    },

    async *watchServices({ service }, { signal }) {
      for await (const { services, removed, complete } of view.follow(service, signal)) {
        yield { services: services.map(toService), removed: [...removed], complete };
      }
    },
  });

  /** The instance as the view has it; as it was registered while the view has not heard of it. */
  function seenInstance(outside: Outside): Instance {
    const { id, service, address, port, tags, meta } = registrationOf(outside);
    const seen = view.service(service)?.instances.find((instance) => instance.id === outsideId(outside));
    return { id, service, address, port, tags, meta, weight: 1, status: seen?.status ?? "critical" };
  }
}
