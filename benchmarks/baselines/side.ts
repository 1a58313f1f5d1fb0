/** What is compared: two that run the same phases of the same step. */

/**
 * forward: both networks and all losses, nothing kept for a backward pass. gradients: losses and gradients of all
 * weights. step: all of it, and the weights move.
 */
export const phases = ["step", "gradients", "forward"] as const;
export type Phase = (typeof phases)[number];

export interface PhaseRun {
  readonly seconds: number;
  /** Loss terms by name, `total`, and `gradNorm` where there are gradients. */
  readonly scalars: Readonly<Record<string, number>>;
}

export interface Side {
  readonly name: string;
  run(phase: Phase): Promise<PhaseRun>;
  /** The most that its process has held so far. */
  peakMemoryBytes(): Promise<number>;
}
