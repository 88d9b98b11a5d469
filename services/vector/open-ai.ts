/** CreateEmbeddings: embeddings in the words of OpenAI's API, as its reference has them under "Create embeddings". */
import type { JsonValue, MessageInitShape } from "@bufbuild/protobuf";
import { toJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import type { HttpBodySchema } from "#gen/google/api/httpbody_pb.ts";
import type { CreateEmbeddingsRequest } from "#gen/vector/v1/vector_pb.ts";
import { notFound } from "#mesh/errors.ts";
import { bytesOf } from "./collection.ts";
import type { Embedder } from "./embedder.ts";
import { hashedModel } from "./hashed-embedding.ts";
import { mistake } from "./messages.ts";
import { wordsOf } from "./words.ts";

/** Texts of one call, and characters of a text. */
const maxTexts = 256;
const maxCharacters = 20_000;

/** The answer, as JSON. @throws INVALID_ARGUMENT naming input, NOT_FOUND for a model that is not there. */
export async function answerOpenAi(
  embedder: Embedder,
  { model: wanted, input, encodingFormat, dimensions }: CreateEmbeddingsRequest,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof HttpBodySchema>> {
  const texts = textsOf(input === undefined ? null : toJson(ValueSchema, input));
  const name = wanted || hashedModel;
  if (!embedder.models.includes(name)) throw notFound("model", name);
  const { model, vectors } = await embedder.embed(name === hashedModel ? "built-in" : "remote", texts, dimensions, signal);
  const data = vectors.map((vector, index) => ({
    object: "embedding",
    index,
    embedding: encodingFormat === "base64" ? bytesOf(vector).toString("base64") : Array.from(vector),
  }));
  // The nearest thing to tokens that the built-in embedding has.
  const words = texts.reduce((sum, text) => sum + wordsOf(text).length, 0);
  const answer = { object: "list", data, model, usage: { prompt_tokens: words, total_tokens: words } };
  return { contentType: "application/json", data: new TextEncoder().encode(JSON.stringify(answer)) };
}

function textsOf(input: JsonValue): string[] {
  const texts = Array.isArray(input) ? input : [input];
  if (texts.length === 0 || texts.length > maxTexts)
    throw mistake("input", `expected 1 to ${maxTexts} texts, got ${texts.length}`);
  return texts.map((text, at) => {
    const field = Array.isArray(input) ? `input[${at}]` : "input";
    if (typeof text !== "string") throw mistake(field, "expected a text (lists of tokens are not taken)");
    if (text.length > maxCharacters) throw mistake(field, `expected at most ${maxCharacters} characters, got ${text.length}`);
    return text;
  });
}
