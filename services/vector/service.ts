/** The vector service: its wiring. */
import { VectorService } from "#gen/vector/v1/vector_pb.ts";
import { defineService, runMain } from "#mesh/service.ts";
import { openEmbedder } from "./embedder.ts";
import { vectorHandlers } from "./handlers.ts";
import { openIndexHome } from "./index-home.ts";
import { openIndexThread } from "./index-thread.ts";
import { openIndexes } from "./indexes.ts";
import { startJanitor } from "./janitor.ts";
import { remoteOf } from "./remote-embedding.ts";
import { settings } from "./settings.ts";

/** Finds what is near: by vectors, by words, by both. */
export const vector = defineService({
  name: "vector",
  port: 7012,
  contracts: [VectorService],
  settings,
  migrations: new URL("./migrations/", import.meta.url),
  async start({ config, db, log, dataDir, scope, clock }) {
    const { memoryMb, maxItems, effort } = config;
    const { path } = scope.use(openIndexHome(dataDir));
    const openThread = (onLost: (error: Error) => void) => openIndexThread({ memoryMb, onLost });
    const indexes = scope.use(await openIndexes({ db, openThread, log, path, maxBytes: memoryMb * 2 ** 20, clock }));
    const embedder = scope.use(openEmbedder(remoteOf(config)));
    scope.use(startJanitor({ db, log, clock }));
    return { implementations: [vectorHandlers({ db, indexes, embedder, clock, maxItems, effort })] };
  },
});

if (import.meta.main) await runMain(vector);
