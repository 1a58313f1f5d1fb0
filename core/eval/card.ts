/** How a figure was made: everything that must be equal for two figures to be comparable. */
export interface ProtocolCard {
  /** "category k-NN", "same-emoji retrieval", "linear probe" … */
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
  /** What is fitted to the bank, and how: "linear layer by SGD of momentum 0.9, cosine to 0, no weight decay". */
  readonly fitted?: string;
  readonly epochs?: number;
  readonly batchSize?: number;
  /** Learning rates that were tried, per 256 images. */
  readonly lrSweep?: readonly number[];
  /** The one of them whose figure this is. */
  readonly lr?: number;
  /** What it was chosen on: "10 % of the bank, held out". */
  readonly lrChosenOn?: string;
  /** C of scikit-learn's LogisticRegression: 1 / l2. */
  readonly c?: number;
  /** Classes of an episode. */
  readonly ways?: number;
  /** Labelled images of each class of an episode. */
  readonly shots?: number;
  readonly queriesPerClass?: number;
  readonly episodes?: number;
  /** Times that the labelled images were drawn; figures are means. */
  readonly draws?: number;
  /** Of k-means. */
  readonly clusters?: number;
  /** Starts of k-means, the best of which counts. */
  readonly restarts?: number;
  /** Of a network that was trained for the task: what else it was trained with, by the names of the config. */
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
  /** 0..1; the adjusted Rand index -0.5..1. */
  readonly value: number;
  /** Half the width of the 95 % confidence interval of a mean over episodes. */
  readonly interval?: number;
  readonly baselines: readonly Baseline[];
}

/** The figures of one learning rate that was tried. */
export interface SweepPoint {
  readonly lr: number;
  /** top-1 on what is held out, 0..1, where the learning rate is chosen on it. */
  readonly heldOut?: number;
  /** top-1 on the test images, 0..1. */
  readonly test: number;
}

/** One evaluation of one network: the content of `eval.json` is a list of these. */
export interface EvalResult {
  readonly card: ProtocolCard;
  readonly figures: readonly Figure[];
  /** By learning rate, where there are several. */
  readonly sweep?: readonly SweepPoint[];
}

/** The card in a sentence or two. */
export function describeCard(card: ProtocolCard): string {
  return `${subject(card)}. ${upper(card.network)}, ${card.features}; ${card.crop}; ${settings(card).join(", ")}.`;
}

/** The error of a share of n yes-or-no answers, at most that of a mean of values in 0..1; undefined of all else. */
export function standardError({ masks, clusters, n }: ProtocolCard, value: number): number | undefined {
  if (masks !== undefined || clusters !== undefined) return undefined;
  return Math.sqrt((value * (1 - value)) / n);
}

function subject({ bank, queries, masks, fitted, clusters }: ProtocolCard): string {
  if (masks !== undefined) return `Fitted to ${bank}, tested on ${queries}; foreground by ${masks}`;
  if (clusters !== undefined) return `${upper(queries)} in ${clusters} clusters by ${fitted}`;
  if (fitted !== undefined) return `${upper(fitted)}, fitted to ${bank}, tested on ${queries}`;
  return `${upper(queries)} searched in ${bank}`;
}

function settings(card: ProtocolCard): string[] {
  const { lrSweep, lr, lrChosenOn } = card;
  const list: readonly (readonly [unknown, string])[] = [
    [card.k, `k = ${card.k}`],
    [card.temperature, `T = ${card.temperature}`],
    [card.epochs, `${card.epochs} epochs`],
    [card.batchSize, `batch ${card.batchSize}`],
    [lr, `lr ${lr}${lrSweep ? ` of ${lrSweep.join(", ")}` : ""}`],
    [lrChosenOn, `chosen on ${lrChosenOn}`],
    [card.c, `C = ${card.c}`],
    [card.ways, `${card.ways} ways`],
    [card.shots, `${card.shots} ${card.shots === 1 ? "shot" : "shots"}`],
    [card.queriesPerClass, `up to ${card.queriesPerClass} queries a class`],
    [card.episodes, `${card.episodes?.toLocaleString("en-US")} episodes`],
    [card.draws, `mean of ${card.draws} draws`],
    [card.restarts, `best of ${card.restarts} starts`],
    ...Object.entries(card.training ?? {}).map(([name, value]) => [value, `${name} ${value}`] as const),
  ];
  const told = list.flatMap(([value, words]) => (value === undefined ? [] : [words]));
  // What belongs together stays on a line.
  const short = told.map((words) => (words.length < 24 ? words.replaceAll(" ", "\u00a0") : words));
  return [...short, `n\u00a0=\u00a0${card.n.toLocaleString("en-US")}`, `seed\u00a0${card.seed}`];
}

const upper = (words: string) => words.charAt(0).toUpperCase() + words.slice(1);
