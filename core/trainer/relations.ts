/** The relation slot: relations by name and pass, and their comparison across views. */
import * as tf from "@tensorflow/tfjs-core";
import { bilinearOptions, crossViewOptions } from "../argument-shapes.ts";
import { requireArgument } from "../arguments.ts";
import type { BatchStatistics, CrossView, CrossViewOptions, Pass, RelationSink } from "../contexts.ts";
import { described, isTensor } from "../described.ts";
import { errors, type RelataError } from "../errors.ts";
import {
  columnGram,
  constant,
  float32,
  gram,
  overlapSampling,
  permuteRows,
  sampleFeatures,
  type SamplePadding,
} from "../math/index.ts";
import { currentScope, pluginOf } from "../scopes.ts";
import { STUDENT, TEACHER } from "./declarations.ts";
import { notTensor } from "./not-tensor.ts";

type Relation = { readonly owner: string } & RelationKind;

type RelationKind =
  | { readonly kind: "matrix"; readonly matrix: tf.Tensor }
  | {
      readonly kind: "bilinear";
      readonly features: tf.Tensor3D;
      readonly axis: "token" | "channel";
      readonly heads: number;
      readonly scale: number;
    };

export type TokenRelation = Extract<Relation, { kind: "bilinear" }> & { readonly axis: "token" };

/** A relation as one pass holds it. */
export interface Held<R extends Relation = Relation> {
  readonly pass: Pass;
  readonly relation: R;
}

/** What `compare` gave for n matrices, each of which stands for so many pairs of views. */
interface Comparison {
  readonly values: tf.Tensor;
  readonly matrices: number;
  readonly pairs: number;
  /** [n] */
  readonly overlaps: tf.Tensor1D | null;
}

/** What comparisons need of the step. */
export interface RelationStep {
  readonly batch: BatchStatistics;
  readonly batchSize: number;
  /** [count * B, 5] crop rectangles of a view group. */
  rects(group: string): tf.Tensor2D;
  /** The view groups in which a network teaches the plugin. */
  taughtGroups(plugin: string, network: string): readonly string[];
}

type Compare = Parameters<CrossView>[1];

/** Sample points per side of an overlap (SERE's overlap_size and its local counterpart). */
const OVERLAP_SIDE = { global: 13, local: 6 } as const;

export class Relations {
  private readonly byPass = new Map<Pass, Map<string, Relation>>();

  /** The sink that the relation hook writes to in this pass of so many images. */
  sink(pass: Pass, images: number): RelationSink {
    const relations = new Map<string, Relation>();
    this.byPass.set(pass, relations);
    const add = (name: string, relation: RelationKind) => {
      const known = relations.get(name);
      if (known) throw errors.declaredTwice(name, known.owner);
      relations.set(name, { ...relation, owner: pluginOf(currentScope()) });
    };
    return {
      addBilinear: (name, features, options) => {
        requireArgument(`addBilinear("${name}")`, bilinearOptions, options);
        const { axis, heads = 1, scale = 1 } = options;
        const [batch, , width] = shapeOf(name, features);
        const fits = features.rank === 3 && batch === images && width! % heads === 0;
        if (!fits) throw relationShape(name, features, `[${images}, N, a multiple of ${heads}]`);
        add(name, { kind: "bilinear", features, axis, heads, scale });
      },
      add: (name, matrix) => {
        const fits = shapeOf(name, matrix)[0] === images && matrix.rank > 1;
        if (!fits) throw relationShape(name, matrix, `[${images}, …]`);
        add(name, { kind: "matrix", matrix });
      },
    };
  }

