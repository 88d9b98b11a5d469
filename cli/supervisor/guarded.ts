/**
 * Runs something as the whole of this process, under the supervisor: until SIGTERM, or until stdin ends, which it does with the
 * supervisor however that dies. Then `close` is called, once, and the process ends.
 */
export async function runGuarded(start: () => Promise<{ close(): Promise<void> }>): Promise<void> {
  const asked = new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => resolve());
    if (process.env.HEDDLE_SUPERVISED === "1")
      process.stdin
        .on("error", () => resolve())
        .once("close", () => resolve())
        .resume();
  });
  try {
    const running = await start();
    await asked;
    await running.close();
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}
