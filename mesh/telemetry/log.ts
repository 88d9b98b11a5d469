/** The log of a process: JSON lines on standard output, by pino. */
import { type DestinationStream, destination, type Logger as PinoLogger, pino } from "pino";
import { currentContext } from "../context.ts";
import { errorFields } from "./error-fields.ts";
import { redact } from "./redact.ts";

/** A pino logger. Pass values as the first argument, a fixed sentence as the second: `log.info({ port }, "listening")`. */
export type Logger = PinoLogger;

/**
 * Opens the log.
 *
 * Every line carries `service` and `instance`, and, inside a call, `correlationId` and `traceId`. Values under names such as
 * `authorization`, `password`, `secret`, `token` or `api_key` are replaced, at any depth (see redact.ts).
 *
 * @param o.level trace, debug, info, warn, error, fatal or silent.
 * @param o.destination where lines go; by default standard output, written before the call returns, so that a process which
 *   dies in the next statement has said its last words.
 */
export function createLogger(o: { service: string; instance: string; level: string; destination?: DestinationStream }): Logger {
  const options = {
    level: o.level,
    base: { service: o.service, instance: o.instance },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: {
      level: (label: string) => ({ level: label }),
      log: redact,
    },
    mixin: contextFields,
    serializers: { err: errorFields },
  };
  return redactChildren(pino(options, o.destination ?? destination({ dest: 1, sync: true })));
}

/** pino passes a child's bindings through no formatter. Children are made from their parent's prototype, so this holds for all. */
function redactChildren(log: Logger): Logger {
  const { child } = log;
  log.child = function (this: Logger, bindings, options) {
    return child.call(this, redact(bindings), options);
  } as typeof child;
  return log;
}

function contextFields(): Record<string, string> {
  const context = currentContext();
  return context === undefined ? {} : { correlationId: context.correlationId, traceId: context.trace.traceId };
}
