/** How chosen points of an image relate to the tokens of two views of it: a program for pictures. */
import * as tf from "@tensorflow/tfjs-core";
import type { Trace } from "../engine/engine.ts";
import { bilinearWeights, constant, float32, overlapCoordinates, sampleFeatures } from "../math/index.ts";
import { STUDENT, TEACHER } from "./declarations.ts";
import { ForwardTrace, type ForwardParts } from "./forward.ts";
import type { Held, Relations, RelationStep, TokenRelation } from "./relations.ts";
import { TraceContext, type Variant } from "./step-context.ts";

/** Names of the program's outputs. */
export const relationOutputs = {
  /** [2, samples, S, S, C] augmented first and second views, 0..1. */
  pixels: "pixels",
  view: (relation: string, network: "teacher" | "student", part: keyof ViewRows) =>
    `${relation}/${network}/${part}`,
};

/** What is shown. */
export interface ShownPoints {
  /** The group of which the teacher's first and the student's second view are shown. */
  readonly group: string;
  /** Indices in the batch. */
  readonly samples: Int32Array;
  /** Indices into the side^2 points of the two views' overlap, row-major. */
  readonly points: Int32Array;
  readonly side: number;
}

/** Only the passes of a group and their relations along tokens: how points of an overlap relate to all tokens. */
export function traceRelations(parts: ForwardParts, variant: Variant, shown: ShownPoints): Trace {
  const { declarations, state } = parts;
  return TraceContext.trace(declarations, state, variant, (context) => {
    const { tracer } = context;
    const forward = new ForwardTrace(parts, context);
    const passes = [...declarations.passes.values()];
    forward.runPasses(
      passes.filter(
        ({ network, views, unmasked }) =>
          [STUDENT, TEACHER].includes(network.name) && views.group === shown.group && !unmasked,
      ),
    );
    const chosen = <T extends tf.Tensor>(x: T) => rowsAt(x, shown.samples);
    const views = declarations.viewGroup(shown.group);
    const pixels = tf.split(forward.augment(views), views.count);
    tracer.output(relationOutputs.pixels, tf.stack(pixels.slice(0, 2).map(chosen)));
    for (const { relation, ...networks } of pointRows(forward.relations, forward.relationStep, shown)) {
      for (const network of ["teacher", "student"] as const) {
        for (const part of ["rows", "x", "y"] as const) {
          tracer.output(relationOutputs.view(relation, network, part), chosen(networks[network][part]));
        }
      }
    }
  });
}

function pointRows(relations: Relations, step: RelationStep, shown: ShownPoints): PointRows[] {
  return relations.names.flatMap((relation): PointRows[] => {
    const [teacher, student] = [TEACHER, STUDENT].map(
      (network) => relations.alongTokens(relation, network)[0],
    );
    if (!teacher || !student) return [];
    const rows = (held: Held<TokenRelation>, view: number, other: number) =>
      rowsOfPoints(held, view, other, step, shown);
    return [{ relation, teacher: rows(teacher, 0, 1), student: rows(student, 1, 0) }];
  });
}

function rowsAt<T extends tf.Tensor>(x: T, indices: Int32Array, axis = 0): T {
  return tf.gather(x, constant<tf.Rank.R1>(indices, [indices.length]), axis) as T;
}

/** What one view's tokens are to the chosen points. */
interface ViewRows {
  /** [B, P, N], mean over the heads. */
  readonly rows: tf.Tensor;
  /** [B, P] each, the points in the view, -1 … 1 between its edges. */
  readonly x: tf.Tensor;
  readonly y: tf.Tensor;
}

interface PointRows {
  readonly relation: string;
  readonly teacher: ViewRows;
  readonly student: ViewRows;
}

/** Rows s (W f)_p f^T of a view's relation at points of its overlap with another view of the group. */
function rowsOfPoints(
  { pass, relation: { features, heads, scale } }: Held<TokenRelation>,
  view: number,
  other: number,
  { batchSize, rects }: RelationStep,
  { side, points }: ShownPoints,
): ViewRows {
  const ofView = (x: tf.Tensor, index: number) => tf.split(x, pass.views.count)[index]!;
  const [own, others] = [view, other].map(
    (index) => ofView(rects(pass.views.group), index) as tf.Tensor2D,
  ) as [tf.Tensor2D, tf.Tensor2D];
  const { a: at } = overlapCoordinates(own, others, side);
  const f = ofView(features, view) as tf.Tensor3D;
  const weights = { y: bilinearWeights(at.y, pass.grid.rows), x: bilinearWeights(at.x, pass.grid.columns) };
  const q = rowsAt(sampleFeatures(f, weights), points, 1); // [B, P, C]
  const perHead = (x: tf.Tensor) =>
    tf.transpose(tf.reshape(x, [batchSize, x.shape[1]!, heads, -1]), [0, 2, 1, 3]);
  const rows = float32(() => tf.mul(tf.matMul(perHead(q), perHead(f), false, true), scale));
  return {
    rows: tf.mean(rows, 1),
    x: rowsAt(
      at.x,
      points.map((point) => point % side),
      1,
    ),
    y: rowsAt(
      at.y,
      points.map((point) => Math.floor(point / side)),
      1,
    ),
  };
}