  /** The comparison that the loss hook is given. */
  crossView(step: RelationStep): CrossView {
    return (name, compare, options = {}) => {
      requireArgument(`crossView("${name}")`, crossViewOptions, options);
      const { teacher: network = TEACHER } = options;
      const teachers = this.holders(name, network, step.taughtGroups(pluginOf(currentScope()), network));
      const students = this.holders(name, STUDENT);
      const comparisons = teachers.flatMap((teacher) => {
        const targets = new Targets(teacher, options);
        return students.flatMap((student) => {
          const [a, b] = [asTokenRelation(teacher), asTokenRelation(student)];
          if (a && b) return compareAligned(a, b, step, compare, options);
          return compareAsTheyAre(teacher, student, targets, compare);
        });
      });
      if (comparisons.length === 0)
        throw errors.noViewPairs(pluginOf(currentScope()), teachers[0]!.pass.views.group);
      return options.disjoint === "skip"
        ? meanOfOverlapping(name, comparisons, step.batch)
        : meanOfAll(name, comparisons);
    };
  }

  /** Names of all relations. */
  get names(): string[] {
    return [...new Set([...this.byPass.values()].flatMap((relations) => [...relations.keys()]))];
  }

  /** A network's passes over all of whose tokens the relation was added as bilinear. */
  alongTokens(name: string, network: string): Held<TokenRelation>[] {
    return this.heldBy(name, network).flatMap((held) => asTokenRelation(held) ?? []);
  }

  /** The network's passes that hold the relation, of these view groups or of all. Throws RELATION_MISSING. */
  private holders(name: string, network: string, groups?: readonly string[]): Held[] {
    const holders = this.heldBy(name, network).filter(
      ({ pass }) => groups?.includes(pass.views.group) ?? true,
    );
    if (holders.length === 0)
      throw errors.relationMissing(pluginOf(currentScope()), name, network, this.names);
    return holders;
  }

  private heldBy(name: string, network: string): Held[] {
    return [...this.byPass].flatMap(([pass, relations]) => {
      const relation = relations.get(name);
      return relation && pass.network.name === network ? [{ pass, relation }] : [];
    });
  }
}

function shapeOf(relation: string, value: unknown): readonly number[] {
  if (isTensor(value)) return value.shape;
  throw notTensor(`the relation "${relation}"`, value);
}

function relationShape(relation: string, value: tf.Tensor, want: string): RelataError {
  return errors.relationShape(pluginOf(currentScope()), relation, described(value), want);
}

function asTokenRelation({ pass, relation }: Held): Held<TokenRelation> | undefined {
  return relation.kind === "bilinear" && relation.axis === "token"
    ? { pass, relation: relation as TokenRelation }
    : undefined;
}

/** Every teacher view with every other student view. */
function viewPairs(teacher: Pass, student: Pass): { t: number; s: number }[] {
  const sameViews = teacher.views.group === student.views.group;
  return Array.from({ length: teacher.views.count }, (_, t) =>
    Array.from({ length: student.views.count }, (_, s) => ({ t, s })),
  )
    .flat()
    .filter(({ t, s }) => !(sameViews && s === t));
}

// --- aligned: relations along tokens -----------------------------------------------------------------------

/**
 * All pairs of views of two passes at once. Features are sampled on the overlaps before they are multiplied, which
 * gives the same numbers as sampling the relation: W (s f f^T) W^T = s (W f) (W f)^T.
 */
function compareAligned(
  teacher: Held<TokenRelation>,
  student: Held<TokenRelation>,
  step: RelationStep,
  compare: Compare,
  { overlapSide = OVERLAP_SIDE, padding, target = (x) => x }: CrossViewOptions,
): Comparison[] {
  const pairs = viewPairs(teacher.pass, student.pass);
  if (pairs.length === 0) return [];
  const side = teacher.pass.views.group === student.pass.views.group ? overlapSide.global : overlapSide.local;
  const ofTeacher = pairs.map(({ t, s }) => ({ own: t, other: s }));
  const ofStudent = pairs.map(({ t, s }) => ({ own: s, other: t }));
  const a = sampleOverlaps(teacher, student.pass, ofTeacher, { side, padding }, step);
  const b = sampleOverlaps(student, teacher.pass, ofStudent, { side, padding }, step);
  // Both lie by their own views; the student's are brought into the teacher's order.
  const order = new Int32Array(pairs.length * step.batchSize);
  const studentRows = pairRows(ofStudent, step.batchSize);
  pairRows(ofTeacher, step.batchSize).forEach((row, i) => (order[row] = studentRows[i]!));
  const values = compare(
    target(tokenMatrices(a.features, teacher.relation)),
    tokenMatrices(permuteRows(b.features, order), student.relation),
    { teacher: teacher.pass, student: student.pass, overlaps: a.overlaps },
  );
  return [{ values, matrices: pairs.length * step.batchSize, pairs: 1, overlaps: a.overlaps }];
}

