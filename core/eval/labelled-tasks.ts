/** Evaluations of frozen features by labels, but for the linear probe (linear-task.ts) and k-NN (evaluator.ts). */
import { errors } from "../errors.ts";
import { Random } from "../random.ts";
import { adjustedRandIndex, normalisedMutualInformation } from "./clustering-scores.ts";
import type { Extractor } from "./extractor.ts";
import { unitRows } from "./features.ts";
import { fewShot, fewShotClasses } from "./few-shot.ts";
import { kMeans } from "./k-means.ts";
import type { LabelledSets, Progress } from "./labelled-images.ts";
import { rowsByClass } from "./labels.ts";
import { pick } from "./linear-task.ts";
import { classify, fitSoftmaxRegression } from "./softmax-regression.ts";
import { named, type Measured, type MeasuredFigure, type Task } from "./task.ts";

export interface LogisticTask extends LabelledSets {
  /** As scikit-learn's: 1 / l2. */
  readonly c: number;
  readonly standardise: boolean;
}

/** Logged as logistic/top1 and, of more than five classes, logistic/top5. */
export function logisticTask(options: LogisticTask): Task {
  const { c, standardise, numClasses, matMul } = options;
  return {
    measure: async (extractor, progress) => {
      const { train, test, card } = await readBoth(options, extractor, progress);
      progress("logistic regression");
      const found = await fitSoftmaxRegression(train.pooled, train.labels, numClasses, {
        l2: 1 / c,
        standardise,
        matMul,
      });
      const { top1, top5 } = await classify(found, test.pooled, test.labels, matMul);
      const figures = [{ name: "top-1", key: "logistic/top1", value: top1 }];
      if (top5 !== undefined) figures.push({ name: "top-5", key: "logistic/top5", value: top5 });
      const reached = found.converged ? "converged" : "not converged";
      const how = standardise ? "on standardised features" : "on features as they are";
      const fitted = `logistic regression ${how}, ${reached} in ${found.steps} L-BFGS steps`;
      return [{ card: { ...card, task: "logistic regression", fitted, c }, figures }];
    },
  };
}

export interface FewShotTask extends LabelledSets {
  /** Classes of an episode, at most. */
  readonly ways: number;
  /** Labelled images of each class: episodes of their own for each number. */
  readonly shots: readonly number[];
  /** Queries of each class of an episode, at most. */
  readonly queries: number;
  readonly episodes: number;
  /** Told of numbers of shots that too few classes have images for. */
  readonly warn: (message: string) => void;
}

/** Logged as few-shot/5-way 1-shot … */
export function fewShotTask(options: FewShotTask): Task {
  const { numClasses, episodes, seed } = options;
  return {
    measure: async (extractor, progress) => {
      const { train, test, card } = await readBoth(options, extractor, progress);
      const labels = { supportLabels: train.labels, queryLabels: test.labels, numClasses };
      const classes = (shots: number) => fewShotClasses({ ...labels, shots }).length;
      const possible = options.shots.filter((shots) => classes(shots) >= 2);
      if (possible.length === 0) {
        const least = Math.min(...options.shots);
        throw errors.evalInvalid(
          "few-shot",
          `${classes(least)} of ${numClasses} classes have ${least} training images and a test image`,
          "take fewer evaluation.fewShot.shots, or add images",
        );
      }
      for (const shots of options.shots) {
        if (!possible.includes(shots))
          options.warn(`few-shot: too few classes have ${shots} training images; ${shots}-shot is left out`);
      }
      return possible.map((shots): Measured => {
        const found = classes(shots);
        const ways = Math.min(options.ways, found);
        progress(`${ways}-way ${shots}-shot`);
        const queriesPerClass = options.queries;
        const sizes = { ways, shots, queriesPerClass, episodes };
        const sets = { ...labels, support: train.pooled, queries: test.pooled };
        const { accuracy, interval } = fewShot({ ...sets, ...sizes, seed });
        const name = `${ways}-way ${shots}-shot`;
        const figures = [{ name: "accuracy", key: `few-shot/${name}`, value: accuracy, interval }];
        const fitted = "nearest class mean of L2-normalised features";
        return { card: { ...card, task: name, fitted, ...sizes }, figures };
      });
    },
  };
}

