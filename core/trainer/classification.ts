/** How often a run's classifier is right, on images that it was not trained on. */
import type * as tf from "@tensorflow/tfjs-core";
import type { LinearClassifier } from "../contexts.ts";
import { isEmoji } from "../data/emoji.ts";
import { labelledSplit, limitedPart, type LabelledSplit } from "../data/split.ts";
import type { Program } from "../engine/engine.ts";
import type { ProtocolCard } from "../eval/card.ts";
import { blindTopK, ranksOf, topK, TOP5_CLASSES } from "../eval/classification.ts";
import type { Evaluation } from "../eval/evaluator.ts";
import type { Features } from "../eval/features.ts";
import { named } from "../eval/task.ts";
import { linear } from "../math/index.ts";
import { LOGGER } from "../tokens.ts";
import type { Assembly } from "./assemble.ts";
import type { EvaluatorOptions, RunEvaluator } from "./evaluate.ts";
import { FeatureExtractor, trainedNetwork } from "./features.ts";
import { CenteredImages } from "./centered-images.ts";
import { plainVariant, TraceContext } from "./step-context.ts";

/** Rows of features that the program classifies at a time. */
const ROWS = 64;
const UNTESTED =
  "the classifier is not tested: all images are trained on; data.split=train or evaluation.test gives it images to test on";
/** The classifier reads what evaluations take. */
const CLASSIFIED = { probe: { blocks: 1, meanPatch: false }, mirrored: false };
const nothing: Evaluation = { results: [], scalars: {}, found: [] };

/**
 * Of a run that declared a classifier. Its figures before training are those of the classifier as the seed gives it.
 *
 * @throws EVAL_INVALID where there is nothing to test on, and what splitting and loading throw
 */
export async function classificationEvaluator(
  assembly: Assembly,
  classifier: LinearClassifier,
  options?: Pick<EvaluatorOptions, "signal">,
): Promise<RunEvaluator> {
  const split = assembly.split ?? (await splitByFolder(assembly));
  if (!split) assembly.container.get(LOGGER).warn(UNTESTED);
  const measure = split && (await classification(assembly, classifier, split, options));
  const run: RunEvaluator = {
    untrained: {},
    measureUntrained: async () => {
      run.untrained = (await run.evaluate()).scalars;
    },
    evaluate: async () => (await measure?.(run.initialWeights)) ?? nothing,
  };
  return run;
}

/** All images are trained on; there may be a folder of others. */
async function splitByFolder({ config, dataset }: Assembly): Promise<LabelledSplit | undefined> {
  const { test, testShare } = config.evaluation;
  return test === undefined ? undefined : labelledSplit(dataset, { seed: config.seed, test, testShare });
}

async function classification(
  assembly: Assembly,
  classifier: LinearClassifier,
  split: LabelledSplit,
  options?: Pick<EvaluatorOptions, "signal">,
) {
  const { training, config } = assembly;
  const { size } = training.declarations.views[0]!;
  const classes = split.classNames.length;
  const tested = limitedPart(split.test, config.evaluation.limit);
  const network = trainedNetwork(training);
  const subject = { ...assembly, network, size, logger: assembly.container.get(LOGGER) };
  const extractor = new FeatureExtractor(network, { ...options, size });
  const program = await classifierProgram(assembly, extractor, classifier);
  return async (initialWeights: string | undefined): Promise<Evaluation> => {
    // Read anew each time: they need not fit the memory.
    const images = new CenteredImages(tested, subject, CLASSIFIED);
    const { pooled: features, labels } = await images.features(extractor, () => {});
    const ranks = ranksOf(await logitsOf(program, features, classes), labels, classes);
    const figures = (classes >= TOP5_CLASSES ? [1, 5] : [1]).map((k) => {
      const value = blindTopK(split.train.labels, labels, classes, k);
      return {
        name: `top-${k}`,
        value: topK(ranks, k),
        baselines: [{ name: "most frequent class" as const, value }],
      };
    });
    const card: ProtocolCard = {
      task: "classification",
      network: extractor.network.name,
      features: extractor.pooling,
      crop: `${isEmoji(assembly.dataset) ? "whole image" : "centre"} at ${size} px`,
      fitted: "network and linear classifier",
      ...trainingOf(assembly, initialWeights),
      seed: config.seed,
      bank: named({ name: split.train.name, count: split.train.indices.length }),
      queries: named({ name: tested.name, count: features.count }),
      n: features.count,
    };
    const scalars = figures.map(({ name, value }) => [`classification/${name.replace("-", "")}`, value]);
    return { ...nothing, results: [{ card, figures }], scalars: Object.fromEntries(scalars) };
  };
}

/** Features [ROWS, D] to logits [ROWS, C]. */
function classifierProgram(
  { training }: Assembly,
  { network }: FeatureExtractor,
  { weight, bias }: LinearClassifier,
): Promise<Program> {
  const { declarations, state, engine } = training;
  const trace = TraceContext.trace(declarations, state, plainVariant, (context) => {
    const shape = [ROWS, declarations.backbone.embedDim];
    const features = context.input("features", shape, "float32") as tf.Tensor2D;
    const read = (handle: LinearClassifier["weight"]) => context.read(handle, network);
    context.tracer.output("logits", linear(features, read(weight), read(bias)));
  });
  return engine.program("classify", trace);
}

/** [count, classes] */
async function logitsOf(
  program: Program,
  { data, count, dim }: Features,
  classes: number,
): Promise<Float32Array> {
  const logits = new Float32Array(count * classes);
  const rows = new Float32Array(ROWS * dim);
  for (let first = 0; first < count; first += ROWS) {
    const held = Math.min(ROWS, count - first);
    rows.fill(0).set(data.subarray(first * dim, (first + held) * dim));
    const { logits: own } = await program.run({ features: rows });
    logits.set((own as Float32Array).subarray(0, held * classes), first * classes);
  }
  return logits;
}

/** What the network was trained with, for the protocol card. */
function trainingOf(assembly: Assembly, initialWeights: string | undefined) {
  const { config, plugins } = assembly;
  const { epochs, batchSize, lr, minLr, warmupEpochs, weightDecay, clipGrad } = config.train;
  const { backbone, views } = assembly.training.declarations;
  const { size, scale, flip } = views[0]!;
  const share = scale.map((value) => Number((100 * value).toFixed(1)));
  const options = plugins.flatMap(({ definition, options }) =>
    Object.entries(options as object)
      .filter(([, value]) => ["string", "number", "boolean"].includes(typeof value))
      .map(([name, value]) => [`${definition.manifest.name}.${name}`, value as string | number | boolean]),
  );
  const training = {
    "initial weights": initialWeights ?? "drawn from the seed",
    minLr,
    warmupEpochs,
    weightDecay,
    clipGrad,
    dropPathRate: Number(Math.max(...backbone.dropPathRates).toFixed(6)),
    crop: `${share.join(" to ")} % of the area at ${size} px, mirrored with ${flip}`,
    ...(Object.fromEntries(options) as Record<string, string | number | boolean>),
  };
  return { epochs, batchSize, lr, training };
}
