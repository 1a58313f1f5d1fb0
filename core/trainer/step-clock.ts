/** Speed, waiting and time left, smoothed over recent steps. */
export class StepClock {
  private readonly images: number;
  private readonly lastStep: number;
  private step: number;
  private last = performance.now();
  private waited = 0;
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

  tick(): { imagesPerSecond: number; etaSeconds: number; waitShare: number; lastStep: number } {
    const now = performance.now();
    const seconds = (now - this.last) / 1000;
    const waitShare = Math.min(1, this.waited / 1000 / seconds);
    this.last = now;
    this.waited = 0;
    this.step++;
    // The first step holds the capture: it says nothing about the others.
    const previous = this.secondsPerStep;
    this.secondsPerStep =
      previous === undefined || previous > 3 * seconds ? seconds : 0.9 * previous + 0.1 * seconds;
    return {
      imagesPerSecond: this.images / seconds,
      etaSeconds: this.secondsPerStep * (this.lastStep - this.step),
      waitShare,
      lastStep: this.lastStep,
    };
  }
}