export interface LowShotTask extends LogisticTask {
  /** Labelled images of each class, from 1; below 1 their share. */
  readonly perClass: readonly number[];
  /** Times that they are drawn, for each number. */
  readonly draws: number;
}

/** Logistic regression from a few images of every class (as MSN, arXiv 2204.07141). Logged as low-shot/1, low-shot/10 % … */
export function lowShotTask(options: LowShotTask): Task {
  const { c, standardise, numClasses, perClass, draws, seed, matMul } = options;
  return {
    measure: async (extractor, progress) => {
      const { train, test, card } = await readBoth(options, extractor, progress);
      const byClass = rowsByClass(train.labels, numClasses);
      const figures: MeasuredFigure[] = [];
      for (const each of perClass) {
        const amount = each < 1 ? `${Number((100 * each).toFixed(2))} %` : String(each);
        let top1 = 0;
        for (let draw = 0; draw < draws; draw++) {
          progress(`low-shot, ${amount} of each class, draw ${draw + 1} of ${draws}`);
          const rows = byClass.flatMap((own, label) => {
            const size = each < 1 ? Math.max(1, Math.round(each * own.length)) : each;
            const order = new Random(seed, "low-shot", amount, draw, label).permutation(own.length);
            return Array.from(order.subarray(0, size), (i) => own[i]!);
          });
          const labels = rows.map((row) => train.labels[row]!);
          const fit = { l2: 1 / c, standardise, matMul };
          const found = await fitSoftmaxRegression(pick(train.pooled, rows), labels, numClasses, fit);
          top1 += (await classify(found, test.pooled, test.labels, matMul)).top1 / draws;
        }
        const name = each < 1 ? `${amount} of each class` : `${amount} a class`;
        figures.push({ name, key: `low-shot/${amount}`, value: top1 });
      }
      const how = standardise ? "on standardised features" : "on features as they are";
      const fitted = `logistic regression ${how}`;
      return [{ card: { ...card, task: "low-shot", fitted, c, draws }, figures }];
    },
  };
}

export interface ClusterTask extends LabelledSets {
  readonly restarts: number;
}

/** k-means of the test images with as many clusters as they have classes. Logged as cluster/nmi and cluster/ari. */
export function clusterTask(options: ClusterTask): Task {
  const { numClasses, restarts, seed, crop, matMul } = options;
  return {
    measure: async (extractor, progress) => {
      const { pooled, labels } = await options.test.features(extractor, progress);
      progress("k-means");
      const k = rowsByClass(labels, numClasses).filter((rows) => rows.length > 0).length;
      const { assignments } = await kMeans(unitRows(pooled, "features"), { k, seed, restarts, matMul });
      const set = named({ name: options.test.name, count: pooled.count });
      return [
        {
          card: {
            task: "clustering",
            features: extractor.pooling,
            fitted: "k-means of L2-normalised features",
            crop,
            clusters: k,
            restarts,
            seed,
            bank: set,
            queries: set,
            n: pooled.count,
          },
          figures: [
            { name: "NMI", key: "cluster/nmi", value: normalisedMutualInformation(labels, assignments) },
            { name: "ARI", key: "cluster/ari", value: adjustedRandIndex(labels, assignments) },
          ],
        },
      ];
    },
  };
}

/** The features of both sets, and what cards say of them. */
async function readBoth(sets: LabelledSets, extractor: Extractor, progress: Progress) {
  const train = await sets.train.features(extractor, progress);
  const test = await sets.test.features(extractor, progress);
  const { crop, seed } = sets;
  const card = {
    features: extractor.pooling,
    crop,
    seed,
    bank: named({ name: sets.train.name, count: train.pooled.count }),
    queries: named({ name: sets.test.name, count: test.pooled.count }),
    n: test.pooled.count,
  };
  return { train, test, card };
}
