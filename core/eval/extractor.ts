/** Where features come from: a network, or the pixels themselves. */
import type { Features } from "./features.ts";

/** Square images of one size, [count, size, size, channels] bytes. */
export interface Images {
  readonly pixels: Uint8Array;
  readonly count: number;
  readonly size: number;
  readonly channels: number;
}

export interface ImageSet extends Images {
  /** "Google emoji", "centre crops" … */
  readonly name: string;
  /** [count] shown under pictures. */
  readonly captions: readonly string[];
}

/** Features of every patch of some images that follow one another; a patch is a square of size / side pixels. */
export interface PatchBatch {
  /** Index of the first image. */
  readonly first: number;
  readonly count: number;
  /** Patches along a side of the image: N = side * side, row by row. */
  readonly side: number;
  readonly dim: number;
  /** [count, N, dim] */
  readonly patches: Float32Array;
  /** Where there is a class token: its attention in the last block. */
  readonly attention?: ClsAttention;
}

export interface ClsAttention {
  readonly heads: number;
  /** [count, heads, N] softmax over all tokens, those of the patches: a row sums to at most 1. */
  readonly weights: Float32Array;
}

/** What a linear probe reads of an image. */
export interface ProbeReadout {
  /** The class tokens of this many last blocks, one after the other, the last block's last. */
  readonly blocks: number;
  /** And then the mean of the last block's patch tokens. */
  readonly meanPatch: boolean;
}

export interface Readouts {
  /** As by `pooled`. */
  readonly pooled: Features;
  /** What the linear probe reads; the same where it reads no more. */
  readonly probe: Features;
}

export interface Extractor {
  /** What `pooled` gives: "cls token after the final norm". */
  readonly pooling: string;
  /** One vector per image. */
  pooled(images: Images): Promise<Features>;
  /** That vector, and what a linear probe reads, from one pass. */
  readouts(images: Images, probe: ProbeReadout): Promise<Readouts>;
  /** What the linear probe reads, in words: "cls tokens of the last 4 blocks, each after the final norm". */
  probing(probe: ProbeReadout): string;
  /** One vector per patch, batch after batch in the images' order: all at once may not fit the memory. */
  patches(images: Images): AsyncIterable<PatchBatch> | Iterable<PatchBatch>;
}

/** Pools each set of images once. Good for as long as the network does not change. */
export function pooledOnce(extractor: Extractor): Extractor {
  const pooled = new Map<Images, Promise<Features>>();
  return {
    pooling: extractor.pooling,
    pooled: (images) => {
      const known = pooled.get(images) ?? extractor.pooled(images);
      pooled.set(images, known);
      return known;
    },
    readouts: (images, probe) => extractor.readouts(images, probe),
    probing: (probe) => extractor.probing(probe),
    patches: (images) => extractor.patches(images),
  };
}
