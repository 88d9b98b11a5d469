/** What a command shows on a terminal, as an SVG picture: text that can be selected, sharp at any size. */
import { execFile } from "node:child_process";
import headless, { type IBufferCell } from "@xterm/headless";

/** Width and height of one cell in pixels, at the font size below; what monospaced fonts commonly have. */
const [cellWidth, lineHeight, fontSize, margin] = [8.4, 19, 14, 16];
/** The first eight of a terminal's colours, on a dark ground. */
const palette = ["#8b949e", "#ff7b72", "#7ee787", "#e3b341", "#79c0ff", "#d2a8ff", "#76e3ea", "#c9d1d9"];
const [ground, ink] = ["#0d1117", "#c9d1d9"];

/** A command to show. */
export interface Scene {
  /** What a user types, shown in the first line. */
  readonly prompt: string;
  /** The program and its words that are run for it. */
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Columns of the terminal; lines that are longer are broken. Default 110. */
  readonly columns?: number;
  /** Lines that are shown, the last ones; default all. */
  readonly lines?: number;
  /** What is written differently in the picture, such as a port that only the picture's platform has. */
  readonly rewrite?: (line: string) => string;
}

/**
 * Runs the command on a terminal of its own and draws what stands there at its end. Uses `script` (Debian: bsdutils) for the terminal.
 *
 * @throws Error when the command fails.
 */
export async function terminalPicture({ prompt, command, env, cwd, columns = 110, lines, rewrite }: Scene): Promise<string> {
  const bytes = await runOnTerminal(command, columns, env, cwd);
  const terminal = new headless.Terminal({ cols: columns, rows: 200, allowProposedApi: true });
  await new Promise<void>((resolve) => terminal.write(bytes, resolve));
  const shown: Span[][] = [];
  const buffer = terminal.buffer.active;
  for (let y = 0; y < buffer.length; y++) shown.push(spansOf(buffer.getLine(y), columns));
  terminal.dispose();
  while (shown.at(-1)?.length === 0) shown.pop();
  const rest = lines === undefined ? shown : shown.slice(-lines);
  const first: Span[] = [
    { at: 0, text: "$ ", style: "dim" },
    { at: 2, text: prompt, style: "bold" },
  ];
  return draw(prompt, [first, ...rest.map((line) => rewritten(line, rewrite))], columns);
}

interface Span {
  readonly at: number;
  readonly text: string;
  /** `bold`, `dim`, a colour of the palette as `c1`, or several. */
  readonly style: string;
}

function runOnTerminal(command: readonly string[], columns: number, env: NodeJS.ProcessEnv, cwd: string): Promise<Buffer> {
  const words = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  const args = ["-qefc", `stty cols ${columns} rows 200; ${words}`, "/dev/null"];
  return new Promise((resolve, reject) => {
    const options = { cwd, env: { ...env, TERM: "xterm-256color" }, encoding: "buffer" as const, maxBuffer: 2 ** 24 };
    execFile("script", args, options, (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${command.join(" ")} failed:\n${stdout}`, { cause: error }));
    });
  });
}

/** Runs of cells that look the same. */
function spansOf(line: ReturnType<headless.Terminal["buffer"]["active"]["getLine"]>, columns: number): Span[] {
  const spans: { at: number; text: string; style: string }[] = [];
  for (let x = 0; x < columns; x++) {
    const cell = line?.getCell(x);
    const text = cell?.getChars() || " ";
    const style = cell === undefined ? "" : styleOf(cell);
    const last = spans.at(-1);
    if (last?.style === style) last.text += text;
    else spans.push({ at: x, text, style });
  }
  const end = spans.at(-1);
  if (end !== undefined) end.text = end.text.trimEnd();
  return spans.filter(({ text }) => text.trim() !== "");
}

function styleOf(cell: IBufferCell): string {
  const colour = cell.isFgPalette() ? `c${cell.getFgColor() % 8}` : "";
  return [cell.isBold() ? "bold" : "", cell.isDim() ? "dim" : "", colour].filter(Boolean).join(" ");
}

function rewritten(line: readonly Span[], rewrite: Scene["rewrite"]): readonly Span[] {
  return rewrite === undefined ? line : line.map((span) => ({ ...span, text: rewrite(span.text) }));
}

function draw(title: string, lines: readonly (readonly Span[])[], columns: number): string {
  const width = Math.ceil(columns * cellWidth + 2 * margin);
  const height = lines.length * lineHeight + 2 * margin;
  const texts = lines.flatMap((line, y) =>
    line.map(({ at, text, style }) => {
      const x = (margin + at * cellWidth).toFixed(1);
      // The length keeps the columns in line whatever font the reader has.
      const length = (text.length * cellWidth).toFixed(1);
      const look = style === "" ? "" : ` class="${style}"`;
      return `<text x="${x}" y="${margin + y * lineHeight + fontSize}" textLength="${length}"${look}>${escaped(text)}</text>`;
    }),
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
<title>${escaped(title)}</title>
<style>text{font:${fontSize}px ui-monospace,Menlo,Consolas,monospace;fill:${ink}}.bold{font-weight:bold}.dim{opacity:.6}${palette
    .map((colour, n) => `.c${n}{fill:${colour}}`)
    .join("")}</style>
<rect width="100%" height="100%" rx="8" fill="${ground}"/>
${texts.join("\n")}
</svg>
`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
