/** Runs that are killed again and again, held to one that is not. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Random } from "../../core/random.ts";
import { readMetrics } from "../../core/report/metrics-log.ts";
import { checkpointOf, digests, type TinyConfig } from "../core/trainer/runs.ts";
import type { CallNumber, ChildSpec } from "./killed-child.ts";

const script = fileURLToPath(new URL("killed-child.ts", import.meta.url));

/** How a process ended, with what it told. */
interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly lines: readonly string[];
  readonly errors: string;
}

/** When a process is killed: before a call on a checkpoint, or some time after it begins or after its nth step. */
export type Kill =
  CallNumber | { readonly afterSteps: number; readonly ms: number } | { readonly ms: number };

/** Kills of every kind, drawn. */
export function drawKill(random: Random): Kill {
  const kind = random.integer(0, 4);
  if (kind === 0) return { ms: random.integer(0, 6000) };
  if (kind <= 2) return { call: random.integer(0, 500) };
  return { afterSteps: random.integer(1, 3), ms: random.integer(0, 80) };
}

async function runProcess(base: string, name: string, config: TinyConfig, kill?: Kill): Promise<End> {
  const spec: ChildSpec = { config, killAt: kill && "call" in kill ? kill : undefined };
  const child = spawn(
    process.execPath,
    ["--import", "tsx", "--conditions=relata-source", script, base, join(base, name), JSON.stringify(spec)],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  const dies = (ms: number) => setTimeout(() => child.kill("SIGKILL"), ms);
  let timer = kill && "ms" in kill && !("afterSteps" in kill) ? dies(kill.ms) : undefined;
  let output = "";
  let errors = "";
  child.stderr.on("data", (data) => (errors += String(data)));
  child.stdout.on("data", (data) => {
    output += String(data);
    if (!kill || !("afterSteps" in kill) || timer) return;
    if (output.split("\nstep ").length > kill.afterSteps) timer = dies(kill.ms);
  });
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((done) =>
    child.on("close", (...end) => done(end)),
  );
  clearTimeout(timer);
  return { code, signal, lines: output.split("\n").filter((line) => line !== ""), errors };
}

/** The numbers of the lines "<word> <number>". */
const numbers = ({ lines }: End, word: string): number[] =>
  lines.flatMap((line) => (line.startsWith(`${word} `) ? Number(line.slice(word.length + 1)) : []));

/**
 * Trains a run whole, and another that is killed at each of `kills` and gone on with; both must end with the same
 * bytes in every variable and the same losses, and nothing that was told as saved may be gone.
 *
 * @returns a line for each process of the second
 */
export async function holdKilledToWhole(
  base: string,
  name: string,
  config: TinyConfig,
  kills: readonly Kill[],
): Promise<string[]> {
  const whole = await runProcess(base, `${name}-whole`, config);
  assert.equal(whole.code, 0, whole.errors);

  const told: string[] = [];
  let saved = 0;
  const one = async (kill?: Kill): Promise<End> => {
    const end = await runProcess(base, `${name}-killed`, config, kill);
    const [from] = numbers(end, "start");
    if (from !== undefined) assert.ok(from >= saved, `step ${saved} was saved, and ${from} is gone on with`);
    assert.ok(!end.lines.some((line) => line.startsWith("warning ")), end.lines.join("\n"));
    saved = Math.max(saved, ...numbers(end, "checkpoint"));
    told.push(
      `${from === undefined ? "no start" : `from ${from}`}, ${end.lines.at(-1) ?? "nothing told"}, ${end.signal ?? end.code}`,
    );
    return end;
  };
  for (const kill of kills) {
    const end = await one(kill);
    assert.ok(end.signal === "SIGKILL" || end.code === 0, end.errors);
  }
  const last = await one();
  assert.equal(last.code, 0, last.errors);

  const [wanted, got] = [
    await checkpointOf(base, `${name}-whole`),
    await checkpointOf(base, `${name}-killed`),
  ];
  assert.ok(wanted.tensors.length > 100);
  assert.deepEqual(digests(got), digests(wanted));
  assert.deepEqual({ ...got, tensors: [] }, { ...wanted, tensors: [] });
  const losses = (run: string) =>
    readMetrics(join(base, run, "metrics.jsonl"))
      .filter(({ loss }) => loss !== undefined)
      .map(({ step, loss, gradNorm }) => [step, loss, gradNorm]);
  assert.deepEqual(losses(`${name}-killed`), losses(`${name}-whole`));
  return told;
}
