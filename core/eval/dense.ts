/**
 * Dense evaluation: what the patch features of one set of images say about the foreground of another.
 *
 * - Linear patch probe: logistic regression from a patch's features to the share of its pixels that is
 *   foreground; mIoU and foreground IoU on the test set's pixels.
 * - PCA: the first principal component of the fit set's patch features, split at 0. Which side is foreground
 *   is the one bit that the fit set's masks decide.
 * - Attention of the class token (see attention-foreground.ts), of the head that is best on the fit set.
 *
 * Scores are upsampled to pixels bilinearly; intersections and unions are summed over the test set's pixels.
 * Patch features may hold where a patch lies, which alone says something of the foreground: the untrained
 * backbone's figures are what that is worth.
 */
import { Random } from "../random.ts";
import { jaccard, keepMass, KEPT_MASS } from "./attention-foreground.ts";
import type { ClsAttention, Extractor, PatchBatch } from "./extractor.ts";
import type { Features } from "./features.ts";
import { scoreRows, type LinearScore } from "./linear-score.ts";
import { fitLogistic } from "./logistic.ts";
import { PatchSample } from "./patch-sample.ts";
import { principalComponent } from "./principal-component.ts";
import { maskOf, Overlap, patchFractions, Upsampler } from "./segmentation.ts";
import type { FoundForeground, MaskedSet, Segmentation } from "./segmentation.ts";
import { named, type Measured, type Task } from "./task.ts";

/** Test images kept for pictures, at random. */
const SHOWN = 6;

export interface DenseTask {
  readonly fit: MaskedSet;
  readonly test: MaskedSet;
  /** Where the masks are from: "alpha channel". */
  readonly masks: string;
  readonly crop: string;
  readonly seed: number;
}

/** Logged as dense/miou, dense/foregroundIoU, dense/pcaIoU and, of networks with a class token, dense/attentionIoU. */
export function denseTask(options: DenseTask): Task {
  return {
    measure: async (extractor) => {
      const readouts = await learn(extractor, options);
      return results(options, await test(extractor, readouts, options));
    },
  };
}

/** What the fit set taught. */
interface Readouts {
  readonly probe: LinearScore;
  readonly component: LinearScore;
  /** The best head, where there are any. */
  readonly head?: number;
}

async function learn(extractor: Extractor, { fit, seed }: DenseTask): Promise<Readouts> {
  const sample = new PatchSample(fit.images.count, seed);
  const heads: number[] = [];
  for await (const batch of extractor.patches(fit.images)) {
    for (let i = 0; i < batch.count; i++) {
      const fractions = patchFractions(maskOf(fit, batch.first + i), fit.images.size, batch.side);
      sample.add(batch, i, fractions);
      for (let head = 0; head < (batch.attention?.heads ?? 0); head++) {
        heads[head] = (heads[head] ?? 0) + jaccard(keepMass(attentionOf(batch, i, head)), fractions);
      }
    }
  }
  const { features, targets } = sample;
  return {
    probe: fitLogistic(features, targets),
    component: facing(principalComponent(features), features, targets),
    ...(heads.length > 0 ? { head: heads.indexOf(Math.max(...heads)) } : {}),
  };
}

/** The score, or its negative, whose positive side overlaps the foreground more. */
function facing(score: LinearScore, features: Features, fractions: Float32Array): LinearScore {
  const scores = scoreRows(score, features, new Float64Array(features.count));
  const overlap = (sign: number) =>
    jaccard(
      Uint8Array.from(scores, (s) => (sign * s > 0 ? 1 : 0)),
      fractions,
    );
  if (overlap(1) >= overlap(-1)) return score;
  return { weights: score.weights.map((w) => -w), bias: -score.bias };
}

function attentionOf({ side, attention }: PatchBatch, i: number, head: number): Float32Array {
  const { heads, weights } = attention as ClsAttention;
  const from = (i * heads + head) * side * side;
  return weights.subarray(from, from + side * side);
}

interface Tested {
  readonly probe: Overlap;
  readonly component: Overlap;
  /** Mean Jaccard index of the best head's foreground. */
  readonly attention?: number;
  readonly segmentation: Segmentation;
}

async function test(
  extractor: Extractor,
  readouts: Readouts,
  { test: set, seed }: DenseTask,
): Promise<Tested> {
  const { size, count } = set.images;
  const shown = new Set(new Random(seed, "report segmentation").permutation(count).subarray(0, SHOWN));
  const maps = [
    { by: "linear probe", readout: readouts.probe, overlap: new Overlap() },
    { by: "PCA", readout: readouts.component, overlap: new Overlap() },
  ];
  const [probe, component] = maps.map(({ overlap }) => overlap) as [Overlap, Overlap];
  const found: FoundForeground[] = [];
  const mask = new Uint8Array(size * size);
  let attention = 0;
  for await (const batch of extractor.patches(set.images)) {
    const { first, side, dim, patches } = batch;
    const N = side * side;
    const upsampler = new Upsampler(side, size);
    const scores = new Float64Array(N);
    for (let i = 0; i < batch.count; i++) {
      const truth = maskOf(set, first + i);
      const rows = { data: patches.subarray(i * N * dim, (i + 1) * N * dim), count: N, dim };
      const masks = maps.map(({ by, readout, overlap }) => {
        upsampler.foreground(scoreRows(readout, rows, scores), mask);
        overlap.add(mask, truth);
        return shown.has(first + i) ? { by, mask: mask.slice() } : undefined;
      });
      if (shown.has(first + i))
        found.push({ image: first + i, maps: masks.filter((one) => one !== undefined) });
      if (readouts.head !== undefined) {
        const kept = keepMass(attentionOf(batch, i, readouts.head));
        attention += jaccard(kept, patchFractions(truth, size, side)) / count;
      }
    }
  }
  const attended = readouts.head === undefined ? {} : { attention };
  return { probe, component, ...attended, segmentation: { set, found } };
}

function results({ fit, test, masks, crop, seed }: DenseTask, tested: Tested): Measured[] {
  const { probe, component, attention, segmentation } = tested;
  const card = (task: string, features: string): Measured["card"] => {
    const sets = { bank: named(fit.images), queries: named(test.images), n: test.images.count };
    return { task, features, crop, masks, seed, ...sets };
  };
  const patches = "patch tokens after the final norm";
  return [
    {
      card: card("linear patch probe", patches),
      figures: [
        { name: "mIoU", key: "dense/miou", value: probe.mean },
        { name: "foreground IoU", key: "dense/foregroundIoU", value: probe.foreground },
      ],
      segmentation,
    },
    {
      card: card("PCA foreground", `first component of the ${patches}, its sign by the fit set's masks`),
      figures: [{ name: "IoU", key: "dense/pcaIoU", value: component.foreground }],
    },
    ...(attention === undefined
      ? []
      : [
          {
            card: card(
              "attention foreground",
              `${100 * KEPT_MASS} % of the cls token's attention in the last block, best head of the fit set`,
            ),
            figures: [{ name: "Jaccard index", key: "dense/attentionIoU", value: attention }],
          },
        ]),
  ];
}
