/** A method to measure: its config by sizes, assembled with noise in the place of images. */
import { dirname, resolve } from "node:path";
import { loadConfig } from "../core/config/load.ts";
import { parseConfig } from "../core/config/parse.ts";
import type { Progress, ViewGroupSpec } from "../core/contexts.ts";
import type { Dataset } from "../core/data/dataset.ts";
import type { ViewBatch } from "../core/data/pipeline.ts";
import type { Feeds } from "../core/engine/engine.ts";
import { silentLogger } from "../core/logger.ts";
import { Random } from "../core/random.ts";
import { deviceName } from "../core/run/provenance.ts";
import { assemble, type Assembly, type ResolvedPlugin } from "../core/trainer/assemble.ts";
import { resolvePlugins } from "../registry/resolve.ts";
import type { BenchResult } from "./result.ts";

/** Each is the one before and something more. */
export const methods = ["dino", "ibot", "sere"] as const;

export interface MethodSizes {
  readonly method: (typeof methods)[number];
  readonly arch: string;
  /** Blocks; the arch's own where absent. */
  readonly depth?: number;
  readonly batch: number;
  /** 96² crops beside the two of 224². */
  readonly locals: number;
  readonly precision: string;
  readonly device: string;
  /** Prototypes K. */
  readonly outDim: number;
  /** Part of the patches of the student's global views that is masked. */
  readonly maskRatio: number;
  readonly dropPath: number;
  /** Colour work in the step. */
  readonly augment: boolean;
}

/** What the published figures are of. */
export const defaultSizes: MethodSizes = {
  method: "sere",
  arch: "vit-small",
  batch: 4,
  locals: 4,
  precision: "fp32",
  device: "auto",
  outDim: 8192,
  maskRatio: 0.3,
  dropPath: 0.1,
  // The figure is the network's.
  augment: false,
};

const off = { p: 0 };
const noColour = { jitter: off, grayscale: off, blur: off, solarise: off };

/** A run of the method at these sizes, with SERE's weights; the last layer learns from the first step. */
export function methodConfig(sizes: MethodSizes): object {
  const { method, outDim, maskRatio } = sizes;
  const weight = method === "sere" ? 1.65 : 1;
  const head = { outDim, normLastLayer: false, freezeLastLayerEpochs: 0, weight };
  const plugins: Record<typeof method, (string | object)[]> = {
    dino: [{ use: "dino", with: head }],
    ibot: [{ use: "ibot", with: { ...head, maskRatio, maskRatioVariation: 0 } }],
    sere: ["pixel-relation", "channel-relation"],
  };
  const colour = { firstGlobal: noColour, otherGlobals: noColour, local: noColour };
  const crops = { localCrops: { count: sizes.locals }, ...(sizes.augment ? {} : { colour }) };
  return {
    data: { dataset: "noise", workers: 0 },
    backbone: { arch: sizes.arch, depth: sizes.depth, dropPathRate: sizes.dropPath },
    train: { epochs: 100, batchSize: sizes.batch, precision: sizes.precision, device: sizes.device },
    plugins: [
      { use: "multi-crop", with: crops },
      ...methods.slice(0, methods.indexOf(method) + 1).flatMap((one) => plugins[one]),
    ],
  };
}

/** An assembled method with a batch of noise, at the first step of the second epoch. */
export interface Method {
  readonly assembly: Assembly;
  readonly plugins: readonly ResolvedPlugin[];
  readonly batch: ViewBatch;
  readonly progress: Progress;
  /** Patches of the batch's student views that are masked. */
  readonly maskedPatches: number;
  /** What a step is fed with: pixels, crops, masks, dropped branches, schedules. */
  feeds(): Feeds;
}

export function pluginNames({ plugins }: Method): string[] {
  return plugins.map(({ definition }) => definition.manifest.name);
}

/** What step a result is of: steps that differ in any of this are not compared. */
export function stepSubject(method: Method): BenchResult["subject"] {
  const { config, run, training, engine } = method.assembly;
  const { arch, embedDim, depth, patchSize, dropPathRate } = config.backbone;
  const { precision, device, jit } = engine.description;
  return {
    plugins: pluginNames(method).join("+"),
    arch: `${arch} ${embedDim}x${depth}/${patchSize}`,
    batch: run.batchSize,
    views: training.declarations.views.map(({ count, size }) => `${count}x${size}`).join("+"),
    maskedPatches: method.maskedPatches,
    dropPath: dropPathRate,
    precision,
    device: deviceName(device),
    jit,
  };
}

/** Assembles a config, or that of a file. Its variables have no values yet. */
export async function openMethod(written: object | string): Promise<Method> {
  const file = typeof written === "string" ? resolve(written) : undefined;
  const baseDir = file === undefined ? process.cwd() : dirname(file);
  const config = parseConfig(file === undefined ? written : (await loadConfig(file)).config, baseDir);
  const plugins = await resolvePlugins(config.plugins, baseDir);
  const assembly = await assemble(config, plugins, {
    baseDir,
    checkpoints: "unused",
    logger: silentLogger,
    dataset: noise,
  });
  const { training, run } = assembly;
  const progress = { step: run.stepsPerEpoch, epoch: 1 };
  const batch = noiseBatch(assembly, progress);
  return {
    assembly,
    plugins,
    batch,
    progress,
    maskedPatches: countMasked(assembly, batch, progress),
    feeds: () => training.feeds(batch, progress),
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

function noiseBatch({ run, training }: Assembly, { epoch, step }: Progress): ViewBatch {
  const random = new Random(0, "noise");
  const views = training.declarations.views;
  const pixels = ({ count, size }: ViewGroupSpec) => {
    const bytes = count * run.batchSize * size * size * run.channels;
    const words = Uint32Array.from({ length: Math.ceil(bytes / 4) }, () => random.uint32());
    return new Uint8Array(words.buffer, 0, bytes);
  };
  const crop = () => [random.uniform(0, 40), random.uniform(0, 40), 200, 200, random.integer(0, 1)];
  const rects = ({ count }: ViewGroupSpec) =>
    Float32Array.from(Array.from({ length: count * run.batchSize }, crop).flat());
  return {
    epoch,
    step,
    indices: Int32Array.from({ length: run.batchSize }, (_, i) => i),
    pixels: new Map(views.map((v) => [v.group, pixels(v)])),
    rects: new Map(views.map((v) => [v.group, rects(v)])),
    labels: new Int32Array(run.batchSize).fill(-1),
    replaced: [],
  };
}

function countMasked({ training }: Assembly, batch: ViewBatch, progress: Progress): number {
  const groups = training.declarations.views.map(({ group }) => group);
  const cells = groups.flatMap((group) => Array.from(training.maskCells(group, batch, progress) ?? []));
  return cells.filter((cell) => cell !== 0).length;
}
