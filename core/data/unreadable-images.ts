/** Keeps count of the images that could not be read, and ends a run that would learn from their replacements. */
import { errors } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { Dataset } from "./dataset.ts";
import type { ViewBatch } from "./pipeline.ts";

/** Images that are told one by one; the others are counted. */
const TOLD = 20;
/** Fewer are no sign of anything. */
const LEAST = 100;

export class UnreadableImages {
  private readonly dataset: Dataset;
  private readonly most: number;
  private readonly logger: Logger;
  private readonly told = new Set<number>();
  private samples = 0;
  private unreadable = 0;

  /** @param most share of an epoch's samples that may be unreadable, 0..1 */
  constructor(dataset: Dataset, most: number, logger: Logger) {
    this.dataset = dataset;
    this.most = most;
    this.logger = logger;
  }

  /**
   * Warns of each image once.
   *
   * @throws IMAGES_UNREADABLE where they are 100 and more than the share of the epoch's samples so far
   */
  add({ indices, replaced }: ViewBatch): void {
    this.samples += indices.length;
    this.unreadable += replaced.length;
    for (const { index, by, reason } of replaced) this.tell(index, by, reason);
    const last = replaced.at(-1);
    if (last && this.unreadable >= LEAST && this.unreadable > this.most * this.samples) {
      const { unreadable, samples, most } = this;
      throw errors.imagesUnreadable(this.dataset.name, unreadable, samples, most, last.reason);
    }
  }

  /** Tells how many they were, and counts anew. `epoch` is its number, from 1. */
  endEpoch(epoch: number): void {
    if (this.unreadable > 0) {
      const share = `${this.unreadable} of ${this.samples} samples`;
      this.logger.warn(`epoch ${epoch}: ${share} could not be read, and others stood in for them`);
    }
    this.samples = this.unreadable = 0;
  }

  private tell(index: number, by: number, reason: string): void {
    if (this.told.has(index) || this.told.size >= TOLD) return;
    this.told.add(index);
    const { id } = this.dataset.item(index);
    this.logger.warn(`${id} cannot be read (${reason}); image ${by} stands in for it`, id);
    if (this.told.size === TOLD)
      this.logger.warn(`further images that cannot be read are counted, and told at the end of each epoch`);
  }
}
