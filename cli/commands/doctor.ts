import { Command } from "commander";
import type { Check } from "../../core/engine/doctor.ts";
import type { EngineDescription } from "../../core/engine/engine.ts";
import { deviceName } from "../../core/run/provenance.ts";
import type { CliContext } from "../context.ts";
import { EXIT_FAILURE } from "../failure.ts";
import { theme } from "../theme.ts";

export function doctorCommand(context: CliContext): Command {
  return new Command("doctor")
    .description("tell which library, device and precision will be used here, and what is missing")
    .option("--gpu", "examine what a GPU needs")
    .action(async ({ gpu }: { gpu?: boolean }) => {
      const { examine } = await import("../../core/engine/doctor.ts");
      const checks = await examine({ gpu, extra: [() => openEngine(gpu ? "gpu" : "auto")] });
      for (const line of checkLines(checks)) context.terminal.line(line);
      if (checks.some(({ ok }) => ok === false)) context.exitCode = EXIT_FAILURE;
    });
}

const ENGINE = "engine";

/** Opens TensorFlow as a run with the defaults of `train` would. Nothing is installed for it. */
export async function openEngine(device: "gpu" | "auto"): Promise<Check> {
  const { locateLibrary } = await import("../../core/engine/library.ts");
  const { createEngine } = await import("../../core/engine/create-engine.ts");
  const { runSchema } = await import("../../core/config/schema.ts");
  const { RelataError } = await import("../../core/errors.ts");
  try {
    const gpu = device === "gpu";
    if (!locateLibrary({ gpu })) {
      const fix = `run \`relata setup${gpu ? " --gpu" : ""}\``;
      return {
        name: ENGINE,
        ok: "warning",
        value: `not tried without ${gpu ? "the GPU build of " : ""}libtensorflow`,
        fix,
      };
    }
    const train = runSchema.shape.train.parse({ epochs: 1, batchSize: 1, device });
    const library = (gpu: boolean) => Promise.resolve(locateLibrary({ gpu })!);
    const engine = await createEngine({ ...train, library });
    engine.close();
    return engineCheck(engine.description);
  } catch (error) {
    if (!(error instanceof RelataError)) throw error;
    return { name: ENGINE, ok: false, value: error.message, fix: error.fix };
  }
}

/** Where a step runs, and whether XLA compiles there, if it was asked to. */
export function engineCheck({ kind, device, library, jit, jitProblem }: EngineDescription): Check {
  const where = deviceName(device);
  const value = `${kind} on ${where}, TensorFlow ${library}`;
  if (jitProblem === undefined)
    return { name: ENGINE, ok: true, value: jit === "off" ? value : `${value}; XLA compiles there` };
  const compiler = where.startsWith("GPU")
    ? "`relata setup --gpu` installs CUDA's compiler"
    : "`relata setup` installs a tested build";
  return {
    name: ENGINE,
    ok: "warning",
    value: `${value}; XLA does not compile there: ${jitProblem}`,
    fix: `${compiler}; without it elementwise work is slower`,
  };
}

/** One line per check, and one for what to do about it. */
export function checkLines(checks: readonly Check[]): string[] {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const mark = { true: theme.good("✔"), warning: theme.warning("!"), false: theme.error("✖") };
  return checks.flatMap(({ name, ok, value, fix }) => [
    `${mark[`${ok}`]} ${name.padEnd(width)}  ${value}`,
    ...(fix === undefined ? [] : [`  ${" ".repeat(width)}  ${theme.quiet("fix:")} ${fix}`]),
  ]);
}
