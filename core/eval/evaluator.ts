/**
 * The evaluations of a run: which protocols fit the dataset, their figures, and the same figures for raw pixels
 * and the untrained backbone. Images are loaded once; features come from whoever has a network.
 */
import type { Baseline, EvalResult, Figure } from "./card.ts";
import { pooledOnce, type Extractor, type ImageSet } from "./extractor.ts";
import { knnClassify } from "./knn.ts";
import type { Progress } from "./labelled-images.ts";
import { retrieval } from "./retrieval.ts";
import type { Segmentation } from "./segmentation.ts";
import { named, type Found, type Measured, type Task } from "./task.ts";

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
  const { queries, bank, k, temperature } = options;
  return {
    measure: async (extractor) => {
      const { top1, top5 } = await knnClassify({ ...options, ...(await pool(extractor, queries, bank)) });
      const figures = [{ name: "top-1", key: "knn/top1", value: top1 }];
      if (top5 !== undefined) figures.push({ name: "top-5", key: "knn/top5", value: top5 });
      return [{ card: { ...describe(options, extractor), k, temperature }, figures }];
    },
  };
}

export interface RetrievalTask {
  readonly task: string;
  /** The first part of the figures' names in the log. */
  readonly key: string;
  readonly queries: ImageSet;
  readonly bank: ImageSet;
  readonly crop: string;
  readonly seed: number;
}

/** Query i has to find bank image i, logged under `key`. */
export function retrievalTask(options: RetrievalTask): Task {
  const { task, key, queries, bank } = options;
  return {
    measure: async (extractor) => {
      const found = await retrieval(await pool(extractor, queries, bank));
      const figures = [
        { name: "top-1", key: `${key}/top1`, value: found.top1 },
        { name: "recall at 5", key: `${key}/recall5`, value: found.recall5 },
        { name: "mean reciprocal rank", key: `${key}/mrr`, value: found.meanReciprocalRank },
      ];
      const { neighbours } = found;
      return [{ card: describe(options, extractor), figures, found: { task, queries, bank, neighbours } }];
    },
  };
}

async function pool(extractor: Extractor, queries: ImageSet, bank: ImageSet) {
  return { queries: await extractor.pooled(queries), bank: await extractor.pooled(bank) };
}

function describe({ task, queries, bank, crop, seed }: Omit<RetrievalTask, "key">, { pooling }: Extractor) {
  const sets = { bank: named(bank), queries: named(queries), n: queries.count };
  return { task, features: pooling, crop, seed, ...sets };
}

/** One evaluation of a run. */
export interface Evaluation {
  readonly results: readonly EvalResult[];
  /** Figures by log name, e.g. "knn/top1". */
  readonly scalars: Readonly<Record<string, number>>;
  /** Of the retrieval tasks, for pictures: by these features and by raw pixels. */
  readonly found: readonly { readonly trained: Found; readonly rawPixels: Found }[];
  /** Of dense evaluation, for pictures. */
  readonly segmentation?: Segmentation;
}

export class Evaluator {
  private readonly tasks: readonly Task[];
  private readonly rawPixels: Extractor;
  private readonly progress: Progress;
  private byPixels: Promise<readonly Measured[]> | undefined;

  /**
   * @param rawPixels the baseline that knows nothing, measured once
   * @param progress hears of what takes long
   */
  constructor(tasks: readonly Task[], rawPixels: Extractor, progress: Progress = () => {}) {
    this.tasks = tasks;
    this.rawPixels = rawPixels;
    this.progress = progress;
  }

  /** The figures alone, by log name: what the untrained backbone is remembered by. */
  async measure(extractor: Extractor): Promise<Record<string, number>> {
    return scalarsOf(await this.run(extractor, "untrained backbone"));
  }

  /** Figures beside those of raw pixels and of the untrained backbone, by `measure` before training. */
  async evaluate(
    extractor: Extractor,
    network: string,
    untrained: Readonly<Record<string, number>>,
  ): Promise<Evaluation> {
    const measured = await this.run(extractor, network);
    const raw = await (this.byPixels ??= this.run(this.rawPixels, "raw pixels"));
    const rawScalars = scalarsOf(raw);
    const results = measured.map(({ card, figures, sweep }): EvalResult => {
      const beside = ({ name, value, interval, key }: Measured["figures"][number]): Figure => {
        const baselines: Baseline[] = [];
        const [pixels, before] = [rawScalars[key], untrained[key]];
        if (pixels !== undefined) baselines.push({ name: "raw pixels", value: pixels });
        if (before !== undefined) baselines.push({ name: "untrained backbone", value: before });
        return { name, value, ...(interval === undefined ? {} : { interval }), baselines };
      };
      return { card: { ...card, network }, figures: figures.map(beside), ...(sweep ? { sweep } : {}) };
    });
    const found = measured.flatMap(({ found: trained }) => {
      const rawPixels = raw.find((one) => trained && one.found?.task === trained.task)?.found;
      return trained && rawPixels ? [{ trained, rawPixels }] : [];
    });
    const segmentation = measured.find((one) => one.segmentation)?.segmentation;
    return { results, scalars: scalarsOf(measured), found, segmentation };
  }

  private async run(extractor: Extractor, whose: string): Promise<readonly Measured[]> {
    const once = pooledOnce(extractor);
    const measured: Measured[] = [];
    const progress: Progress = (what) => this.progress(`${whose}: ${what}`);
    for (const task of this.tasks) measured.push(...(await task.measure(once, progress)));
    return measured;
  }
}

function scalarsOf(measured: readonly Measured[]): Record<string, number> {
  return Object.fromEntries(measured.flatMap(({ figures }) => figures.map(({ key, value }) => [key, value])));
}
