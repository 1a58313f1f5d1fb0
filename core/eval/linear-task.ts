/**
 * The linear probe, as DINO (arXiv 2104.14294), iBOT (2111.07832) and SERE (2206.05184) report it: one linear layer on
 * the frozen network. Here features are of centre crops and their mirror images, made once, in the place of a new random
 * crop in each epoch; and the learning rate is chosen on held-out training images unless the config says otherwise.
 */
import { heldOut } from "../data/split.ts";
import { errors } from "../errors.ts";
import type { SweepPoint } from "./card.ts";
import type { ProbeReadout } from "./extractor.ts";
import type { Features } from "./features.ts";
import type { LabelledFeatures, LabelledSets } from "./labelled-images.ts";
import { MOMENTUM, type LabelledRows, type LinearSweep } from "./linear-sweep.ts";
import { named, type Task } from "./task.ts";

export interface LinearTask extends LabelledSets {
  readonly sweep: LinearSweep;
  readonly probe: ProbeReadout;
  readonly lrs: readonly number[];
  readonly epochs: number;
  readonly batchSize: number;
  /** What the learning rate is chosen on. */
  readonly choose: "held-out" | "test";
  /** Share of each class of the training images that is held out for it. */
  readonly heldOut: number;
}

/** Logged as linear/top1 and, of more than five classes, linear/top5. */
export function linearTask(options: LinearTask): Task {
  const { sweep, probe, choose, lrs, epochs, batchSize, numClasses, crop, seed } = options;
  return {
    measure: async (extractor, progress) => {
      const all = await options.train.features(extractor, progress);
      const test = await options.test.features(extractor, progress);
      const parts =
        choose === "test" ? { train: probeRows(all), mirrored: all.mirrored } : apart(all, options);
      const tested = { features: test.probe, labels: test.labels };
      const accuracies = await sweep.run({
        ...parts,
        tested: parts.heldOut ? [tested, parts.heldOut] : [tested],
        numClasses,
        lrs,
        epochs,
        batchSize,
        seed,
        progress: (epoch) => progress(`linear probe, epoch ${epoch} of ${epochs}`),
      });
      const [onTest, onHeldOut] = accuracies;
      const { top1, top5 } = onTest!;
      const deciding = (onHeldOut ?? onTest!).top1;
      const best = middleOfBest(deciding);
      const points = lrs.map((lr, i): SweepPoint => {
        const kept = onHeldOut ? { heldOut: onHeldOut.top1[i]! } : {};
        return { lr, ...kept, test: top1[i]! };
      });
      const figures = [{ name: "top-1", key: "linear/top1", value: top1[best]! }];
      if (top5) figures.push({ name: "top-5", key: "linear/top5", value: top5[best]! });
      const bank = named({ name: options.train.name, count: parts.train.features.count });
      const card = {
        task: "linear probe",
        features: extractor.probing(probe),
        fitted: `a linear layer by SGD of momentum ${MOMENTUM}, cosine to 0, no weight decay`,
        crop: all.mirrored ? `${crop}; trained on it and its mirror image, made once` : crop,
        epochs,
        batchSize: Math.min(batchSize, parts.train.features.count),
        lrSweep: lrs,
        lr: lrs[best]!,
        lrChosenOn: parts.heldOut
          ? `${parts.heldOut.features.count.toLocaleString("en-US")} training images held out`
          : "the test images, as the official code does",
        seed,
        bank,
        queries: named({ name: options.test.name, count: tested.features.count }),
        n: tested.features.count,
      };
      return [{ card, figures, sweep: points }];
    },
  };
}

/** Of few images several rates may do equally well; the lowest of them may not have learned anything. */
function middleOfBest(accuracies: readonly number[]): number {
  const most = Math.max(...accuracies);
  const best = [...accuracies.keys()].filter((i) => accuracies[i] === most);
  return best[Math.floor(best.length / 2)]!;
}

interface Parts {
  readonly train: LabelledRows;
  readonly mirrored?: Features;
  readonly heldOut?: LabelledRows;
}

const probeRows = ({ probe: features, labels }: LabelledFeatures): LabelledRows => ({ features, labels });

/** Throws EVAL_INVALID where no class has an image to hold out. */
function apart(all: LabelledFeatures, { seed, heldOut: share }: LinearTask): Parts {
  const { labels, ids, probe, mirrored } = all;
  const isHeldOut = heldOut(labels, (i) => ids[i]!, { seed, share, purpose: "held out" });
  const rowsOf = (value: number) => [...isHeldOut.keys()].filter((i) => isHeldOut[i] === value);
  const [kept, held] = [rowsOf(0), rowsOf(1)];
  if (held.length === 0) {
    throw errors.evalInvalid(
      "linear probe",
      "no class has two training images, so that none can be held out to choose the learning rate on",
      'add images, or set evaluation.linear.choose to "test"',
    );
  }
  const part = (rows: readonly number[]): LabelledRows => ({
    features: pick(probe, rows),
    labels: Int32Array.from(rows, (row) => labels[row]!),
  });
  return { train: part(kept), heldOut: part(held), ...(mirrored ? { mirrored: pick(mirrored, kept) } : {}) };
}

/** Some rows, in their order. */
export function pick({ data, dim }: Features, rows: readonly number[]): Features {
  const picked = new Float32Array(rows.length * dim);
  rows.forEach((row, i) => picked.set(data.subarray(row * dim, (row + 1) * dim), i * dim));
  return { data: picked, count: rows.length, dim };
}
