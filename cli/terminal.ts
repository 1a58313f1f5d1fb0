/** Where the CLI writes: lines that stay, and on a terminal one line below them that changes. */
import { stripVTControlCharacters } from "node:util";

/** The part of process.stdout that is used. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

const ERASE_LINE = "\r\x1b[2K";

export class Terminal {
  /** Whether the changing line is shown. */
  readonly isLive: boolean;
  private readonly out: Output;
  private shown = "";

  constructor(out: Output = process.stdout, environment: NodeJS.ProcessEnv = process.env) {
    this.out = out;
    this.isLive = out.isTTY === true && !environment["CI"] && environment["TERM"] !== "dumb";
  }

  /** Columns for the changing line. */
  get width(): number {
    // The last column stays free: some terminals begin a new line when it is filled.
    return (this.out.columns ?? 80) - 1;
  }

  /** Writes a line that stays. */
  line(text = ""): void {
    if (this.shown === "") this.out.write(`${text}\n`);
    else this.out.write(`${ERASE_LINE}${text}\n${this.shown}`);
  }

  /** Changes the changing line; without a terminal it does nothing. A text that is too long is cut. */
  live(text: string): void {
    if (!this.isLive) return;
    this.shown = stripVTControlCharacters(text).length > this.width ? cut(text, this.width) : text;
    this.out.write(ERASE_LINE + this.shown);
  }

  /** Removes the changing line: the cursor stands where the next line begins. */
  clear(): void {
    if (this.shown !== "") this.out.write(ERASE_LINE);
    this.shown = "";
  }
}

/** Without colours: an escape sequence must not be cut. */
function cut(text: string, width: number): string {
  return `${stripVTControlCharacters(text).slice(0, Math.max(0, width - 1))}…`;
}
