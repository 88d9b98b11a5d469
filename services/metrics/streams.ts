/** Which methods are streams: their time is that of whoever listens, and says nothing of how quick a service is. */
import { readFile } from "node:fs/promises";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/** The full names, as `auth.v1.AuthService/WatchRevocations`, of all streams in an image of contracts. */
export async function streamsOf(image: URL): Promise<ReadonlySet<string>> {
  const { file } = fromBinary(FileDescriptorSetSchema, await readFile(image));
  const names = file.flatMap(({ package: domain, service }) =>
    service.flatMap(({ name, method }) =>
      method.filter((one) => one.serverStreaming || one.clientStreaming).map((one) => `${domain}.${name}/${one.name}`),
    ),
  );
  return new Set(names);
}
