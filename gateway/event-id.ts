/** What a contract's option heddle.v1.event_id says: which field of a streamed message is the id of its server-sent event. */
import { type DescField, type DescMessage, getOption, hasOption, type Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { event_id } from "#gen/heddle/v1/event_id_pb.ts";

/** The id of one message: a text, "" where its field is unset. */
export type EventId = (message: Message) => string;

/** How to find the id in messages of this type; undefined when the contract marks none, and ids count messages. */
export function eventIdOf(type: DescMessage): EventId | undefined {
  let known = ids.get(type);
  if (known === undefined) {
    known = { id: compile(type) };
    ids.set(type, known);
  }
  return known.id;
}

const ids = new WeakMap<DescMessage, { readonly id: EventId | undefined }>();

function compile(type: DescMessage): EventId | undefined {
  const own = type.fields.find(marksId);
  if (own !== undefined) return (message) => textOf(type, message, own);
  for (const field of type.fields) {
    if (field.fieldKind !== "message") continue;
    const inner = field.message.fields.find(marksId);
    if (inner === undefined) continue;
    return (message) => {
      const outer = reflect(type, message);
      return outer.isSet(field) ? textOf(field.message, outer.get(field).message, inner) : "";
    };
  }
  return undefined;
}

/** Only what reads well as an id: lists, maps and messages have none. */
function marksId(field: DescField): boolean {
  return field.fieldKind === "scalar" && hasOption(field, event_id) && getOption(field, event_id);
}

/** On one line: a line break would end the id, and NUL makes a browser ignore it. */
function textOf(type: DescMessage, message: Message, field: DescField): string {
  const value = reflect(type, message);
  return value.isSet(field) ? String(value.get(field)).replaceAll(/[\0\r\n]/g, " ") : "";
}
