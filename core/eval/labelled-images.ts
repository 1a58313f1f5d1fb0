import type { Extractor } from "./extractor.ts";
import type { Features } from "./features.ts";
import type { MatMul } from "./mat-mul.ts";

/** Hears what is being done and how far it is: "features of Google emoji, 640 of 1,911". */
export type Progress = (what: string) => void;

/** Images with a class each, of which evaluations see features alone: their pixels need not fit the memory. */
export interface LabelledImages {
  /** "Google emoji", "80 % of each class of photos" … */
  readonly name: string;
  /** The features of all that can be read, made once for each extractor. */
  features(extractor: Extractor, progress: Progress): Promise<LabelledFeatures>;
}

/** Row by row of the same images. */
export interface LabelledFeatures {
  /** [count] classes, from 0. */
  readonly labels: Int32Array;
  /** [count] the images' stable names. */
  readonly ids: readonly string[];
  readonly pooled: Features;
  /** What a linear probe reads. */
  readonly probe: Features;
  /** The same of the mirror images, where they are asked for. */
  readonly mirrored?: Features;
}

/** What evaluations by labels learn from, and what they are measured on. */
export interface LabelledSets {
  readonly train: LabelledImages;
  readonly test: LabelledImages;
  readonly numClasses: number;
  readonly crop: string;
  readonly seed: number;
  /** Of fits; the plain one unless given. */
  readonly matMul?: MatMul;
}
