/** Example calls of discovery's routes. */
import { type AliasCall, anything } from "./alias-call.ts";

/** In the name of somebody who is no administrator. */
export const discoveryCalls: readonly AliasCall[] = [
  {
    call: "GET /api/v1/services?pageSize=1",
    rpc: "discovery.v1.DiscoveryService/ListServices",
    answer: { services: [{ name: "analysis", contracts: ["analysis.v1.AnalysisService"] }], nextPageToken: anything },
  },
  {
    call: "GET /api/v1/services/auth",
    rpc: "discovery.v1.DiscoveryService/GetService",
    answer: { name: "auth", status: "SERVICE_STATUS_UP", instances: anything },
  },
  {
    call: "GET /api/v1/services/auth/url",
    rpc: "discovery.v1.DiscoveryService/GetServiceUrl",
    answer: { url: anything, source: "URL_SOURCE_REGISTRY" },
  },
  {
    call: "GET /api/v1/services:watch",
    rpc: "discovery.v1.DiscoveryService/WatchServices",
    stream: true,
    answer: { complete: true, services: anything },
  },
  {
    call: "GET /api/v1/services/auth:watch",
    rpc: "discovery.v1.DiscoveryService/WatchServices",
    stream: true,
    answer: { complete: true, services: [{ name: "auth" }] },
  },
  {
    call: "POST /api/v1/services",
    rpc: "discovery.v1.DiscoveryService/RegisterService",
    body: { service: "tariff-engine", address: "127.0.0.1", port: 9200 },
    status: 403,
    answer: { code: 7 },
  },
  {
    call: "DELETE /api/v1/services/tariff-engine/instances/outside-tariff-engine-127.0.0.1-9200",
    rpc: "discovery.v1.DiscoveryService/DeregisterService",
    status: 403,
    answer: { code: 7 },
  },
];
