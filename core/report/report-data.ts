import type { Baseline, EvalResult } from "../eval/card.ts";
import type { AnnotatedImage, RgbImage } from "./images.ts";
import type { MetricsRecord } from "./metrics-log.ts";

/** Where a run stands. */
export type RunStatus = "running" | "finished" | "stopped" | "failed";

/** Numbers are rounded and grouped for reading: give what must stay as it is, like a seed, as text. */
export interface Fact {
  readonly name: string;
  readonly value: string | number;
}

/** One sample and what the networks saw of it. */
export interface ViewSample {
  readonly name: string;
  /** The whole image, with the crops' boxes. */
  readonly source: AnnotatedImage;
  readonly views: readonly (AnnotatedImage & { readonly name: string; readonly kind: "global" | "local" })[];
}

/** How chosen points of an image relate to the patches of two views of it, by one relation. */
export interface RelationSample {
  /** The relation's name: its plugin's. */
  readonly relation: string;
  /** The image's. */
  readonly name: string;
  /** By point: the teacher's view and the student's, with the point and how the patches relate to it. */
  readonly points: readonly { readonly teacher: AnnotatedImage; readonly student: AnnotatedImage }[];
}

export interface FoundImage {
  readonly name: string;
  readonly image: RgbImage;
  readonly right: boolean;
}

/** A query and the most similar images, best first, by one or more kinds of features. */
export interface RetrievalExample {
  readonly query: { readonly name: string; readonly image: RgbImage };
  readonly answers: readonly {
    /** "teacher", "raw pixels" … */
    readonly by: string;
    readonly neighbours: readonly FoundImage[];
  }[];
}

/** An image and the foreground found in it. */
export interface SegmentationExample {
  readonly name: string;
  readonly image: RgbImage;
  readonly maps: readonly {
    /** "true mask", "linear probe" … */
    readonly by: string;
    readonly image: RgbImage;
    /** Intersection over union with the true mask, 0..1; NaN where neither has foreground. */
    readonly overlap?: number;
  }[];
}

export interface ReportTable {
  readonly title: string;
  readonly note?: string;
  readonly columns: readonly string[];
  /** Numbers are set to the right. */
  readonly rows: readonly (readonly (string | number)[])[];
}

/** Everything on the page of a run. What is left out or empty is not shown. */
export interface ReportData {
  readonly title: string;
  /** One or two sentences: the method, the data, the network. */
  readonly summary: string;
  readonly status: RunStatus;
  /** The line under the title: images, epochs, time, images per second … */
  readonly facts: readonly Fact[];
  readonly warnings: readonly string[];
  /** The first figure of each becomes a tile. */
  readonly results: readonly EvalResult[];
  readonly metrics: readonly MetricsRecord[];
  /** Lines to compare curves with, by name in the log ("knn/top1"). */
  readonly curveBaselines?: Readonly<Record<string, readonly Baseline[]>>;
  readonly views?: readonly ViewSample[];
  readonly relations?: readonly RelationSample[];
  readonly retrievals?: readonly {
    readonly title: string;
    /** How the examples were chosen: "eight queries at random, seed 0". */
    readonly note: string;
    readonly examples: readonly RetrievalExample[];
  }[];
  readonly segmentations?: {
    readonly title: string;
    /** How the examples were chosen, and what they show. */
    readonly note: string;
    readonly examples: readonly SegmentationExample[];
  };
  /** Cost per plugin, parameters per group … */
  readonly tables?: readonly ReportTable[];
  /** The resolved config, shown as YAML. */
  readonly config: unknown;
  /** Versions, device, precision, seed, commit. */
  readonly environment: readonly Fact[];
}
