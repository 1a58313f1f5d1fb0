/** How a figure was made: everything that must be equal for two figures to be comparable. */
export interface ProtocolCard {
  /** "category k-NN", "same-emoji retrieval", "view retrieval" … */
  readonly task: string;
  /** The network whose features these are: "teacher", "student". */
  readonly network: string;
  /** Which output of it, and what becomes of it: "cls token after the final norm". */
  readonly features: string;
  /** How images are brought to the network's size: "whole image at 64 px", "centre 224 of 256". */
  readonly crop: string;
  /** Neighbours asked, where the task has any. */
  readonly k?: number;
  /** T of the vote weight exp(similarity / T), where the task votes. */
  readonly temperature?: number;
  /** Of dense evaluation, what says which pixels are foreground: "alpha channel". */
  readonly masks?: string;
  /** Of a network that was trained for the task: what with, by the names of the config. */
  readonly training?: Readonly<Record<string, string | number | boolean>>;
  readonly seed: number;
  /** What is searched, or fitted to: "Google emoji, 1,911". */
  readonly bank: string;
  /** What is asked, or tested on: "Twitter emoji, 1,911". */
  readonly queries: string;
  /** Number of queries. A share of them has the resolution 1 / n. */
  readonly n: number;
}

/** What is compared with. */
export type BaselineName = "raw pixels" | "untrained backbone" | "most frequent class";

/** The same figure, by the same protocol, without training. */
export interface Baseline {
  readonly name: BaselineName;
  /** 0..1. */
  readonly value: number;
}

/** A share of 1 that a protocol measures, beside the same without training. */
export interface Figure {
  /** "top-1", "top-5", "mean reciprocal rank" … */
  readonly name: string;
  /** 0..1. */
  readonly value: number;
  readonly baselines: readonly Baseline[];
}

/** One evaluation of one network: the content of `eval.json` is a list of these. */
export interface EvalResult {
  readonly card: ProtocolCard;
  readonly figures: readonly Figure[];
}