interface ViewPair {
  readonly own: number;
  readonly other: number;
}

/**
 * Where pair p of sample b lies when rows go by own view, sample, and pair of the view: [P * B], by p and b. Every view
 * must be in equally many pairs.
 */
function pairRows(pairs: readonly ViewPair[], batchSize: number): Int32Array {
  const views = new Set(pairs.map(({ own }) => own)).size;
  const crops = pairs.length / views;
  const seen = new Map<number, number>();
  const rows = new Int32Array(pairs.length * batchSize);
  pairs.forEach(({ own }, p) => {
    const crop = seen.get(own) ?? 0;
    seen.set(own, crop + 1);
    for (let b = 0; b < batchSize; b++) rows[p * batchSize + b] = (own * batchSize + b) * crops + crop;
  });
  return rows;
}

/**
 * One side's features on the overlaps of all pairs, [P * B, g * g, C], and whether there is an overlap, [P * B]; both in
 * the order of `pairRows`: a view is sampled for all its pairs together.
 */
function sampleOverlaps(
  { pass, relation }: Held<TokenRelation>,
  otherPass: Pass,
  pairs: readonly ViewPair[],
  points: { side: number; padding?: SamplePadding },
  { batchSize, rects }: RelationStep,
): { features: tf.Tensor3D; overlaps: tf.Tensor1D } {
  const own = new Int32Array(pairs.length * batchSize);
  const other = new Int32Array(own.length);
  pairRows(pairs, batchSize).forEach((row, i) => {
    const pair = pairs[Math.floor(i / batchSize)]!;
    own[row] = pair.own * batchSize + (i % batchSize);
    other[row] = pair.other * batchSize + (i % batchSize);
  });
  const rectsOf = (views: Pass, rows: Int32Array) =>
    tf.gather(rects(views.views.group), constant<tf.Rank.R1>(rows, [rows.length]));
  const sampling = overlapSampling(rectsOf(pass, own), rectsOf(otherPass, other), {
    ...points,
    gridA: pass.grid,
    gridB: otherPass.grid,
  });
  return { features: sampleFeatures(relation.features, sampling.a), overlaps: sampling.hit };
}

/** [n, T, D] -> scale * f f^T per head, [n, h, T, T] */
function tokenMatrices(features: tf.Tensor3D, { heads, scale }: TokenRelation): tf.Tensor {
  return scaled(features, scale, (f) => {
    const [n, count, width] = features.shape;
    return gram(tf.transpose(tf.reshape(f, [n, count, heads, width / heads]), [0, 2, 1, 3]));
  });
}

/** scale * product(f): the features are fewer than the products, so they are scaled, by the root. */
function scaled(features: tf.Tensor, scale: number, product: (f: tf.Tensor) => tf.Tensor): tf.Tensor {
  return float32(() => {
    const root = Math.sqrt(Math.abs(scale));
    const products = product(root === 1 ? features : tf.mul(features, root));
    return scale < 0 ? tf.neg(products) : products;
  });
}

// --- as they are -------------------------------------------------------------------------------------------

