/** One thing that an evaluator measures of any features. */
import type { ProtocolCard, SweepPoint } from "./card.ts";
import type { Extractor, ImageSet } from "./extractor.ts";
import type { Progress } from "./labelled-images.ts";
import type { Neighbours } from "./neighbours.ts";
import type { Segmentation } from "./segmentation.ts";

export interface Task {
  /** One result per protocol; several where they share a pass over the images. */
  measure(extractor: Extractor, progress: Progress): Promise<readonly Measured[]>;
}

export interface Measured {
  readonly card: Omit<ProtocolCard, "network">;
  readonly figures: readonly MeasuredFigure[];
  /** By learning rate, where there are several. */
  readonly sweep?: readonly SweepPoint[];
  /** Of retrieval, for pictures. */
  readonly found?: Found;
  /** Of dense evaluation, for pictures. */
  readonly segmentation?: Segmentation;
}

export interface MeasuredFigure {
  readonly name: string;
  /** In the log: "knn/top1". */
  readonly key: string;
  /** 0..1; the adjusted Rand index -0.5..1. */
  readonly value: number;
  /** Half the width of the 95 % confidence interval of a mean over episodes. */
  readonly interval?: number;
}

/** The nearest bank rows of each query. */
export interface Found {
  readonly task: string;
  readonly queries: ImageSet;
  readonly bank: ImageSet;
  readonly neighbours: Neighbours;
}

/** "Google emoji, 1,911" */
export function named({ name, count }: { readonly name: string; readonly count: number }): string {
  return `${name}, ${count.toLocaleString("en-US")}`;
}
