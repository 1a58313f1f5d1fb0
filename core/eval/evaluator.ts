/**
 * The evaluations of a run: which protocols fit the dataset, their figures, and the same figures for raw pixels
 * and the untrained backbone. Images are loaded once; features come from whoever has a network.
 */
import type { EvalResult, Figure, ProtocolCard } from "./card.ts";
import type { Features } from "./features.ts";
import { knnClassify } from "./knn.ts";
import type { Neighbours } from "./neighbours.ts";
import { rawPixelFeatures } from "./raw-pixels.ts";
import { retrieval } from "./retrieval.ts";

/** Square images of one size, [count, size, size, channels] bytes. */
export interface ImageSet {
  /** "Google emoji", "centre crops" … */
  readonly name: string;
  readonly pixels: Uint8Array;
  readonly count: number;
  readonly size: number;
  readonly channels: number;
  /** Shown under pictures. */
  readonly captions: readonly string[];
}

/** Pixels to features, one row per image. */
export type Extract = (pixels: Uint8Array) => Promise<Features>;

interface Task {
  readonly card: Omit<ProtocolCard, "network" | "features">;
  /** The first part of the figures' names in the log: "knn", "retrieval" … */
  readonly key: string;
  readonly queries: ImageSet;
  readonly bank: ImageSet;
  readonly measure: (queries: Features, bank: Features) => Promise<Measured>;
}

interface Measured {
  readonly figures: readonly { readonly name: string; readonly key: string; readonly value: number }[];
  /** Of retrieval: the nearest bank rows of each query. */
  readonly neighbours?: Neighbours;
}

export interface KnnTask {
  readonly task: string;
  readonly queries: ImageSet;
  readonly bank: ImageSet;
  readonly queryLabels: ArrayLike<number>;
  readonly bankLabels: ArrayLike<number>;
  readonly numClasses: number;
  readonly k: number;
  readonly temperature: number;
  /** Queries and bank are the same images. */
  readonly excludeSelf?: boolean;
  readonly crop: string;
  readonly seed: number;
}

/** Class by a vote of the k nearest, logged as knn/top1. */
export function knnTask(options: KnnTask): Task {
  const { task, queries, bank, k, temperature, crop, seed } = options;
  return {
    key: "knn",
    queries,
    bank,
    card: { ...describe(task, queries, bank, crop, seed), k, temperature },
    measure: async (queryFeatures, bankFeatures) => {
      const { top1, top5 } = await knnClassify({ ...options, queries: queryFeatures, bank: bankFeatures });
      const figures = [{ name: "top-1", key: "top1", value: top1 }];
      if (top5 !== undefined) figures.push({ name: "top-5", key: "top5", value: top5 });
      return { figures };
    },
  };
}

/** Query i has to find bank image i, logged under `key`. */
export function retrievalTask(options: {
  task: string;
  key: string;
  queries: ImageSet;
  bank: ImageSet;
  crop: string;
  seed: number;
}): Task {
  const { task, key, queries, bank, crop, seed } = options;
  return {
    key,
    queries,
    bank,
    card: describe(task, queries, bank, crop, seed),
    measure: async (queryFeatures, bankFeatures) => {
      const found = await retrieval({ queries: queryFeatures, bank: bankFeatures });
      return {
        figures: [
          { name: "top-1", key: "top1", value: found.top1 },
          { name: "recall at 5", key: "recall5", value: found.recall5 },
          { name: "mean reciprocal rank", key: "mrr", value: found.meanReciprocalRank },
        ],
        neighbours: found.neighbours,
      };
    },
  };
}

function describe(task: string, queries: ImageSet, bank: ImageSet, crop: string, seed: number) {
  const named = ({ name, count }: ImageSet) => `${name}, ${count.toLocaleString("en-US")}`;
  return { task, crop, seed, bank: named(bank), queries: named(queries), n: queries.count };
}

