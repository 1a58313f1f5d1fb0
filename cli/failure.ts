/** How an error is told, and the exit code that goes with it. */
import { RelataError } from "../core/errors.ts";
import { pluginLine } from "./plugin-line.ts";
import { theme } from "./theme.ts";

/** Nothing was started: what was typed or configured is wrong. */
export const EXIT_USAGE = 2;
export const EXIT_FAILURE = 1;

const USAGE_CODES =
  /^(USAGE|CONFIG_|PRESET_|PLUGIN_(?!THREW)|DATASET_|EMOJI_MISSING|VIEW_|NO_|BATCH_TOO_LARGE|RUN_MISSING|RUN_FOLDER_EXISTS|OUTPUT_(EXISTS|FORMAT)|CHECKPOINT_(STEP|NETWORK|BEST)|REPLAY_MISSING|BEST_UNKNOWN|RESUME_DIFFERS)/;

/** They tell another error, their cause, and do not say where themselves. */
const OF_PLUGIN_CODE = /^PLUGIN_(THREW|LOAD)$/;

export function exitCodeOf(error: unknown): number {
  return error instanceof RelataError && USAGE_CODES.test(error.code) ? EXIT_USAGE : EXIT_FAILURE;
}

/** A block of lines: the code, what happened, where, the fix; with `verbose` the stack, and what led to it. */
export function describeError(error: unknown, { verbose }: { verbose: boolean }): string {
  const known = error instanceof RelataError;
  const lines = [
    `${theme.error("✖")} ${theme.error(theme.heading(known ? error.code : "UNEXPECTED_ERROR"))}`,
    indent(known ? error.told : messageOf(error)),
    ...placeOf(error),
    `  ${theme.good("fix:")} ${known ? error.fix : "run the command again with --verbose, and report what it prints"}`,
  ];
  if (verbose) lines.push(...stacks(error).map((stack) => theme.quiet(indent(stack))));
  return lines.join("\n");
}

/** The line of a plugin's file that an error came out of, where it came out of a plugin. */
function placeOf(error: unknown): string[] {
  if (!(error instanceof RelataError)) return [];
  if (error.where === undefined && !OF_PLUGIN_CODE.test(error.code)) return [];
  const line = pluginLine(error);
  return line === undefined ? [] : [theme.quiet(`  at ${line}`)];
}

/** Of the error, and of those that led to it. */
function stacks(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  const [cause, ...earlier] = stacks(error.cause);
  const own = error.stack ?? error.message;
  return cause === undefined ? [own] : [own, `because of ${cause}`, ...earlier];
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, "  ");
}
