import { type DescMessage, fromJson, type MessageShape } from "@bufbuild/protobuf";
import { invalidArgument } from "#mesh/errors.ts";
import type { InboxEvent } from "./inbox.ts";

/**
 * The message of a contract that an event carries in `field` of its data, as JSON. Fields that are newer than this code are passed over.
 *
 * @throws INVALID_ARGUMENT naming `data.<field>` when there is none, or something else: the inbox puts such an event aside.
 */
export function eventMessage<D extends DescMessage>(
  schema: D,
  { data }: Pick<InboxEvent, "data">,
  field: string,
): MessageShape<D> {
  try {
    return fromJson(schema, data[field] ?? null, { ignoreUnknownFields: true });
  } catch (error) {
    const description = error instanceof Error ? error.message : String(error);
    throw invalidArgument([{ field: `data.${field}`, description }]);
  }
}
