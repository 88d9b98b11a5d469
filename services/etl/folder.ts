/** The data folder: uploads and outputs. Its id tells jobs on which machine their files are. */
import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** The files of a data folder. */
export interface Folder {
  /** A UUID, the same for every process that shares the folder. */
  readonly id: string;
  readonly path: string;
  uploadFile(uploadId: string): string;
  outputFile(jobId: string): string;
  removeUpload(uploadId: string): Promise<void>;
  removeOutput(jobId: string): Promise<void>;
  /** The ids of what is there. */
  uploads(): Promise<string[]>;
  outputs(): Promise<string[]>;
}

/** Opens the folder at `path`, which is made when it is absent. */
export async function openFolder(path: string): Promise<Folder> {
  const [uploads, outputs] = [join(path, "uploads"), join(path, "outputs")];
  await mkdir(uploads, { recursive: true });
  await mkdir(outputs, { recursive: true });
  const id = await idOf(join(path, "folder-id"));
  return {
    id,
    path,
    uploadFile: (uploadId) => join(uploads, uploadId),
    outputFile: (jobId) => join(outputs, jobId),
    removeUpload: (uploadId) => rm(join(uploads, uploadId), { force: true }),
    async removeOutput(jobId) {
      await rm(join(outputs, jobId), { force: true });
      await rm(join(outputs, `${jobId}.part`), { force: true });
    },
    uploads: () => readdir(uploads),
    outputs: async () => [...new Set((await readdir(outputs)).map((name) => name.replace(/\.part$/, "")))],
  };
}

/** The first process makes the id; of several that begin at once, one. */
async function idOf(file: string): Promise<string> {
  await writeFile(file, randomUUID(), { flag: "wx" }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  for (let attempt = 1; ; attempt++) {
    const id = (await readFile(file, "utf8")).trim();
    if (/^[0-9a-f-]{36}$/.test(id)) return id;
    if (attempt === 50) throw new Error(`${file}: expected a UUID, got ${JSON.stringify(id.slice(0, 50))}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
