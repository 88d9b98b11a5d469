/** The thread that has the indexes: answers questions in their order, and in between lets graphs grow and saves them. */
import { parentPort } from "node:worker_threads";
import { IndexFolder } from "./index-folder.ts";
import type { Answered, Asked, Calls, IndexState } from "./index-protocol.ts";
import type { Row } from "./row.ts";
import { rowWords } from "./text-index.ts";

/** How long it must have been quiet before a graph is saved, in milliseconds: it takes some 100 ms for 100,000 vectors. */
const quietMs = 1000;
const maxWaitMs = 10_000;

const folders = new Map<string, IndexFolder>();
let lastAsked = 0;
let stepping = false;
let saveTimer: NodeJS.Timeout | undefined;

const answers: { [K in keyof Calls]: (given: Calls[K]["given"]) => Calls[K]["answer"] } = {
  open({ id, path, shape, upTo }) {
    const folder = folders.get(id) ?? new IndexFolder(path, shape, upTo);
    folders.set(id, folder);
    const state = stateOf(folder);
    folder.damage = undefined;
    return state;
  },
  apply({ id, changes, vectors, position }) {
    const folder = folderOf(id);
    const { dimensions } = folder.index.shape;
    let at = 0;
    const rows = changes.map(({ key, removed, text, metadata }): Row => {
      if (removed) return { key, removed };
      const vector = vectors.subarray(at, at + dimensions);
      at += dimensions;
      return { key, removed, vector, words: rowWords(text), metadata };
    });
    folder.apply(rows, position);
    return stateOf(folder);
  },
  clear({ id }) {
    folderOf(id).clear();
    return stateOf(folderOf(id));
  },
  search: ({ id, query }) => folderOf(id).index.search(query),
  state: ({ id }) => stateOf(folderOf(id)),
  close({ id, remove }) {
    const folder = folders.get(id);
    folders.delete(id);
    if (folder === undefined) return undefined;
    if (!remove && folder.unsaved > 0) folder.save();
    folder.close(remove);
    return undefined;
  },
  end() {
    for (const folder of folders.values()) {
      if (folder.unsaved > 0) folder.save();
      folder.close();
    }
    folders.clear();
    clearTimeout(saveTimer);
    parentPort?.close();
    return undefined;
  },
};

parentPort?.on("message", ({ number, call, given }: Asked) => {
  lastAsked = performance.now();
  let answered: Answered;
  try {
    answered = { number, answer: (answers[call] as (given: unknown) => unknown)(given) };
  } catch (error) {
    answered = { number, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
  parentPort?.postMessage(answered);
  startSteps();
});

/** Goes on for as long as there is something to do, with a turn of the event loop after each step, so that questions come first. */
function startSteps(): void {
  if (stepping) return;
  const busy = [...folders.values()].find((folder) => folder.busy);
  if (busy === undefined) {
    scheduleSave();
    return;
  }
  stepping = true;
  setImmediate(() => {
    stepping = false;
    // Closed since.
    if ([...folders.values()].includes(busy)) busy.step();
    startSteps();
  });
}

/** A graph is saved once it is a tenth larger than its file, and nobody asks; at the latest when somebody has asked for a while without a pause. */
function scheduleSave(): void {
  if (saveTimer !== undefined) return;
  const due = () => [...folders.values()].find(({ unsaved, index }) => unsaved > Math.max(1000, index.graphSlots / 10));
  if (due() === undefined) return;
  const since = performance.now();
  const look = () => {
    saveTimer = undefined;
    const now = performance.now();
    if (now - lastAsked < quietMs && now - since < maxWaitMs) saveTimer = setTimeout(look, quietMs);
    else {
      due()?.save();
      scheduleSave();
    }
  };
  saveTimer = setTimeout(look, quietMs);
}

function folderOf(id: string): IndexFolder {
  const folder = folders.get(id);
  if (folder === undefined) throw new Error(`index ${id} is not open`);
  return folder;
}

function stateOf({ index, position, damage }: IndexFolder): IndexState {
  return { rows: index.rows, pending: index.pending, terms: index.terms, bytes: index.bytes, position, damage };
}
