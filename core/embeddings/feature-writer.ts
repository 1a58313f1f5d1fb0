/** Files of features, one row per image, written as the rows come: memory does not grow with the number of images. */
/** What the rows are, as the file tells it. */
export interface EmbeddingCard {
  /** "cls token after the final norm" … */
  readonly features: string;
  /** Of one image: [D], or [N, D] of N patches, row by row. */
  readonly shape: readonly number[];
  /** "teacher of sere-2026-01-31-090501". */
  readonly network: string;
  /** Of a run's network: the updates done. */
  readonly step?: number;
  /** "centre at 224 px". */
  readonly crop: string;
  /** Side in pixels of what the network sees. */
  readonly size: number;
  /** Of each channel, of pixels in 0..1. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** Name of the image set. */
  readonly images: string;
  /** By label, where there are labels. */
  readonly classNames?: readonly string[];
  /** "relata 0.1.0". */
  readonly producer: string;
}

/** The card with what is known at the end. */
export interface FinishedCard extends EmbeddingCard {
  /** Rows. */
  readonly count: number;
  /** Images that could not be read and have no row. */
  readonly skipped: number;
}

export interface FeatureRow {
  /** The image's name in its set, such as `cats/007.jpg`. */
  readonly path: string;
  readonly label?: number;
}

export interface FeatureWriter {
  /** @param features [rows, ...shape] */
  write(rows: readonly FeatureRow[], features: Float32Array): Promise<void>;
  /** Nothing is whole before. */
  finish(card: FinishedCard): Promise<void>;
  /** Frees what is open; after an error too. */
  close(): Promise<void>;
}

export interface FeatureFormat {
  /** The files of one output, the one that was named last. */
  paths(out: string): readonly string[];
  /** @param most rows at most */
  open(paths: readonly string[], card: EmbeddingCard, most: number): Promise<FeatureWriter>;
}
