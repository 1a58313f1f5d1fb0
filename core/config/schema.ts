/**
 * The schema of a run: one place for validation, types and documentation. `RunConfig` is what a person writes,
 * `ResolvedConfig` the same with every default filled in; a resolved config is a valid one, and stays as it is.
 */
import { availableParallelism } from "node:os";
import { z } from "zod";
import { LINEAR_LRS, PROTOCOLS } from "../eval/protocols.ts";
import { vitArchitectures } from "../vit/vit.ts";
import { pluginEntry } from "./plugin-entry.ts";

const count = z.int().positive();
const orZero = z.int().nonnegative();
const positive = z.number().positive();
const nonnegative = z.number().nonnegative();
const fraction = z.number().min(0).max(1);

/** ImageNet's, by number of channels. */
const NORMALISATION = {
  3: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  1: { mean: [0.449], std: [0.226] },
} as const;

function pathProblem(dataset: string, path: string | readonly string[] | undefined): string | undefined {
  if (dataset === "image-folder" && path === undefined) return "an image-folder needs the folder's path";
  if (dataset === "image-folder" && typeof path !== "string") return "an image-folder is one folder";
  if ((dataset === "webdataset" || dataset === "parquet") && path === undefined)
    return `${dataset} needs the path of its files: a folder, a pattern or a list`;
  return undefined;
}

