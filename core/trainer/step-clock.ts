export interface StepTiming {
  readonly imagesPerSecond: number;
  readonly etaSeconds: number;
  /** Parts of the time since the last tick, 0..1: in `waiting`, and neither there nor in `computing`. */
  readonly waitShare: number;
  readonly hostShare: number;
  readonly lastStep: number;
}

/** Speed, waiting and time left, smoothed over recent steps. */
export class StepClock {
  private readonly images: number;
  private readonly lastStep: number;
  private step: number;
  private last = performance.now();
  private waited = 0;
  private computed = 0;
  private secondsPerStep: number | undefined;

  constructor(imagesPerStep: number, step: number, lastStep: number) {
    this.images = imagesPerStep;
    this.step = step;
    this.lastStep = lastStep;
  }

  async waiting<T>(work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await work();
    this.waited += performance.now() - start;
    return result;
  }

  async computing<T>(work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await work();
    this.computed += performance.now() - start;
    return result;
  }

  tick(): StepTiming {
    const now = performance.now();
    const seconds = (now - this.last) / 1000;
    const share = (milliseconds: number) => Math.min(1, Math.max(0, milliseconds / 1000 / seconds));
    const waitShare = share(this.waited);
    const hostShare = share(1000 * seconds - this.waited - this.computed);
    this.last = now;
    this.waited = this.computed = 0;
    this.step++;
    // The first step holds the capture: it says nothing about the others.
    const previous = this.secondsPerStep;
    this.secondsPerStep =
      previous === undefined || previous > 3 * seconds ? seconds : 0.9 * previous + 0.1 * seconds;
    return {
      imagesPerSecond: this.images / seconds,
      etaSeconds: this.secondsPerStep * (this.lastStep - this.step),
      waitShare,
      hostShare,
      lastStep: this.lastStep,
    };
  }
}
