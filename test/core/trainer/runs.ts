/** Whole runs of `train` on a few small pictures. */
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { runSchema, type ResolvedConfig, type RunConfig } from "../../../core/config/schema.ts";
import type { Progress } from "../../../core/contexts.ts";
import type { Evaluation } from "../../../core/eval/evaluator.ts";
import type { PluginUse } from "../../../core/plugin.ts";
import { Random } from "../../../core/random.ts";
import type { ViewSample } from "../../../core/report/report-data.ts";
import type { ResolvedPlugin } from "../../../core/trainer/assemble.ts";
import { FolderCheckpoints, type Checkpoint } from "../../../core/trainer/checkpoint.ts";
import {
  train,
  type StepReport,
  type TrainingStart,
  type TrainOptions,
  type TrainSummary,
} from "../../../core/trainer/train.ts";
import dino from "../../../plugins/dino/index.ts";
import multiCrop from "../../../plugins/multi-crop/index.ts";

/** Call in a `describe`: a folder with `images` for all of its tests, removed afterwards. */
export function pictureFolder(): () => string {
  let folder = "";
  before(async () => {
    folder = await makePictures();
  });
  after(() => rm(folder, { recursive: true, force: true }));
  return () => folder;
}

export const IMAGES = 10;

/** A new folder: 10 noisy PNGs of several sizes in `images`, half of them in either class folder. */
export async function makePictures(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "relata-run-"));
  for (let i = 0; i < IMAGES; i++) {
    const random = new Random(i, "picture");
    const [width, height] = [20 + i, 30 - i];
    const data = new Uint8Array(width * height * 3).map(
      (_, j) => 60 * (j % 3) + 20 * (i % 5) + random.integer(0, 60),
    );
    const path = join(folder, "images", i % 2 === 0 ? "even" : "odd");
    await mkdir(path, { recursive: true });
    await writeFile(
      join(path, `${i}.png`),
      await sharp(data, { raw: { width, height, channels: 3 } })
        .png()
        .toBuffer(),
    );
  }
  return folder;
}

export interface TinyConfig {
  readonly seed?: number;
  readonly data?: Partial<NonNullable<RunConfig["data"]>>;
  readonly train?: Partial<RunConfig["train"]>;
  readonly checkpoint?: RunConfig["checkpoint"];
  readonly evaluation?: RunConfig["evaluation"];
  readonly report?: RunConfig["report"];
}

/** 2 epochs of 5 steps with 2 samples each. */
export function tinyConfig({ data, train: numbers, ...rest }: TinyConfig = {}): ResolvedConfig {
  return runSchema.parse({
    seed: 1,
    report: { samples: 0 },
    ...rest,
    data: { path: "images", workers: 0, prefetch: 1, ...data },
    backbone: {
      arch: "vit",
      embedDim: 32,
      depth: 2,
      numHeads: 2,
      mlpRatio: 2,
      patchSize: 8,
      dropPathRate: 0.1,
    },
    train: {
      epochs: 2,
      batchSize: 2,
      lr: 0.1,
      warmupEpochs: 0,
      device: "cpu",
      threads: { intra: 1, inter: 1 },
      ...numbers,
    },
    plugins: ["given as values"],
  });
}

export const resolved = ({ definition, options }: PluginUse): ResolvedPlugin => ({
  definition,
  options: definition.manifest.options.parse(options),
});

const crop = { size: 16, count: 2 };

/** Two global views of 16 pixels, without local ones. */
export const views = multiCrop({ globalCrops: crop, localCrops: { count: 0 } });
export const tinyDino = dino({
  outDim: 16,
  hiddenDim: 16,
  bottleneckDim: 8,
  warmupTeacherTempEpochs: 1,
  teacherTemp: 0.07,
});

/** What observers of a run were told. */
export interface Told {
  readonly starts: TrainingStart[];
  readonly steps: StepReport[];
  readonly evaluations: { evaluation: Evaluation; progress: Progress }[];
  readonly checkpoints: number[];
  readonly warnings: string[];
  readonly status: string[];
  views: readonly ViewSample[];
}

export interface TinyRun extends TinyConfig {
  /** Where the images are and the run is made. */
  readonly base: string;
  /** Name of the run's folder (default "run"). */
  readonly name?: string;
  /** What the networks see (default: two global views of 16 pixels). */
  readonly crops?: PluginUse;
  /** The method (default: DINO). */
  readonly method?: readonly PluginUse[];
  readonly options?: Partial<TrainOptions>;
  /** Told so far, also where training fails. */
  readonly told?: Told;
}

export const nothingTold = (): Told => ({
  starts: [],
  steps: [],
  evaluations: [],
  checkpoints: [],
  warnings: [],
  status: [],
  views: [],
});

export async function trainTiny(run: TinyRun): Promise<{ summary: TrainSummary; told: Told }> {
  const {
    base,
    name = "run",
    crops = views,
    method = [tinyDino],
    options,
    told = nothingTold(),
    ...config
  } = run;
  const { observer, ...others } = options ?? {};
  const summary = await train(tinyConfig(config), [crops, ...method].map(resolved), {
    baseDir: base,
    folder: join(base, name),
    ...others,
    observer: {
      ...observer,
      start: (info) => told.starts.push(info),
      step: (report) => {
        told.steps.push(report);
        observer?.step?.(report);
      },
      evaluation: (evaluation, progress) => told.evaluations.push({ evaluation, progress }),
      checkpoint: (path, step) => {
        told.checkpoints.push(step);
        observer?.checkpoint?.(path, step);
      },
      warning: (message) => told.warnings.push(message),
      status: (message) => {
        told.status.push(message);
        observer?.status?.(message);
      },
      views: (samples) => {
        told.views = samples;
        observer?.views?.(samples);
      },
    },
  });
  return { summary, told };
}

/** The newest checkpoint of a run, which must be whole. */
export async function checkpointOf(base: string, name = "run"): Promise<Checkpoint> {
  const store = new FolderCheckpoints(join(base, name, "checkpoints"), { keepLast: 1 });
  const checkpoint = await store.latest((error) => {
    throw error;
  });
  if (!checkpoint) throw new Error(`${name} has no checkpoint`);
  return checkpoint;
}

/** SHA-256 of every variable by name. */
export function digests({ tensors }: Checkpoint): Record<string, string> {
  return Object.fromEntries(
    tensors.map(({ name, values }) => [
      name,
      createHash("sha256").update(Buffer.from(values.buffer)).digest("hex"),
    ]),
  );
}