/** One task's answers by one kind of features. */
export interface TaskMeasurement {
  readonly task: string;
  readonly queries: ImageSet;
  readonly bank: ImageSet;
  readonly neighbours: Neighbours;
}

export interface Evaluation {
  readonly results: readonly EvalResult[];
  /** Figures by log name, e.g. "knn/top1". */
  readonly scalars: Readonly<Record<string, number>>;
  /** Of the retrieval tasks, for pictures: by these features and by raw pixels. */
  readonly found: readonly { readonly trained: TaskMeasurement; readonly rawPixels: TaskMeasurement }[];
}

export class Evaluator {
  private readonly tasks: readonly Task[];
  private rawPixels: Promise<readonly Measured[]> | undefined;

  constructor(tasks: readonly Task[]) {
    this.tasks = tasks;
  }

  /** The figures alone, by log name: what the untrained backbone is remembered by. */
  async measure(extract: Extract): Promise<Record<string, number>> {
    return this.scalarsOf(await this.run(extract));
  }

  /** Figures beside those of raw pixels and of the untrained backbone, by `measure` before training. */
  async evaluate(
    extract: Extract,
    network: string,
    untrained: Readonly<Record<string, number>>,
  ): Promise<Evaluation> {
    const measured = await this.run(extract);
    const raw = await (this.rawPixels ??= this.run(pixelFeatures(this.tasks)));
    const results = this.tasks.map(({ card, key }, i): EvalResult => {
      const figures = measured[i]!.figures.map((figure, f): Figure => {
        const before = untrained[`${key}/${figure.key}`];
        return {
          name: figure.name,
          value: figure.value,
          baselines: [
            { name: "raw pixels", value: raw[i]!.figures[f]!.value },
            ...(before === undefined ? [] : [{ name: "untrained backbone" as const, value: before }]),
          ],
        };
      });
      return { card: { ...card, network, features: "cls token after the final norm" }, figures };
    });
    const found = this.tasks.flatMap(({ card, queries, bank }, i) => {
      const [by, byPixels] = [measured[i]!.neighbours, raw[i]!.neighbours];
      if (!by || !byPixels) return [];
      const of = (neighbours: Neighbours): TaskMeasurement => ({
        task: card.task,
        queries,
        bank,
        neighbours,
      });
      return [{ trained: of(by), rawPixels: of(byPixels) }];
    });
    return { results, scalars: this.scalarsOf(measured), found };
  }

  private scalarsOf(measured: readonly Measured[]): Record<string, number> {
    return Object.fromEntries(
      measured.flatMap(({ figures }, i) => figures.map((f) => [`${this.tasks[i]!.key}/${f.key}`, f.value])),
    );
  }

  private async run(extract: Extract): Promise<readonly Measured[]> {
    const features = new Map<ImageSet, Features>();
    const of = async (images: ImageSet): Promise<Features> => {
      let own = features.get(images);
      if (!own) features.set(images, (own = await extract(images.pixels)));
      return own;
    };
    const measured: Measured[] = [];
    for (const { queries, bank, measure } of this.tasks) {
      measured.push(await measure(await of(queries), await of(bank)));
    }
    return measured;
  }
}

/** Raw pixels in the place of a network. */
function pixelFeatures(tasks: readonly Task[]): Extract {
  const { size, channels } = tasks[0]?.queries ?? { size: 1, channels: 3 };
  return (pixels) => {
    const bytes = size * size * channels;
    const images = Array.from({ length: pixels.length / bytes }, (_, i) =>
      inColour(pixels.subarray(i * bytes, (i + 1) * bytes), channels),
    );
    return Promise.resolve(rawPixelFeatures(images, { width: size, height: size }));
  };
}

/** Grey images as three equal channels. */
function inColour(image: Uint8Array, channels: number): Uint8Array {
  if (channels === 3) return image;
  return Uint8Array.from({ length: image.length * 3 }, (_, i) => image[Math.floor(i / 3)]!);
}
