/** The part of SMTP (RFC 5321) that a client which sends one mail asks for, with answers that a test chooses. */
import { createServer, type Socket } from "node:net";

/** A mail as it came: the envelope, and the message with its dots unstuffed. */
export interface ReceivedMail {
  readonly from: string;
  readonly to: readonly string[];
  readonly message: string;
}

/** A running server. Disposing closes it and its connections. */
export interface SmtpServer extends AsyncDisposable {
  readonly url: URL;
  readonly mails: readonly ReceivedMail[];
}

/** Starts a server on a free port. `answers` replaces the reply to a command, or "." for that to the message; null: no reply at all. */
export async function startSmtp(answers: Readonly<Record<string, string | null>> = {}): Promise<SmtpServer> {
  const mails: ReceivedMail[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket)).on("error", () => {});
    converse(socket, answers, mails);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: new URL(`smtp://127.0.0.1:${port}`),
    mails,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function converse(socket: Socket, answers: Readonly<Record<string, string | null>>, mails: ReceivedMail[]): void {
  const say = (command: string, standard: string) => {
    const answer = answers[command] === undefined ? standard : answers[command];
    if (answer !== null) socket.write(`${answer}\r\n`);
    return answer?.startsWith(standard.slice(0, 1)) === true;
  };
  let buffer = "";
  let from = "";
  let to: string[] = [];
  let inData = false;
  const steps: Readonly<Record<string, (line: string) => void>> = {
    EHLO: () => say("EHLO", "250 ready"),
    HELO: () => say("HELO", "250 ready"),
    MAIL: (line) => {
      if (say("MAIL", "250 sender ok")) from = /<(.*?)>/.exec(line)?.[1] ?? "";
    },
    RCPT: (line) => {
      if (say("RCPT", "250 recipient ok")) to.push(/<(.*?)>/.exec(line)?.[1] ?? "");
    },
    DATA: () => {
      inData = say("DATA", "354 go ahead");
    },
    QUIT: () => socket.end("221 bye\r\n"),
  };
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    buffer += chunk;
    for (;;) {
      const end = buffer.indexOf(inData ? "\r\n.\r\n" : "\r\n");
      if (end === -1) return;
      const text = buffer.slice(0, end);
      buffer = buffer.slice(end + (inData ? 5 : 2));
      if (inData) {
        inData = false;
        if (say(".", "250 2.0.0 queued")) mails.push({ from, to, message: text.replaceAll("\r\n..", "\r\n.") });
        to = [];
      } else (steps[text.slice(0, 4).toUpperCase()] ?? (() => say("?", "250 ok")))(text);
    }
  });
  say("greeting", "220 test ready");
}
