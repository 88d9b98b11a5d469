/** What a .proto file defines, and what it refers to. */
import type { DescriptorProto, FieldDescriptorProto, FileDescriptorProto } from "@bufbuild/protobuf/wkt";

/** The full names of a file's services. */
export function serviceNames(file: FileDescriptorProto): string[] {
  return file.service.map(({ name }) => scoped(file.package, name));
}

/** The full names of a file's messages, enums, services and extensions. */
export function symbolsOf(file: FileDescriptorProto): string[] {
  const of = (scope: string, messages: readonly DescriptorProto[]): string[] =>
    messages.flatMap(({ name, nestedType, enumType }) => {
      const full = scoped(scope, name);
      return [full, ...enumType.map((nested) => scoped(full, nested.name)), ...of(full, nestedType)];
    });
  return [
    ...of(file.package, file.messageType),
    ...file.enumType.map(({ name }) => scoped(file.package, name)),
    ...serviceNames(file),
    ...file.extension.map(({ name }) => scoped(file.package, name)),
  ];
}

/** A name that stands in a file for a message or an enum: absolute with a leading dot, else relative to its scope. */
export interface Reference {
  readonly name: string;
  /** Where it stands: the full name of the message, else the package. */
  readonly scope: string;
  /** Writes the full name in its place. */
  settle(symbol: string): void;
}

/** The names that a file's fields, extensions and methods refer by. */
export function referencesOf(file: FileDescriptorProto): Reference[] {
  const found: Reference[] = [];
  const add = (scope: string, name: string, set: (symbol: string) => void): void => {
    if (name !== "") found.push({ name, scope, settle: (symbol) => set(`.${symbol}`) });
  };
  const addField = (scope: string, field: FieldDescriptorProto): void => {
    add(scope, field.typeName, (symbol) => {
      field.typeName = symbol;
    });
    add(scope, field.extendee, (symbol) => {
      field.extendee = symbol;
    });
  };
  const addMessage = (scope: string, message: DescriptorProto): void => {
    const full = scoped(scope, message.name);
    for (const field of [...message.field, ...message.extension]) addField(full, field);
    for (const nested of message.nestedType) addMessage(full, nested);
  };
  for (const message of file.messageType) addMessage(file.package, message);
  for (const extension of file.extension) addField(file.package, extension);
  for (const method of file.service.flatMap((service) => service.method)) {
    add(file.package, method.inputType, (symbol) => {
      method.inputType = symbol;
    });
    add(file.package, method.outputType, (symbol) => {
      method.outputType = symbol;
    });
  }
  return found;
}

/** The symbol that a reference means: the innermost scope that knows it wins, as in C++. Undefined when none does. */
export function resolveReference({ name, scope }: Reference, known: { has(symbol: string): boolean }): string | undefined {
  if (name.startsWith(".")) return known.has(name.slice(1)) ? name.slice(1) : undefined;
  for (let at = scope; ; at = at.slice(0, Math.max(0, at.lastIndexOf(".")))) {
    const symbol = scoped(at, name);
    if (known.has(symbol)) return symbol;
    if (at === "") return undefined;
  }
}

function scoped(scope: string, name: string): string {
  return scope === "" ? name : `${scope}.${name}`;
}
