/** What every command gets: where to write, and how to end. */
import { watchInterrupts, type Interrupts } from "./interrupts.ts";
import type { Terminal } from "./terminal.ts";
import { theme } from "./theme.ts";

export interface CliContext {
  readonly terminal: Terminal;
  /** What was typed after the program's name. */
  readonly argv: readonly string[];
  /** Set by a command that ends otherwise than well without an error. */
  exitCode: number;
}

/** The command as the report of a run tells it. */
export function typedCommand({ argv }: CliContext): string {
  const quoted = argv.map((word) =>
    /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`,
  );
  return ["relata", ...quoted].join(" ");
}

/**
 * Runs work that can be stopped. The first Ctrl-C aborts its signal and tells `stopping`, a second one ends the
 * process at once. An error after an interruption is the interruption itself, not a failure.
 */
export async function interruptible<T>(
  context: CliContext,
  stopping: string,
  work: (interrupts: Interrupts) => Promise<T>,
): Promise<T | undefined> {
  const { terminal } = context;
  const interrupts = watchInterrupts({
    onFirst: () => {
      terminal.clear();
      terminal.line(theme.warning(stopping));
    },
    onSecond: (exitCode) => {
      terminal.clear();
      process.exit(exitCode);
    },
  });
  try {
    return await work(interrupts);
  } catch (error) {
    if (!interrupts.signal.aborted || error !== interrupts.signal.reason) throw error;
    return undefined;
  } finally {
    terminal.clear();
    interrupts.release();
    if (interrupts.exitCode !== undefined) context.exitCode = interrupts.exitCode;
  }
}
