/** Labelled features without images, for tests of what is made of them. */
import type { Extractor } from "../../../core/eval/extractor.ts";
import type { Features } from "../../../core/eval/features.ts";
import type { LabelledFeatures, LabelledImages, LabelledSets } from "../../../core/eval/labelled-images.ts";
import { Random } from "../../../core/random.ts";

export const CLASSES = 6;

/** `each` rows of every class around directions of their own; `seed` draws the noise. */
export function noisyRows(each: number, noise: number, seed: number): LabelledFeatures {
  const count = each * CLASSES;
  const random = new Random(seed, "rows");
  const labels = Int32Array.from({ length: count }, (_, i) => i % CLASSES);
  const data = Float32Array.from(
    { length: count * CLASSES },
    (_, at) => Number(labels[Math.floor(at / CLASSES)] === at % CLASSES) + noise * random.normal(),
  );
  const features: Features = { data, count, dim: CLASSES };
  const ids = Array.from(labels, (_, i) => `${seed}/${i}`);
  return { labels, ids, pooled: features, probe: features };
}

export function labelledSets(train: LabelledFeatures, test: LabelledFeatures): LabelledSets {
  const images = (name: string, features: LabelledFeatures): LabelledImages => ({
    name,
    features: () => Promise.resolve(features),
  });
  const sets = { train: images("train", train), test: images("test", test) };
  return { ...sets, numClasses: CLASSES, crop: "whole", seed: 0 };
}

/** Says what it gives; gives nothing. */
export const nobody: Extractor = {
  pooling: "cls token",
  probing: ({ blocks }) => `cls tokens of ${blocks}`,
  pooled: () => Promise.reject(new Error("not asked")),
  readouts: () => Promise.reject(new Error("not asked")),
  patches: () => [],
};
