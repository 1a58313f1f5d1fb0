/** What of a network's tokens is an image's feature. */
import { errors } from "../errors.ts";
import type { Images } from "../eval/extractor.ts";
import { FeatureExtractor, type FeatureNetwork } from "../trainer/features.ts";

/** The class token, the mean of the patch tokens, or all patch tokens; each after the final norm. */
export type Pooling = "cls" | "mean" | "patches";

export interface Embedding {
  /** "cls token after the final norm" … */
  readonly features: string;
  /** Of one image: [D], or [N, D]. */
  readonly shape: readonly number[];
  /** [images, ...shape] */
  embed(images: Images): Promise<Float32Array>;
}

export interface EmbeddingOptions {
  /** Left out, what evaluations take: the class token, or what the backbone has instead. */
  readonly pooling?: Pooling;
  /** Side of the images in pixels. */
  readonly size: number;
  readonly batchSize: number;
}

/** @throws USAGE for a size or a pooling that the backbone does not have */
export function embeddingOf(
  network: FeatureNetwork,
  { pooling, size, batchSize }: EmbeddingOptions,
): Embedding {
  const { backbone } = network;
  const { embedDim: dim } = backbone;
  const patches = patchesOf(network, size);
  const extractor = new FeatureExtractor(network, { size, batchSize });
  if (pooling === "cls" && !backbone.hasClsToken)
    throw errors.usage("the backbone has no class token", "take --pooling mean or patches");
  switch (pooling) {
    case "cls":
    case undefined:
      return {
        features: extractor.pooling,
        shape: [dim],
        embed: async (images) => (await extractor.pooled(images)).data,
      };
    case "mean":
      return {
        features: "mean of the patch tokens after the final norm",
        shape: [dim],
        embed: async (images) =>
          meanOf(await tokens(extractor, images, patches * dim), images.count, patches, dim),
      };
    case "patches":
      return {
        features: "patch tokens after the final norm",
        shape: [patches, dim],
        embed: (images) => tokens(extractor, images, patches * dim),
      };
  }
}

function patchesOf({ backbone }: FeatureNetwork, size: number): number {
  try {
    const { rows, columns } = backbone.grid(size);
    return rows * columns;
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw errors
      .usage(`images of ${size} pixels do not fit: ${problem}`, "choose another --size")
      .because(cause);
  }
}

/** [images, N, D] */
async function tokens(extractor: FeatureExtractor, images: Images, imageSize: number): Promise<Float32Array> {
  const all = new Float32Array(images.count * imageSize);
  for await (const { first, patches } of extractor.patches(images)) all.set(patches, first * imageSize);
  return all;
}

/** [count, N, D] to [count, D]. */
function meanOf(tokens: Float32Array, count: number, patches: number, dim: number): Float32Array {
  const means = new Float32Array(count * dim);
  for (let image = 0; image < count; image++) {
    for (let d = 0; d < dim; d++) {
      let sum = 0;
      for (let n = 0; n < patches; n++) sum += tokens[(image * patches + n) * dim + d]!;
      means[image * dim + d] = sum / patches;
    }
  }
  return means;
}
