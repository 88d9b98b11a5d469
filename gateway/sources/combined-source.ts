/** Contracts from an image and from reflection: the image's word holds for its services, reflection adds those that it lacks. */
import type { FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import { ContractError } from "../contracts.ts";
import { ChangingContracts, type ContractFiles, type ContractSource } from "./source.ts";
import { serviceNames } from "./symbols.ts";
import { unionOf } from "./union.ts";

/** Joins two sources, which it then owns. */
export function combineSources(image: ContractSource, reflection: ContractSource): ContractSource {
  return new CombinedSource(image, reflection);
}

class CombinedSource extends ChangingContracts {
  readonly #image: ContractSource;
  readonly #reflection: ContractSource;
  /** What is wrong with each of the two now. While there is anything, nothing new holds. */
  readonly #mistakes = new Map<ContractSource, readonly string[]>();

  constructor(image: ContractSource, reflection: ContractSource) {
    super(image.current);
    this.#image = image;
    this.#reflection = reflection;
    this.publish(() => join(image.current, reflection.current));
    image.subscribe((next) => this.#onChange(image, next));
    reflection.subscribe((next) => this.#onChange(reflection, next));
  }

  get floor(): ContractFiles {
    return this.#image.floor;
  }

  [Symbol.dispose](): void {
    this.#image[Symbol.dispose]();
    this.#reflection[Symbol.dispose]();
  }

  #onChange(source: ContractSource, next: ContractFiles | ContractError): void {
    if (next instanceof ContractError) this.#mistakes.set(source, next.mistakes);
    else this.#mistakes.delete(source);
    this.publish(() => {
      if (this.#mistakes.size > 0) throw new ContractError([...this.#mistakes.values()].flat());
      return join(this.#image.current, this.#reflection.current);
    });
  }
}

function join(image: ContractFiles, reflection: ContractFiles): ContractFiles {
  const inImage = new Set(image.files.flatMap(serviceNames));
  const added = new Set([...(reflection.services ?? [])].filter((service) => !inImage.has(service)));
  const origin = `${image.origin} and ${reflection.origin}`;
  return unionOf([image, { ...reflection, services: added, files: closureOf(reflection.files, added) }], origin);
}

/** The files of the services and what they import: a service that the image has brings nothing of its own. */
function closureOf(files: readonly FileDescriptorProto[], services: ReadonlySet<string>): FileDescriptorProto[] {
  const byName = new Map(files.map((file) => [file.name, file]));
  const needed = new Set<FileDescriptorProto>();
  const add = (file: FileDescriptorProto | undefined): void => {
    if (file === undefined || needed.has(file)) return;
    needed.add(file);
    for (const name of file.dependency) add(byName.get(name));
  };
  for (const file of files) if (serviceNames(file).some((name) => services.has(name))) add(file);
  return [...needed];
}
