/**
 * npm run bench:step -- --method sere|ibot|dino --arch vit-small --batch 4 --locals 4 --precision fp32|bf16
 *                       [--config run.yaml]
 *
 * Times captured training steps on noise and prints one JSON line: median seconds over the steps after warm-up,
 * images per second, peak memory, FLOPs of the mathematics (flops.ts) and their share of the matrix-product
 * speed, which is measured between the steps of the same run.
 */
import { parseArgs } from "node:util";
import { dirname, resolve } from "node:path";
import { parseConfig } from "../core/config/parse.ts";
import { loadConfig } from "../core/config/load.ts";
import type { ViewGroupSpec } from "../core/contexts.ts";
import type { Dataset } from "../core/data/dataset.ts";
import type { ViewBatch } from "../core/data/pipeline.ts";
import { GraphEngine } from "../core/engine/graph-engine.ts";
import { timeByHook, timeByOp, type TimeShare } from "../core/engine/timings.ts";
import { silentLogger } from "../core/logger.ts";
import { Random } from "../core/random.ts";
import { assemble, type Assembly } from "../core/trainer/assemble.ts";
import { resolvePlugins } from "../registry/resolve.ts";
import { methodFlops } from "./method-flops.ts";
import { MatmulPeak } from "./peak.ts";

const { values: flags } = parseArgs({
  options: {
    method: { type: "string", default: "sere" },
    arch: { type: "string", default: "vit-small" },
    batch: { type: "string", default: "4" },
    locals: { type: "string", default: "4" },
    precision: { type: "string", default: "fp32" },
    "out-dim": { type: "string", default: "8192" },
    /** Part of the patches of the student's global views that is masked. */
    "mask-ratio": { type: "string", default: "0.3" },
    "drop-path": { type: "string", default: "0.1" },
    /** Colour work in the step; off by default: the figure is the network's. */
    augment: { type: "boolean", default: false },
    steps: { type: "string", default: "15" },
    warmup: { type: "string", default: "5" },
    config: { type: "string" },
    /** Where the time goes: by op, or by plugin and hook. */
    profile: { type: "string" },
  },
});

const noColour = { jitter: { p: 0 }, grayscale: { p: 0 }, blur: { p: 0 }, solarise: { p: 0 } };

/** A method at the sizes of the flags, with SERE's weights. */
function configFromFlags(): unknown {
  const head = { outDim: Number(flags["out-dim"]), normLastLayer: false, freezeLastLayerEpochs: 0 };
  const weight = flags.method === "sere" ? 1.65 : 1;
  const mask = { maskRatio: Number(flags["mask-ratio"]), maskRatioVariation: 0 };
  const methods: Record<string, unknown[]> = {
    dino: [{ use: "dino", with: { ...head, weight } }],
    ibot: [{ use: "ibot", with: { ...head, ...mask, weight } }],
    sere: ["pixel-relation", "channel-relation"],
  };
  const order = ["dino", "ibot", "sere"];
  if (!order.includes(flags.method)) throw new Error(`--method is one of ${order.join(", ")}`);
  return {
    data: { dataset: "noise", workers: 0 },
    backbone: { arch: flags.arch, dropPathRate: Number(flags["drop-path"]) },
    train: { epochs: 100, batchSize: Number(flags.batch), precision: flags.precision, device: "auto" },
    plugins: [
      {
        use: "multi-crop",
        with: {
          localCrops: { count: Number(flags.locals) },
          ...(flags.augment
            ? {}
            : { colour: { firstGlobal: noColour, otherGlobals: noColour, local: noColour } }),
        },
      },
      // Each method is the one before and something more.
      ...order.slice(0, order.indexOf(flags.method) + 1).flatMap((method) => methods[method]!),
    ],
  };
}

/** Images that are never opened: batches are noise. */
const noise: Dataset = {
  name: "noise",
  size: 1_281_167,
  fingerprint: "noise",
  item: () => {
    throw new Error("noise has no items");
  },
};

