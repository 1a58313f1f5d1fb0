/**
 * Batches of augmented views, made ahead of time. Colour work is not done here but in the step.
 *
 * Every batch is a function of (dataset, views, seed, step): workers, prefetching and where a run was resumed
 * change when it is made, not what is in it.
 */
import { errors } from "../errors.ts";
import { Random } from "../random.ts";
import type { CropRect } from "./crop.ts";
import type { Dataset } from "./dataset.ts";
import { checkBackground, WHITE, type Channels } from "./decode.ts";
import { epochOrder } from "./epoch-order.ts";
import { RECT_LENGTH, type Rendered, type RenderFailure, type RenderSettings } from "./render.ts";
import type { ImageSource } from "./image-source.ts";
import { InThreadRunner, WorkerRunner, type RenderRunner } from "./render-runner.ts";
import { resolveViewGroups, type ViewGroupSpec } from "./view-group.ts";

export type { ViewGroupSpec };

export interface ViewPipelineOptions {
  readonly dataset: Dataset;
  readonly views: readonly ViewGroupSpec[];
  readonly batchSize: number;
  /** Fewer batches an epoch than the images would give: whole updates of several batches each. */
  readonly batchesPerEpoch?: number;
  readonly seed: number;
  readonly channels?: Channels;
  /** What transparent pixels lie on, "#rrggbb". */
  readonly background?: string;
  /** Threads that decode and crop; 0 does it in this thread. */
  readonly workers?: number;
  /** Batches made ahead of the one in use. */
  readonly prefetch?: number;
  /** Blocks of the dataset that are mixed at a time; its own number unless given. */
  readonly shuffleBlocks?: number;
  /** Seconds that one try to read an image may take. */
  readonly readTimeout?: number;
  /** Told of what goes wrong and is mended. */
  readonly warn?: (message: string) => void;
  /** In the place of `workers` threads, or none. */
  readonly runner?: RenderRunner;
}

/** The views of one micro-batch, by group. */
export interface ViewBatch {
  readonly epoch: number;
  /** Since the start of training, not of the epoch. */
  readonly step: number;
  /** [B] dataset indices of the images shown. */
  readonly indices: Int32Array;
  /** By group: [count * B, size, size, channels], view-major (view 0 of all samples, then view 1 …). */
  readonly pixels: ReadonlyMap<string, Uint8Array>;
  /** By group: [count * B, 5] crop rectangle x, y, width, height in source pixels, and flip 0 or 1. */
  readonly rects: ReadonlyMap<string, Float32Array>;
  /** [B] -1 where the image has none. */
  readonly labels: Int32Array;
  /** Images that could not be read, and which ones are shown instead. */
  readonly replaced: readonly Replacement[];
}

export interface Replacement {
  readonly index: number;
  readonly by: number;
  readonly reason: string;
}

/** The crop rectangle of an image of a group: row view * B + b. */
export function cropOf({ rects }: ViewBatch, group: string, row: number): CropRect {
  const at = row * RECT_LENGTH;
  const rect = rects.get(group)!.subarray(at, at + RECT_LENGTH);
  return { x: rect[0]!, y: rect[1]!, width: rect[2]!, height: rect[3]! };
}

/** A batch being made: row b of sample b, to be replaced where its image cannot be read. */
interface Draft extends ViewBatch {
  readonly replaced: Replacement[];
}

/** Samples per task: enough to hide the message, few enough to share a batch among workers. */
const TASK_SAMPLES = 8;
/** With half of the images corrupt, all of these fail once in 10^19 samples. */
const REPLACEMENT_TRIES = 64;
/** The same of images that the disk does not give, each of which may take several timeouts. */
const UNREACHABLE_TRIES = 6;

export class ViewPipeline {
  /** The last, short batch of an epoch is dropped. */
  readonly stepsPerEpoch: number;
  private readonly dataset: Dataset;
  private readonly batchSize: number;
  private readonly prefetch: number;
  private readonly settings: RenderSettings;
  private readonly shuffleBlocks: number | undefined;
  private readonly runner: RenderRunner;
  private order: { epoch: number; indices: Int32Array } | undefined;
  private closed = false;
  private waitedMs = 0;
  private firstAsked: number | undefined;

  /**
   * @throws VIEW_GROUP_INVALID, BATCH_TOO_LARGE for more samples than the dataset has, CONFIG_INVALID for a
   *   background that is not "#rrggbb" and for more blocks than can be kept.
   */
  constructor(options: ViewPipelineOptions) {
    const { dataset, batchSize, seed, channels = 3, background = WHITE, workers = 1, prefetch = 2 } = options;
    const { shuffleBlocks, readTimeout = 60, warn } = options;
    const views = resolveViewGroups(options.views);
    checkBackground(background);
    if (batchSize > dataset.size) throw errors.batchTooLarge(batchSize, dataset.name, dataset.size);
    checkBlocks(dataset, shuffleBlocks);
    const whole = Math.floor(dataset.size / batchSize);
    this.stepsPerEpoch = Math.min(whole, options.batchesPerEpoch ?? whole);
    this.dataset = dataset;
    this.batchSize = batchSize;
    this.prefetch = prefetch;
    this.shuffleBlocks = shuffleBlocks;
    this.settings = { seed, views, channels, background, readTimeout };
    this.runner =
      options.runner ?? (workers === 0 ? new InThreadRunner() : new WorkerRunner(workers, { warn }));
  }

