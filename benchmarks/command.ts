/** What the bench commands have in common: mistakes told in a line, numbers of flags, progress. */
import { parseArgs, type ParseArgsConfig } from "node:util";
import { RelataError } from "../core/errors.ts";

/** What was typed, or is in a file, is wrong. The message says the fix. */
export class UsageError extends Error {}

/** The exit code of what could not be done. */
export const EXIT_USAGE = 2;

/** Runs a command to its exit code; libtensorflow's threads do not end by themselves. */
export async function command(run: () => Promise<number> | number): Promise<never> {
  let code: number;
  try {
    code = await run();
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof RelataError)) throw error;
    process.stderr.write(`${error instanceof RelataError ? String(error) : error.message}\n`);
    code = EXIT_USAGE;
  }
  if (process.stderr.isTTY) progress("");
  await new Promise<void>((done) => process.stdout.write("", () => done()));
  process.exit(code);
}

/** node:util's parseArgs; what it refuses is a UsageError. */
export function parseFlags<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** Of a flag: a number that is at least `least`. */
export function numberOf(flag: string, value: string, least: number): number {
  const number = Number(value);
  if (value.trim() === "" || !Number.isFinite(number) || number < least)
    throw new UsageError(`--${flag} ${value}: give a number that is at least ${least}`);
  return number;
}

/** As numberOf, and whole. */
export function wholeOf(flag: string, value: string, least: number): number {
  const number = numberOf(flag, value, least);
  if (!Number.isInteger(number)) throw new UsageError(`--${flag} ${value}: give a whole number`);
  return number;
}

/** Of a flag: one of some names. */
export function choiceOf<T extends string>(flag: string, value: string, choices: readonly T[]): T {
  const choice = choices.find((one) => one === value);
  if (choice === undefined) throw new UsageError(`--${flag} ${value}: give one of ${choices.join(", ")}`);
  return choice;
}

/** What is under way, on standard error; a terminal keeps the last line only. */
export function progress(message: string): void {
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${message}` : `${message}\n`);
}
