/** The processor time of a process, as Linux counts it. */
import { readFileSync } from "node:fs";

/** Seconds in user and system mode since the start of process `pid`, in steps of a hundredth. @throws Error when there is no such process. */
export function cpuSeconds(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