/** What the views of one teacher pass are compared as, each made when first wanted. */
class Targets {
  private readonly teacher: Held;
  private readonly options: CrossViewOptions;
  private views: readonly tf.Tensor[] | undefined;
  private readonly means = new Map<string, tf.Tensor>();

  constructor(teacher: Held, options: CrossViewOptions) {
    this.teacher = teacher;
    this.options = options;
  }

  /** Those of some views, or their mean where the comparison is linear in them. */
  of(views: readonly number[]): tf.Tensor[] {
    const { target = (x) => x, linear = false } = this.options;
    this.views ??= matricesByView(this.teacher).map((matrices) => target(matrices));
    const own = views.map((view) => this.views![view]!);
    if (!linear || own.length === 1) return own;
    const key = views.join();
    const mean = this.means.get(key) ?? tf.div(tf.addN(own), own.length);
    this.means.set(key, mean);
    return [mean];
  }
}

/** View by view of the student. */
function compareAsTheyAre(teacher: Held, student: Held, targets: Targets, compare: Compare): Comparison[] {
  const pairs = viewPairs(teacher.pass, student.pass);
  return matricesByView(student).flatMap((matrices, view): Comparison[] => {
    const views = pairs.filter(({ s }) => s === view).map(({ t }) => t);
    if (views.length === 0) return [];
    const own = targets.of(views);
    return own.map((teachers) => ({
      values: compare(teachers, matrices, {
        teacher: teacher.pass,
        student: student.pass,
        overlaps: null,
      }),
      matrices: matrices.shape[0]!,
      pairs: views.length / own.length,
      overlaps: null,
    }));
  });
}

/** One [B, ...] per view of a pass's view-major batch. */
function matricesByView({ pass, relation }: Held): tf.Tensor[] {
  const { count } = pass.views;
  const views = (x: tf.Tensor) => (count === 1 ? [x] : tf.split(x, count));
  if (relation.kind === "matrix") return views(relation.matrix);
  const { axis, features, scale } = relation;
  return views(features).map((own) =>
    axis === "token"
      ? tokenMatrices(own as tf.Tensor3D, relation as TokenRelation)
      : scaled(own, scale, columnGram),
  );
}

// --- means -------------------------------------------------------------------------------------------------

function meanOfAll(name: string, comparisons: readonly Comparison[]): tf.Tensor {
  const total = comparisons.reduce((sum, { matrices, pairs }) => sum + matrices * pairs, 0);
  const parts = comparisons.map((comparison) => {
    const share = (comparison.matrices * comparison.pairs) / total;
    return tf.mul(tf.mean(checked(name, comparison)), share);
  });
  return tf.addN(parts);
}

/** The mean over the matrices whose crops overlap, on all processes; 0 where there is none. */
function meanOfOverlapping(
  name: string,
  comparisons: readonly Comparison[],
  batch: BatchStatistics,
): tf.Tensor {
  const sums = comparisons.map((comparison) => {
    const { matrices, pairs, overlaps } = comparison;
    const values = checked(name, comparison);
    if (values.rank === 0) throw errors.relationComparison(pluginOf(currentScope()), name, matrices, []);
    const perMatrix = tf.mean(tf.reshape(values, [matrices, -1]), 1);
    const counted = overlaps ?? tf.ones([matrices]);
    return {
      loss: tf.mul(tf.sum(tf.mul(perMatrix, counted)), pairs),
      count: tf.mul(tf.sum(counted), pairs),
    };
  });
  const count = batch.mean(tf.addN(sums.map(({ count }) => count)));
  return tf.div(tf.addN(sums.map(({ loss }) => loss)), tf.maximum(count, 1e-6));
}

function checked(name: string, { values, matrices }: Comparison): tf.Tensor {
  if (!isTensor(values)) throw notTensor(`the comparison of "${name}"`, values);
  if (values.rank > 0 && values.size % matrices !== 0) {
    throw errors.relationComparison(pluginOf(currentScope()), name, matrices, values.shape);
  }
  return values;
}
