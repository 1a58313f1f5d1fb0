/**
 * npm run bench:compare -- --method sere|ibot|dino --precision fp32|bf16 [--arch vit-small] [--steps 15]
 *                          [--python python3] [--compile]
 *
 * Times relata's step and the same step in PyTorch (baselines/pytorch) in turn, from the same weights on the same
 * batch, and prints one JSON result (result.ts); a table goes to standard error. Before anything counts, the losses and
 * gradient norms of every warm-up step must agree.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { exportRun } from "./baselines/export-run.ts";
import { requirePython } from "./baselines/python.ts";
import { PyTorchSide } from "./baselines/pytorch-side.ts";
import { RelataSide } from "./baselines/relata-side.ts";
import { phases, type Phase, type Side } from "./baselines/side.ts";
import { choiceOf, command, numberOf, parseFlags, progress, UsageError, wholeOf } from "./command.ts";
import { defaultSizes, methodConfig, methods, openMethod } from "./method.ts";

await command(async () => {
  const { values: flags } = parseFlags({
    options: {
      method: { type: "string", default: defaultSizes.method },
      arch: { type: "string", default: defaultSizes.arch },
      depth: { type: "string" },
      batch: { type: "string", default: String(defaultSizes.batch) },
      locals: { type: "string", default: String(defaultSizes.locals) },
      precision: { type: "string", default: defaultSizes.precision },
      "out-dim": { type: "string", default: String(defaultSizes.outDim) },
      "mask-ratio": { type: "string", default: String(defaultSizes.maskRatio) },
      "drop-path": { type: "string", default: String(defaultSizes.dropPath) },
      steps: { type: "string", default: "15" },
      warmup: { type: "string", default: "8" },
      python: { type: "string" },
      compile: { type: "boolean", default: false },
    },
  });
  const sizes = {
    ...defaultSizes,
    arch: flags.arch,
    precision: flags.precision,
    method: choiceOf("method", flags.method, methods),
    depth: flags.depth === undefined ? undefined : wholeOf("depth", flags.depth, 1),
    batch: wholeOf("batch", flags.batch, 1),
    locals: wholeOf("locals", flags.locals, 0),
    outDim: wholeOf("out-dim", flags["out-dim"], 1),
    maskRatio: numberOf("mask-ratio", flags["mask-ratio"], 0),
    dropPath: numberOf("drop-path", flags["drop-path"], 0),
    device: "cpu",
  };
  const python = requirePython(flags.python);
  const method = await openMethod(methodConfig(sizes));
  const folder = await mkdtemp(join(tmpdir(), "relata-compare-"));
  const run = join(folder, "run.safetensors");
  await exportRun(run, method, availableParallelism());
  if (process.env["KEEP"]) { process.stderr.write(run + "\n"); return 0; }
  const pytorch = await PyTorchSide.start({ python, run, compile: flags.compile });
  const relata = await RelataSide.start(method);
  for (let i = 0; i < 8; i++) {
    const a = await relata.run("step"); const b = await pytorch.run("step");
    process.stderr.write(JSON.stringify(a) + "\n" + JSON.stringify(b) + "\n");
  }
  process.stderr.write(`${await relata.peakMemoryBytes()} ${await pytorch.peakMemoryBytes()} ${pytorch.startBytes}\n`);
  for (const p of ["gradients","forward"] as Phase[]) for (let i = 0; i < 5; i++) {
    const a = await relata.run(p); const b = await pytorch.run(p);
    process.stderr.write(JSON.stringify(a) + "\n" + JSON.stringify(b) + "\n");
  }
  pytorch.close();
  await rm(folder, { recursive: true });
  return 0;
});