function noiseBatch({ run, training }: Assembly): ViewBatch {
  const random = new Random(0, "noise");
  const views = training.declarations.views;
  const bytes = ({ count, size }: ViewGroupSpec) =>
    new Uint8Array(
      Uint32Array.from({ length: (count * run.batchSize * size * size * run.channels) / 4 }, () =>
        random.uint32(),
      ).buffer,
    );
  const rects = ({ count }: ViewGroupSpec) =>
    Float32Array.from({ length: count * run.batchSize * 5 }, (_, i) =>
      i % 5 < 2 ? random.uniform(0, 40) : 200,
    );
  return {
    epoch: 1,
    step: run.stepsPerEpoch,
    indices: Int32Array.from({ length: run.batchSize }, (_, i) => i),
    pixels: new Map(views.map((v) => [v.group, bytes(v)])),
    rects: new Map(views.map((v) => [v.group, rects(v)])),
    labels: new Int32Array(run.batchSize).fill(-1),
    replaced: [],
  };
}

function table(shares: readonly TimeShare[]): string {
  const total = shares.reduce((sum, { microseconds }) => sum + microseconds, 0);
  return shares
    .slice(0, 25)
    .map(({ name, microseconds, nodes }) => {
      const share = ((100 * microseconds) / total).toFixed(1).padStart(5);
      return `${name.padEnd(36)} ${(microseconds / 1000).toFixed(1).padStart(9)} ms ${share} % ${nodes} nodes\n`;
    })
    .join("");
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

const loaded = flags.config
  ? await loadConfig(flags.config)
  : { config: configFromFlags(), baseDir: process.cwd() };
const baseDir = flags.config ? dirname(resolve(flags.config)) : loaded.baseDir;
const config = parseConfig(loaded.config, baseDir);
const plugins = await resolvePlugins(config.plugins, baseDir);
const assembly = await assemble(config, plugins, {
  baseDir,
  checkpoints: "unused",
  logger: silentLogger,
  dataset: noise,
});
const { training, engine, run } = assembly;
await training.initialize();
const batch = noiseBatch(assembly);
const progress = { step: run.stepsPerEpoch, epoch: 1 };
const program = await training.program("train", progress.epoch, training.feeds(batch, progress));
const step = async () => {
  const start = performance.now();
  await program.run(training.feeds(batch, progress));
  return (performance.now() - start) / 1000;
};
const firstStep = await step();
const peak = await MatmulPeak.create(engine);
for (let i = 1; i < Number(flags.warmup); i++) {
  await step();
  await peak.run();
}
const steps: number[] = [];
const peaks: number[] = [];
for (let i = 0; i < Number(flags.steps); i++) {
  peaks.push(await peak.run());
  steps.push(await step());
}
const seconds = median(steps);
const names = plugins.map((p) => p.definition.manifest.name);
const cells = Array.from(training.maskCells("global", batch, progress) ?? []);
const masked = cells.filter((cell) => cell !== 0).length;
const flops = methodFlops(assembly, plugins, masked);
const peakFlopsPerSecond = peak.flops / median(peaks);
const result = {
  arch: config.backbone.arch,
  batch: run.batchSize,
  views: training.declarations.views.map(({ count, size }) => `${count}x${size}`).join("+"),
  plugins: names,
  maskedPatches: masked,
  precision: config.train.precision,
  device: engine.description.device,
  library: engine.description.library,
  medianSeconds: seconds,
  minSeconds: Math.min(...steps),
  imagesPerSecond: run.batchSize / seconds,
  firstStepSeconds: firstStep,
  peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
  peakFlopsPerSecond,
  ...(flops === undefined
    ? {}
    : { flops, flopsPerSecond: flops / seconds, shareOfPeak: flops / seconds / peakFlopsPerSecond }),
};
process.stdout.write(`${JSON.stringify(result)}\n`);
if (flags.profile && engine instanceof GraphEngine) {
  const { timings } = engine.profile(program, training.feeds(batch, progress));
  process.stderr.write(table(flags.profile === "op" ? timeByOp(timings) : timeByHook(timings, names)));
}
process.exit(0); // libtensorflow's threads do not end by themselves