  /**
   * The batches of steps fromStep, fromStep + 1, … without end; ends when the pipeline is closed.
   *
   * @throws ALL_IMAGES_CORRUPT, IMAGES_UNREACHABLE, DATA_WORKER_DIED
   */
  async *batches(fromStep: number): AsyncGenerator<ViewBatch, void, undefined> {
    const ahead: Promise<ViewBatch>[] = [];
    let nextStep = fromStep;
    while (!this.closed) {
      while (ahead.length <= this.prefetch) {
        const batch = this.batch(nextStep++);
        // It is awaited below, or never: when the consumer stops, nobody wants to hear of it.
        batch.catch(() => undefined);
        ahead.push(batch);
      }
      const asked = performance.now();
      this.firstAsked ??= asked;
      try {
        const batch = await ahead.shift()!;
        this.waitedMs += performance.now() - asked;
        yield batch;
      } catch (error) {
        if (!this.closed) throw error;
      }
    }
  }

  /** Share of the time since the first batch was asked for that the consumer has waited for data, 0..1. */
  get waitShare(): number {
    if (this.firstAsked === undefined) return 0;
    return Math.min(1, this.waitedMs / (performance.now() - this.firstAsked));
  }

  /** Drops what is being made and ends the workers. */
  async close(): Promise<void> {
    this.closed = true;
    await this.runner.close();
  }

  private async batch(step: number): Promise<ViewBatch> {
    const { batchSize, settings } = this;
    const epoch = Math.floor(step / this.stepsPerEpoch);
    const first = (step % this.stepsPerEpoch) * batchSize;
    const indices = this.epochOrder(epoch).slice(first, first + batchSize);
    const draft: Draft = {
      epoch,
      step,
      indices,
      pixels: new Map(
        settings.views.map(({ group, count, size }) => [
          group,
          new Uint8Array(count * batchSize * size * size * settings.channels),
        ]),
      ),
      rects: new Map(
        settings.views.map(({ group, count }) => [group, new Float32Array(count * batchSize * RECT_LENGTH)]),
      ),
      labels: Int32Array.from(indices, (index) => this.dataset.item(index).label ?? -1),
      replaced: [],
    };
    const tasks = [];
    for (let row = 0; row < batchSize; row += TASK_SAMPLES) {
      tasks.push(this.renderRows(draft, row, Math.min(row + TASK_SAMPLES, batchSize)));
    }
    await Promise.all(tasks);
    draft.replaced.sort((a, b) => a.index - b.index);
    return draft;
  }

  private async renderRows(draft: Draft, from: number, to: number): Promise<void> {
    const indices = [...draft.indices.subarray(from, to)];
    const samples = indices.map((index) => ({ index, source: this.sourceOf(index) }));
    const rendered = await this.runner.run({ settings: this.settings, epoch: draft.epoch, samples });
    for (const [sample, failure] of rendered.failures.entries()) {
      if (failure === undefined) this.place(draft, from + sample, rendered, sample);
      else await this.replace(draft, from + sample, failure);
    }
  }

  /** Shows another image, drawn for this sample and epoch, with the crops drawn for the sample. */
  private async replace(draft: Draft, row: number, { reason, ...first }: RenderFailure): Promise<void> {
    const { dataset, settings } = this;
    const index = draft.indices[row]!;
    let unreachable = Number(first.unreachable);
    for (let attempt = 0; attempt < REPLACEMENT_TRIES; attempt++) {
      const random = new Random(settings.seed, "replacement", draft.epoch, index, attempt);
      const by = random.integer(0, dataset.size - 1);
      const { label = -1 } = dataset.item(by);
      const samples = [{ index, source: this.sourceOf(by) }];
      const rendered = await this.runner.run({ settings, epoch: draft.epoch, samples });
      const [failure] = rendered.failures;
      if (failure?.unreachable && ++unreachable > UNREACHABLE_TRIES)
        throw errors.imagesUnreachable(dataset.name, UNREACHABLE_TRIES, reason);
      if (failure) continue;
      this.place(draft, row, rendered, 0);
      draft.indices[row] = by;
      draft.labels[row] = label;
      draft.replaced.push({ index, by, reason });
      return;
    }
    throw errors.allImagesCorrupt(dataset.name, REPLACEMENT_TRIES, reason);
  }

  /** Without what else plugins may give an item: it is sent to workers. */
  private sourceOf(index: number): ImageSource {
    const { path, within } = this.dataset.item(index);
    return { path, within };
  }

  /** Copies a sample's views from sample-major to view-major. */
  private place(draft: Draft, row: number, rendered: Rendered, sample: number): void {
    this.settings.views.forEach(({ group, count, size }, at) => {
      const viewBytes = size * size * this.settings.channels;
      for (let view = 0; view < count; view++) {
        const from = sample * count + view;
        const to = view * this.batchSize + row;
        const pixels = rendered.pixels[at]!.subarray(from * viewBytes, (from + 1) * viewBytes);
        draft.pixels.get(group)!.set(pixels, to * viewBytes);
        const rect = rendered.rects[at]!.subarray(from * RECT_LENGTH, (from + 1) * RECT_LENGTH);
        draft.rects.get(group)!.set(rect, to * RECT_LENGTH);
      }
    });
  }

  private epochOrder(epoch: number): Int32Array {
    if (this.order?.epoch !== epoch) {
      const indices = epochOrder(this.dataset, this.settings.seed, epoch, this.shuffleBlocks);
      this.order = { epoch, indices };
    }
    return this.order.indices;
  }
}

function checkBlocks({ blocks }: Dataset, shuffleBlocks: number | undefined): void {
  const { most = Infinity } = blocks ?? {};
  if (shuffleBlocks === undefined || shuffleBlocks <= most) return;
  const problem = `${shuffleBlocks} row groups are more than a worker keeps in its memory: use at most ${most}`;
  throw errors.configInvalid("data.shuffleBlocks", problem);
}
