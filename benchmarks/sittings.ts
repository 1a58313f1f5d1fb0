/** Bench commands in processes of their own. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { UsageError } from "./command.ts";
import { parseResult, figuresOf, type BenchResult } from "./result.ts";

/** Runs a command to its result; its progress goes to this process's standard error. */
export async function runBench([name, ...args]: BenchResult["command"]): Promise<BenchResult> {
  const script = join(import.meta.dirname, `${name}.ts`);
  const child = spawn(process.execPath, [...process.execArgv, script, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  await new Promise((done, failed) => child.on("close", done).on("error", failed));
  const told = [`bench:${name}`, ...args].join(" ");
  const output = Buffer.concat(chunks).toString();
  if (output === "") throw new UsageError(`${told} ended without a result: see above`);
  return parseResult(output, told);
}

/** Results of the same measurement, one after the other, as one: with the conditions of the first. */
export function mergeSittings(results: readonly BenchResult[]): BenchResult {
  const first = results[0]!;
  const samples = Object.fromEntries(
    Object.keys(first.samples).map((name) => [name, results.flatMap((result) => result.samples[name]!)]),
  );
  return { ...first, samples, figures: figuresOf(first.figures, samples) };
}
