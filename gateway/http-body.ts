/** google.api.HttpBody: a body as it is, with its own content type, on the way in and out. */
import { create, type DescMessage, isMessage, type Message } from "@bufbuild/protobuf";
import { type HttpBody, HttpBodySchema } from "#gen/google/api/httpbody_pb.ts";

/** Whether the type is google.api.HttpBody, of whichever image. */
export function isHttpBody(type: DescMessage | undefined): boolean {
  return type?.typeName === HttpBodySchema.typeName;
}

/** The request's body as an HttpBody, when the type is that; undefined when it is another. */
export function readBytes(type: DescMessage | undefined, body: Uint8Array, contentType: string): Message | undefined {
  if (type === undefined || !isHttpBody(type)) return undefined;
  return create(type, { contentType: contentType === "" ? "application/octet-stream" : contentType, data: body });
}

/** The bytes and content type of a message that is an HttpBody; undefined for any other. */
export function bytesOf(message: Message): { readonly contentType: string; readonly data: Uint8Array } | undefined {
  if (!isMessage(message, HttpBodySchema)) return undefined;
  const { contentType, data }: HttpBody = message;
  // The type comes from the backend and goes into a header.
  const sound = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(\s*;[\x20-\x7e]*)?$/.test(contentType);
  return { contentType: sound ? contentType : "application/octet-stream", data };
}
