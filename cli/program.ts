import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { ConfigError } from "#mesh/config.ts";
import { type CommandContext, commandContext } from "./command-context.ts";
import { Failure } from "./failure.ts";

/**
 * Runs one `heddle` command line; settles with the exit code: 0, 1 when it failed, 2 when the command line makes no sense.
 *
 * Each command's code is loaded only when it runs: `up` stays in memory for as long as the platform.
 */
export async function main(argv: readonly string[]): Promise<number> {
  const context = commandContext(join(import.meta.dirname, ".."));
  // A reader that has seen enough (`heddle logs | head`) is no mistake.
  context.out.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
  let code = 0;
  const program = commands(context, (result) => {
    code = result;
  });
  try {
    await program.parseAsync(argv, { from: "user" });
    return code;
  } catch (error) {
    return report(error, context);
  }
}

function commands(context: CommandContext, ends: (code: number) => void): Command {
  const program = new Command("heddle").description(
    "Runs and asks a Heddle platform: services, their registry and their database.",
  );
  program.version(versionOf(context.root), "-V, --version", "print the version");
  const run = async (work: Promise<number | undefined>) => ends((await work) ?? 0);

  program
    .command("up")
    .description("start the registry, the database and the services, and keep them running")
    .argument("[services...]", "only these and what they need; all when none is named")
    .option("-d, --detach", "in the background; returns when all are ready")
    .action(async (services: string[], options) => run((await import("./commands/up.ts")).up(context, services, options)));
  program
    .command("down")
    .description("stop the platform, in the reverse order")
    .action(async () => run((await import("./commands/down.ts")).down(context)));
  program
    .command("status")
    .description("show every process: state, port, restarts, time up, memory")
    .option("-w, --watch", "again every second, until Ctrl-C")
    .option("--json", "as JSON")
    .action(async (options) => run((await import("./commands/status.ts")).status(context, options)));
  program
    .command("logs")
    .description("show the logs, of one service or of all in the order of time")
    .argument("[service]", "a service, one of its instances (auth-2), postgres or consul")
    .option("-f, --follow", "go on with what is written from now on")
    .option("-n, --lines <n>", "so many lines from the end", wholeNumber(0, 1_000_000), 100)
    .option("--json", "the lines as they were written")
    .action(async (service, options) => run((await import("./commands/logs.ts")).logs(context, service, options)));
  program
    .command("restart")
    .description("replace a service's instances one after another, without refusing a call")
    .argument("<service>")
    .action(async (service) => run((await import("./commands/restart.ts")).restart(context, service)));
  program
    .command("scale")
    .description("bring a service to a number of instances")
    .argument("<service>")
    .argument("<n>", "the number, from 0 to 20", wholeNumber(0, 20))
    .action(async (service, n) => run((await import("./commands/scale.ts")).scale(context, service, n)));
  program
    .command("call")
    .description("call a method through the mesh; request and response are JSON, of a stream one line each")
    .argument("<method>", "pkg.Service/Method")
    .argument("[json]", "the request; `-` reads it from stdin, one line per message of a stream", "{}")
    .option("--token <token>", "an access token: the call is made in its holder's name")
    .option("--address <host:port>", "there, instead of asking the registry", hostAndPort)
    .option("-H, --header <name:value>", "send this header as well; may be repeated", collect, [])
    .option("--deadline <ms>", "the most that the call may take, in milliseconds", wholeNumber(1, 86_400_000))
    .action(async (method, json, options) => run((await import("./commands/call.ts")).call(context, method, json, options)));
  program
    .command("url")
    .description("print where a service is: from the registry, else from <SERVICE>_SERVICE_URL")
    .argument("<service>")
    .action(async (service) => run((await import("./commands/url.ts")).url(context, service)));
  program
    .command("doctor")
    .description("check what the platform needs on this machine, with a remedy for what is wrong")
    .action(async () => run((await import("./commands/doctor.ts")).doctor(context)));
  program
    .command("gateway")
    .description("serve any contracts as REST, from any gRPC servers")
    .option("--contracts <file>", "an image, as `buf build -o FILE.binpb` makes it; followed as it changes")
    .option("--reflect", "learn contracts from the servers themselves, by gRPC reflection")
    .option(
      "--upstream <contract=host:port>",
      "where a contract is served, or with --reflect host:port alone; may be repeated; none: ask the registry",
      collect,
    )
    .option("--port <n>", "the port to listen on; 0: any free one", wholeNumber(0, 65_535), 8080)
    .action(async (options) => run((await import("./commands/gateway.ts")).gateway(context, options)));
  program
    .command("routes")
    .description("print every REST route of the contracts: method, path, rpc, body, access")
    .option("--contracts <file>", "an image; the platform's own when none is named")
    .option("--json", "as JSON")
    .action(async (options) => run((await import("./commands/routes.ts")).routes(context, options)));
  program
    .command("route")
    .description("what becomes of a REST request")
    .command("explain")
    .description("print which rule serves a request, what each part is bound to, and why the others do not match")
    .argument("<method>", "GET, POST, ...")
    .argument("<path>", "with its query, as in '/v1/x?y=1'")
    .option("--contracts <file>", "an image; the platform's own when none is named")
    .action(async (method, path, options) =>
      run((await import("./commands/route-explain.ts")).routeExplain(context, method, path, options)),
    );
  program
    .command("openapi")
    .description("print the REST API as OpenAPI 3.1")
    .option("--contracts <file>", "an image; the platform's own when none is named")
    .option("--out <file>", "write it there")
    .action(async (options) => run((await import("./commands/openapi.ts")).openapi(context, options)));
  const begin = program.command("new").description("begin something new");
  begin
    .command("service")
    .description(
      "a service that works: contract, service config, handlers, store, migration, test, and its place in the platform",
    )
    .argument("<name>", "one word in the singular, such as recipe")
    .action(async (name) => run((await import("./commands/new-service.ts")).newService(context, name)));
  begin
    .command("gateway")
    .description("a project of its own: a contract, a gRPC server to try it on, and a gateway that serves it as REST")
    .argument("<folder>", "outside of this project; its name becomes that of the contract, such as ../library")
    .option("--port <port>", "where the gateway listens", wholeNumber(1, 65_535), 8090)
    .option("--backend <host:port>", "the gRPC server behind it", hostAndPort, "127.0.0.1:50051")
    .action(async (folder, options) => run((await import("./commands/new-gateway.ts")).newGateway(context, folder, options)));
  program
    .command("verify")
    .description("hold contracts, code and deployment to the project's rules; each failure says file, rule and fix")
    .option("--json", "as JSON")
    .action(async (options) => run((await import("./commands/verify.ts")).verify(context, options)));
  program
    .command("graph")
    .description("draw who calls whom: by the code, and on a running platform by its metrics")
    .addOption(new Option("--format <format>", "how").choices(["text", "mermaid", "svg"]).default("text"))
    .option("--out <file>", "write it there")
    .action(async (options) => run((await import("./commands/graph.ts")).graph(context, options)));
  program
    .command("config")
    .description("what the policies are")
    .command("explain")
    .description("print the policy that holds for a method, and where each value came from")
    .argument("<method>", "pkg.Service/Method")
    .action(async (method) => run((await import("./commands/config-explain.ts")).configExplain(context, method)));
  const demo = program
    .command("demo")
    .description("a narrated run on the platform that runs; ends with 1 when a promise does not hold");
  demo
    .command("resilience")
    .description("kill auth, events and the database one after another, and show that nothing is lost")
    .action(async () => run((await import("./commands/demo-resilience.ts")).demoResilience(context)));
  demo
    .command("shop")
    .description("a user pays, and sees the ledger, the event, the notification and the analytics")
    .action(async () => run((await import("./commands/demo-shop.ts")).demoShop(context)));
  demo
    .command("value")
    .description("one deal, from a hypothesis by a signed contract to what it brought and what would bring more")
    .action(async () => run((await import("./commands/demo-value.ts")).demoValue(context)));
  const saga = program.command("saga").description("the changes over several services, and what became of them");
  saga
    .command("list")
    .description("show the sagas of all services, newest first")
    .option("-s, --status <status>", "only RUNNING, COMPENSATING, STUCK, DONE or COMPENSATED ones")
    .option("-n, --limit <n>", "so many of each service", wholeNumber(1, 1000), 50)
    .option("--json", "as JSON")
    .action(async (options) => run((await import("./commands/saga.ts")).sagaList(context, options)));
  saga
    .command("show")
    .description("show a saga: its state, and every attempt at every step")
    .argument("<id>")
    .option("--json", "as JSON")
    .action(async (id, options) => run((await import("./commands/saga.ts")).sagaShow(context, id, options)));
  saga
    .command("retry")
    .description("make a saga that waits, or is stuck, try again now")
    .argument("<id>")
    .action(async (id) => run((await import("./commands/saga.ts")).sagaRetry(context, id)));
  program
    .command("admin")
    .description("make a registered user an administrator")
    .argument("<email>")
    .action(async (email) => run((await import("./commands/admin.ts")).admin(context, email)));

  for (const command of [program, ...program.commands, ...program.commands.flatMap((group) => group.commands)]) {
    // A mistake is thrown, to be reported in one line; help is shown without one.
    command
      .exitOverride()
      .configureOutput({ writeErr: () => {} })
      .showSuggestionAfterError(true)
      .allowExcessArguments(false);
  }
  return program;
}

function report(error: unknown, { err }: CommandContext): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    const help = error.code === "commander.help";
    const message = help ? "name a command" : error.message.replace(/^error: /, "").replaceAll(/\s*\n\s*/g, " ");
    err.write(`heddle: ${message} (\`heddle --help\` lists the commands)\n`);
    return 2;
  }
  if (error instanceof Failure || error instanceof ConfigError) {
    err.write(`heddle: ${error.message}\n`);
    return error instanceof Failure ? error.exitCode : 2;
  }
  err.write(`heddle: ${error instanceof Error ? error.stack : String(error)}\n`);
  return 1;
}

function versionOf(root: string): string {
  return (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string }).version;
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= min && number <= max) return number;
    throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
  };
}

function hostAndPort(text: string): string {
  const port = Number(/^[^\s/@]+:(\d{1,5})$/.exec(text)?.[1]);
  if (port > 0 && port < 65_536) return text;
  throw new InvalidArgumentError("Expected host:port.");
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
