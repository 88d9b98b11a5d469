/** A real HTTP server in the place of an OpenAI-compatible endpoint. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";

/** What it was asked. */
export interface Asked {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  // biome-ignore lint/suspicious/noExplicitAny: whatever JSON came.
  readonly body: any;
}

/** A running server. Disposing closes it and its connections. */
export interface EmbeddingsServer extends AsyncDisposable {
  readonly url: string;
  readonly asked: readonly Asked[];
}

/** Starts a server that answers by `answer`. */
export async function startEmbeddings(answer: (response: ServerResponse, asked: Asked) => void): Promise<EmbeddingsServer> {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    const body = JSON.parse(Buffer.concat(await Array.fromAsync(request)).toString());
    const one = { path: request.url ?? "", headers: request.headers, body };
    asked.push(one);
    answer(response, one);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/v1`,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The answer of an endpoint whose vectors are a text's length and its place, the last one first. */
export function lengths(response: ServerResponse, { body }: Asked): void {
  const data = body.input.map((text: string, index: number) => ({
    object: "embedding",
    index,
    embedding: [text.length, 1, index],
  }));
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ object: "list", data: data.reverse(), model: body.model, usage: {} }));
}