const data = z
  .strictObject({
    dataset: z
      .string()
      .default("image-folder")
      .describe("image-folder, webdataset, parquet, emoji, or the name a plugin gives its own"),
    path: z
      .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
      .optional()
      .describe(
        "of the images, from the config's folder: the folder of an image-folder; a folder of shards, a pattern such as train-{000..009}.tar, or a list",
      ),
    limit: count.optional().describe("use at most this many images, evenly spaced"),
    split: z
      .enum(["all", "train"])
      .default("all")
      .describe(
        "what is trained on: all images, or those that evaluations learn from and do not test on (evaluation.test, evaluation.testShare)",
      ),
    channels: z
      .union([z.literal(1), z.literal(3)])
      .default(3)
      .describe("1 for grey images, 3 for colour"),
    mean: z.array(z.number()).optional().describe("of each channel, 0..1; ImageNet's by default"),
    std: z.array(positive).optional().describe("of each channel; ImageNet's by default"),
    background: z
      .string()
      .regex(/^#[0-9a-f]{6}$/i, 'expected a colour such as "#ffffff"')
      .default("#ffffff")
      .describe("what lies under transparent pixels"),
    workers: orZero
      .default(() => (availableParallelism() > 2 ? 2 : 1))
      .describe("threads that decode and crop, 0 for none; 1 or 2 by the machine's cores"),
    prefetch: count.default(2).describe("batches made ahead"),
    shuffleBlocks: count
      .optional()
      .describe(
        "blocks of 1024 images of a shard, or row groups of parquet files, that are mixed at a time; 16 by default, or as many as fit",
      ),
    readTimeout: positive.default(60).describe("seconds that one try to read an image may take"),
    maxUnreadable: fraction
      .default(0.1)
      .describe("share of an epoch's samples that may be unreadable before the run ends"),
  })
  .superRefine(({ dataset, path, channels, mean, std }, context) => {
    const problem = pathProblem(dataset, path);
    if (problem !== undefined) context.addIssue({ code: "custom", path: ["path"], message: problem });
    for (const [name, values] of Object.entries({ mean, std })) {
      if (values === undefined || values.length === channels) continue;
      const message = `expected one number for each of the ${channels} channels, got ${values.length}`;
      context.addIssue({ code: "custom", path: [name], message });
    }
  })
  .transform((given) => ({
    ...given,
    mean: given.mean ?? [...NORMALISATION[given.channels].mean],
    std: given.std ?? [...NORMALISATION[given.channels].std],
  }));

const sizes = ["embedDim", "depth", "numHeads"] as const;

const backbone = z
  .strictObject({
    arch: z
      .enum(["vit-tiny", "vit-small", "vit-base", "vit-large", "vit"])
      .default("vit-small")
      .describe('sizes of the transformer; "vit" leaves them to embedDim, depth and numHeads'),
    embedDim: count.optional().describe("width D of the tokens; the arch's by default"),
    depth: count.optional().describe("blocks; the arch's by default"),
    numHeads: count.optional().describe("attention heads, a divisor of embedDim; the arch's by default"),
    mlpRatio: positive.default(4).describe("hidden width of the MLPs over embedDim"),
    patchSize: count.default(16).describe("side of a patch in pixels"),
    imageSize: count
      .optional()
      .describe(
        "view size in pixels that the position embedding is made for; the first view group's by default",
      ),
    dropPathRate: z.number().min(0).lt(1).default(0).describe("stochastic depth of the last block"),
    layerScale: positive.optional().describe("initial value of the layer scale; none by default"),
    registerTokens: orZero.default(0).describe("extra tokens that no loss reads"),
    qkvBias: z.boolean().default(true).describe("biases of queries, keys and values"),
    recompute: z
      .boolean()
      .default(false)
      .describe(
        "keep only the input of each block for its gradient and compute it again: less memory, more time",
      ),
  })
  .transform((given) => {
    const arch = given.arch === "vit" ? undefined : vitArchitectures[given.arch];
    return {
      ...given,
      embedDim: given.embedDim ?? arch?.embedDim,
      depth: given.depth ?? arch?.depth,
      numHeads: given.numHeads ?? arch?.numHeads,
    };
  })
  .superRefine((sized, context) => {
    const { arch, embedDim, numHeads, patchSize, imageSize } = sized;
    const problem = (key: string, message: string) =>
      context.addIssue({ code: "custom", path: [key], message });
    for (const size of sizes) {
      if (sized[size] === undefined)
        problem(size, `arch "${arch}" has no size of its own: give ${sizes.join(", ")}`);
    }
    if (embedDim !== undefined && numHeads !== undefined && embedDim % numHeads !== 0) {
      problem("numHeads", `embedDim ${embedDim} is not a multiple of numHeads ${numHeads}`);
    }
    if (imageSize !== undefined && imageSize % patchSize !== 0) {
      problem("imageSize", `${imageSize} is not a multiple of patchSize ${patchSize}`);
    }
  })
  .transform((sized) => sized as typeof sized & Record<(typeof sizes)[number], number>);

/** The value of evaluation.dense.masks that is no folder. */
export const ALPHA = "alpha";

/** DINO's warm-up; a shorter run is all warm-up. */
const WARMUP_EPOCHS = 10;

/** What computes, and how: of a run, and of a network that only gives features. */
export const computing = {
  precision: z
    .enum(["fp32", "bf16"])
    .default("fp32")
    .describe("of matrix products; sums and losses stay fp32"),
  engine: z.enum(["graph", "eager"]).default("graph").describe("one captured TensorFlow graph, or op by op"),
  backend: z
    .enum(["tensorflow", "cpu"])
    .default("tensorflow")
    .describe("of the eager engine; cpu needs no library"),
  device: z.enum(["cpu", "gpu", "auto"]).default("auto").describe("auto: a GPU where one can be used"),
  jit: z
    .enum(["off", "fused", "xla"])
    .default("fused")
    .describe("compile with XLA: nothing, elementwise pieces, or all of the graph"),
  threads: z
    .strictObject({
      intra: orZero.default(0).describe("threads within an op; 0 lets TensorFlow choose"),
      inter: orZero.default(0).describe("ops at a time; 0 lets TensorFlow choose"),
    })
    .prefault({}),
};

const train = z
  .strictObject({
    epochs: count.describe("passes over the images"),
    maxSteps: count.optional().describe("stop after this many updates; schedules still go by epochs"),
    batchSize: count.describe("samples per update over all processes"),
    microBatch: count
      .optional()
      .describe("samples per forward pass, a divisor of batchSize (default: batchSize)"),
    lr: positive
      .default(5e-4)
      .describe("peak learning rate per 256 samples: it is scaled by batchSize / 256"),
    minLr: nonnegative.default(1e-6).describe("learning rate at the end, not scaled"),
    warmupEpochs: nonnegative
      .optional()
      .describe(`epochs of linear warm-up (default: ${WARMUP_EPOCHS}, or all)`),
    weightDecay: nonnegative.default(0.04).describe("at the start"),
    weightDecayEnd: nonnegative.default(0.4).describe("at the end, on a cosine"),
    decayBiases: z.boolean().default(false).describe("weight decay on biases too"),
    clipGrad: nonnegative
      .nullable()
      .default(3)
      .describe("largest norm of each tensor's gradient; 0 or null for no limit"),
    adam: z
      .strictObject({
        beta1: z.number().min(0).lt(1).default(0.9),
        beta2: z.number().min(0).lt(1).default(0.999),
        epsilon: positive.default(1e-8),
      })
      .prefault({}),
    ...computing,
  })
  .superRefine(({ epochs, batchSize, microBatch, warmupEpochs, engine, precision, device }, context) => {
    const problem = (key: string, message: string) =>
      context.addIssue({ code: "custom", path: [key], message });
    if (microBatch !== undefined && batchSize % microBatch !== 0) {
      problem("microBatch", `batchSize ${batchSize} is not a multiple of microBatch ${microBatch}`);
    }
    if (warmupEpochs !== undefined && warmupEpochs > epochs) {
      problem("warmupEpochs", `${warmupEpochs} epochs of warm-up do not fit in ${epochs} epochs`);
    }
    if (engine === "eager" && precision !== "fp32")
      problem("precision", "the eager engine computes in fp32 only");
    if (engine === "eager" && device === "gpu") problem("device", "the eager engine runs on the CPU only");
  })
  .transform((given) => ({
    ...given,
    microBatch: given.microBatch ?? given.batchSize,
    warmupEpochs: given.warmupEpochs ?? Math.min(WARMUP_EPOCHS, given.epochs),
    clipGrad: given.clipGrad ?? 0,
  }));

export const runSchema = z.strictObject({
  seed: orZero.default(0).describe("all randomness follows from it"),
  name: z
    .string()
    .regex(/^[\w.-]+$/, "expected letters, digits, dots, dashes and underscores")
    .optional()
    .describe("of the run's folder and report"),
  data: data.prefault({}),
  backbone: backbone.prefault({}),
  train: train.describe("the trainer's numbers"),
  teacher: z
    .strictObject({
      momentum: fraction.default(0.996).describe("of the teacher's moving average, at the start"),
      momentumEnd: fraction.default(1).describe("at the end, on a cosine"),
    })
    .prefault({}),
  checkpoint: z
    .strictObject({
      everyEpochs: count.default(1),
      everySteps: count.optional(),
      keepLast: count.default(2).describe("older checkpoints are removed"),
      keepEveryEpochs: count.optional().describe("those of whole multiples of this are kept for good"),
      best: z
        .string()
        .min(1)
        .optional()
        .describe(
          "a figure of the evaluations, such as knn/top1: the checkpoint where it is highest is kept",
        ),
    })
    .prefault({}),
  evaluation: z
    .strictObject({
      protocols: z
        .array(z.enum(PROTOCOLS))
        .default(["knn"])
        .describe("what a run is evaluated by; `relata eval` names its own"),
      everyEpochs: orZero
        .default(0)
        .describe("evaluate at the end of every so many epochs, and of the run; 0 of the run alone"),
      knn: z
        .strictObject({
          k: count.default(20).describe("neighbours that vote"),
          temperature: positive.default(0.07).describe("of the votes' weights exp(similarity / temperature)"),
        })
        .prefault({}),
      linear: z
        .strictObject({
          epochs: count.default(100).describe("passes over the training images"),
          batchSize: count.default(256).describe("images a step; all of them where there are fewer"),
          lrs: z
            .array(positive)
            .min(1)
            .default([...LINEAR_LRS])
            .describe("learning rates, all trained side by side, per 256 images: scaled by batchSize / 256"),
          blocks: count
            .optional()
            .describe("last blocks whose class tokens are read: 4 up to a width of 384, else 1, by default"),
          meanPatch: z
            .boolean()
            .optional()
            .describe("read the mean patch token too; by default beyond a width of 384"),
          mirrored: z.boolean().default(true).describe("train on mirror images too"),
          choose: z
            .enum(["held-out", "test"])
            .default("held-out")
            .describe(
              "what the learning rate is chosen on: held-out training images, or the test images, as published",
            ),
          heldOut: z
            .number()
            .gt(0)
            .lt(1)
            .default(0.1)
            .describe("share of each class of the training images that is held out"),
        })
        .prefault({}),
      logistic: z
        .strictObject({
          c: positive.default(1).describe("inverse of the weights' penalty, as scikit-learn's C"),
          standardise: z.boolean().default(true).describe("give every feature mean 0 and deviation 1"),
        })
        .prefault({}),
      fewShot: z
        .strictObject({
          ways: z.int().min(2).default(5).describe("classes of an episode, at most"),
          shots: z.array(count).default([1, 5]).describe("labelled images of each, episodes for each number"),
          queries: count.default(15).describe("test images of each class of an episode, at most"),
          episodes: z
            .int()
            .min(2)
            .default(1000)
            .describe("draws of classes and images, for each number of shots"),
          perClass: z
            .array(z.union([count, z.number().gt(0).lt(1)]))
            .default([1, 5, 0.1])
            .describe("labelled images of every class for low-shot logistic regression; below 1 their share"),
          draws: count.default(3).describe("times that these are drawn"),
        })
        .prefault({}),
      cluster: z
        .strictObject({
          restarts: count.default(10).describe("starts of k-means, the best of which counts"),
        })
        .prefault({}),
      viewRetrieval: z
        .boolean()
        .optional()
        .describe("find each image by a changed view of it; by default where there are no labels"),
      dense: z
        .union([
          z.literal(false),
          z.strictObject({
            masks: z
              .string()
              .min(1)
              .optional()
              .describe(
                "what is foreground: alpha, the images' own; or a folder of mask files with their names, from the config's folder",
              ),
          }),
        ])
        .prefault({})
        .describe("foreground from patch features, where there are masks; emoji have their alpha"),
      limit: count.optional().describe("evaluate on at most this many images"),
      test: z
        .string()
        .min(1)
        .optional()
        .describe(
          "a folder of images in the same class folders, from the config's folder: what is learned from labels is tested on them",
        ),
      testShare: z
        .number()
        .gt(0)
        .lt(1)
        .default(0.2)
        .describe("without such a folder, the share of each class that is tested on, and not learned from"),
    })
    .prefault({}),
  health: z
    .union([
      z.literal(false),
      z.strictObject({
        window: count.default(50).describe("updates whose median is judged"),
      }),
    ])
    .prefault({})
    .describe("warn where a run collapses or diverges; false for no warnings"),
  report: z
    .strictObject({ samples: orZero.default(6).describe("images that the report shows with their views") })
    .prefault({}),
  plugins: z
    .array(pluginEntry)
    .min(1, "list at least one, such as multi-crop and dino")
    .describe("in any order"),
});

/** A run as it is written: what has a default may be left out. */
export type RunConfig = z.input<typeof runSchema>;
/** A run with every default filled in. */
export type ResolvedConfig = z.output<typeof runSchema>;
