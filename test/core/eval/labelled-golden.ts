/** What scikit-learn computes of small features: labelled.reference.py. */
import type { Features } from "../../../core/eval/features.ts";
import { readGolden } from "../../support/golden.ts";

interface LogisticGolden {
  readonly c: number;
  readonly standardise: boolean;
  readonly objective: number;
  readonly predictions: readonly number[];
  readonly accuracy: number;
}

export interface LabelledGolden {
  /** train, test, dim, classes */
  readonly shape: readonly [number, number, number, number];
  readonly train: readonly number[];
  readonly trainLabels: readonly number[];
  readonly test: readonly number[];
  readonly testLabels: readonly number[];
  readonly knn: readonly {
    readonly k: number;
    readonly temperature: number;
    readonly predictions: readonly number[];
  }[];
  readonly logistic: readonly LogisticGolden[];
  readonly logisticOfTwo: LogisticGolden;
  readonly kmeans: { readonly inertia: number };
  readonly clusterings: readonly {
    readonly labels: readonly number[];
    readonly clusters: readonly number[];
    readonly nmi: number;
    readonly ari: number;
  }[];
}

export const labelledGolden = (): LabelledGolden => readGolden(import.meta.url, "labelled.golden.json");

export function trainOf({ train, shape: [count, , dim] }: LabelledGolden): Features {
  return { data: Float32Array.from(train), count, dim };
}

export function testOf({ test, shape: [, count, dim] }: LabelledGolden): Features {
  return { data: Float32Array.from(test), count, dim };
}

/** Rows of the classes 0 and 1 alone. */
export function ofTwoClasses({ data, dim }: Features, labels: readonly number[]) {
  const rows = labels.flatMap((label, i) => (label < 2 ? [i] : []));
  const kept = Float32Array.from(rows.flatMap((i) => [...data.subarray(i * dim, (i + 1) * dim)]));
  return { features: { data: kept, count: rows.length, dim }, labels: rows.map((i) => labels[i]!) };
}

/** Largest share of rows that two lists of classes differ in, as a share of 1. */
export function disagreement(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let different = 0;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) different++;
  return different / a.length;
}
