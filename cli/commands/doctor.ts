import { Command } from "commander";
import type { Check } from "../../core/engine/doctor.ts";
import type { CliContext } from "../context.ts";
import { EXIT_FAILURE } from "../failure.ts";
import { theme } from "../theme.ts";

export function doctorCommand(context: CliContext): Command {
  return new Command("doctor")
    .description("tell which library, device and precision will be used here, and what is missing")
    .option("--gpu", "examine what a GPU needs")
    .action(async ({ gpu }: { gpu?: boolean }) => {
      const { examine } = await import("../../core/engine/doctor.ts");
      const checks = await examine({ gpu, extra: [() => checkEngine(gpu ?? false)] });
      for (const line of checkLines(checks)) context.terminal.line(line);
      if (checks.some(({ ok }) => ok === false)) context.exitCode = EXIT_FAILURE;
    });
}

/** Opens TensorFlow as a run would. Nothing is installed for it. */
async function checkEngine(gpu: boolean): Promise<Check> {
  const { locateLibrary } = await import("../../core/engine/library.ts");
  const { createEngine } = await import("../../core/engine/create-engine.ts");
  const { deviceName } = await import("../../core/run/provenance.ts");
  const name = "engine";
  try {
    const library = locateLibrary({ gpu });
    if (!library) return { name, ok: "warning", value: "not tried without libtensorflow" };
    const engine = await createEngine({
      engine: "graph",
      backend: "tensorflow",
      device: gpu ? "gpu" : "cpu",
      precision: "fp32",
      jit: "off",
      threads: { intra: 0, inter: 0 },
      library: () => Promise.resolve(library),
    });
    const { description } = engine;
    engine.close();
    const device = deviceName(description.device);
    return { name, ok: true, value: `${description.kind} on ${device}, TensorFlow ${description.library}` };
  } catch (error) {
    const { RelataError } = await import("../../core/errors.ts");
    if (!(error instanceof RelataError)) throw error;
    return { name, ok: false, value: error.message, fix: error.fix };
  }
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
