/** A real HTTP server that keeps what it is sent, for the channels that post. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";

/** A request as it came. */
export interface ReceivedPost {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A running server. Disposing closes it and its connections. */
export interface HttpServer extends AsyncDisposable {
  readonly url: URL;
  readonly port: number;
  readonly posts: readonly ReceivedPost[];
}

/** Starts a server on a free port that answers by `answer`, default 200. */
export async function startHttp(
  answer: (response: ServerResponse, post: ReceivedPost) => void = (response) => response.end(),
): Promise<HttpServer> {
  const posts: ReceivedPost[] = [];
  const server = createServer(async (request, response) => {
    const post = { path: request.url ?? "", headers: request.headers, body: Buffer.concat(await Array.fromAsync(request)) };
    posts.push(post);
    answer(response, post);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: new URL(`http://127.0.0.1:${port}/`),
    port,
    posts,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
