/** Features of labelled images, a batch after the other: images are read, looked at and forgotten. */
import { centeredBatches, type EvaluationBatch } from "../data/evaluation.ts";
import type { LabelledPart } from "../data/split.ts";
import { errors } from "../errors.ts";
import type { Extractor, Images, ProbeReadout } from "../eval/extractor.ts";
import { checkFinite, type Features } from "../eval/features.ts";
import type { LabelledFeatures, LabelledImages, Progress } from "../eval/labelled-images.ts";
import type { EvaluationSubject } from "./evaluation-subject.ts";
import { imageOptions } from "./image-sets.ts";

const BATCH = 64;

export interface FeatureOptions {
  readonly probe: ProbeReadout;
  /** Also of the images' mirror images. */
  readonly mirrored: boolean;
}

/** The centre of each image of a part. */
export class CenteredImages implements LabelledImages {
  readonly name: string;
  private readonly part: LabelledPart;
  private readonly subject: EvaluationSubject;
  private readonly options: FeatureOptions;
  private readonly known = new WeakMap<Extractor, Promise<LabelledFeatures>>();

  constructor(part: LabelledPart, subject: EvaluationSubject, options: FeatureOptions) {
    this.name = part.name;
    this.part = part;
    this.subject = subject;
    this.options = options;
  }

  /** Throws IMAGE_UNREADABLE where no image can be read, EVAL_INVALID for no images, or features that are not finite. */
  features(extractor: Extractor, progress: Progress): Promise<LabelledFeatures> {
    const known = this.known.get(extractor) ?? this.extract(extractor, progress);
    this.known.set(extractor, known);
    return known;
  }

  private async extract(extractor: Extractor, progress: Progress): Promise<LabelledFeatures> {
    const { dataset, indices, labels } = this.part;
    const { logger, size } = this.subject;
    const { probe, mirrored } = this.options;
    const total = indices.length;
    if (total === 0)
      throw errors.evalInvalid(
        "evaluation by labels",
        `${this.name} has no image`,
        "give each class two images or more",
      );
    const [pooled, read, mirror] = [new Rows(total), new Rows(total), new Rows(total)];
    const shown: number[] = [];
    let unreadable: Error | undefined;
    let done = 0;
    for await (const batch of ahead(centeredBatches(dataset, indices, this.imageOptions()))) {
      progress(`features of ${this.name}, ${count(done)} of ${count(total)}`);
      done += batch.count + batch.skipped.length;
      unreadable ??= batch.skipped[0]?.error;
      if (batch.count === 0) continue;
      shown.push(...batch.indices);
      const images: Images = { ...batch, size, channels: this.subject.config.data.channels };
      const found = await extractor.readouts(images, probe);
      pooled.add(found.pooled);
      read.add(found.probe);
      if (mirrored) mirror.add((await extractor.readouts(mirrorImages(images), probe)).probe);
    }
    if (unreadable && shown.length === 0) throw unreadable;
    if (unreadable) {
      const missing = `${count(total - shown.length)} of ${count(total)} images of ${this.name} cannot be read`;
      logger.warn(`${missing} and are left out of the evaluation: ${unreadable.message}`);
    }
    const labelOf = new Map(indices.map((index, i) => [index, labels[i]!]));
    return {
      labels: Int32Array.from(shown, (index) => labelOf.get(index)!),
      ids: shown.map((index) => dataset.item(index).id),
      pooled: checkFinite(pooled.features, this.name),
      probe: checkFinite(read.features, this.name),
      ...(mirrored ? { mirrored: checkFinite(mirror.features, this.name) } : {}),
    };
  }

  private imageOptions() {
    return { ...imageOptions(this.subject, this.subject.size), batchSize: BATCH };
  }
}

/** Rows that come a batch at a time. */
class Rows {
  private readonly most: number;
  private data = new Float32Array();
  private count = 0;
  private dim = 0;

  constructor(most: number) {
    this.most = most;
  }

  add({ data, count, dim }: Features): void {
    if (this.count === 0) {
      this.dim = dim;
      this.data = new Float32Array(this.most * dim);
    }
    this.data.set(data, this.count * dim);
    this.count += count;
  }

  get features(): Features {
    const { data, count, dim } = this;
    return { data: data.subarray(0, count * dim), count, dim };
  }
}

/** The batches, the next of which is read while one is looked at. */
async function* ahead(batches: AsyncGenerator<EvaluationBatch>): AsyncGenerator<EvaluationBatch> {
  const next = () => {
    const batch = batches.next();
    // Where looking fails first nobody waits for it any more.
    batch.catch(() => {});
    return batch;
  };
  for (let coming = next(); ;) {
    const { value, done } = await coming;
    if (done) return;
    coming = next();
    yield value as EvaluationBatch;
  }
}

/** Each image with its left and right exchanged. */
function mirrorImages(images: Images): Images {
  const { pixels, count, size, channels } = images;
  const mirrored = new Uint8Array(count * size * size * channels);
  for (let row = 0; row < count * size; row++) {
    for (let x = 0; x < size; x++) {
      const [from, to] = [row * size + x, row * size + size - 1 - x];
      for (let c = 0; c < channels; c++) mirrored[to * channels + c] = pixels[from * channels + c]!;
    }
  }
  return { ...images, pixels: mirrored };
}

const count = (value: number) => value.toLocaleString("en-US");
