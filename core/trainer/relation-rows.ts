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
  /** Augmented views of the first group, 0..1. */
  pixels: "pixels",
  overlaps: (relation: string) => `${relation}/overlaps`,
  view: (relation: string, network: "teacher" | "student", part: keyof ViewRows) =>
    `${relation}/${network}/${part}`,
};

/**
 * Only the passes and their relations. Outputs by relation along tokens: how chosen points, which two views of the
 * first group share, relate to every token of the teacher's first and of the student's second view.
 *
 * @param points indices into the side^2 points of the views' overlap, row-major
 */
export function traceRelations(
  parts: ForwardParts,
  variant: Variant,
  side: number,
  points: Int32Array,
): Trace {
  const { declarations, state } = parts;
  return TraceContext.trace(declarations, state, variant, (context) => {
    const forward = new ForwardTrace(parts, context);
    forward.runPasses([...declarations.passes.values()]);
    const { tracer } = context;
    const views = declarations.views[0]!;
    tracer.output(relationOutputs.pixels, forward.augment(views));
    const shown = pointRows(forward.relations, forward.relationStep, views.group, side, points);
    for (const { relation, overlaps, ...networks } of shown) {
      tracer.output(relationOutputs.overlaps(relation), overlaps);
      for (const network of ["teacher", "student"] as const) {
        for (const part of ["rows", "x", "y"] as const) {
          tracer.output(relationOutputs.view(relation, network, part), networks[network][part]);
        }
      }
    }
  });
}

function pointRows(
  relations: Relations,
  step: RelationStep,
  group: string,
  side: number,
  points: Int32Array,
): PointRows[] {
  return relations.names.flatMap((relation): PointRows[] => {
    const [teacher, student] = [TEACHER, STUDENT].map((network) =>
      relations.alongTokens(relation, network).find(({ pass }) => pass.views.group === group),
    );
    if (!teacher || !student || teacher.pass.views.count < 2) return [];
    const { overlaps, ...a } = rowsOfPoints(teacher, 0, 1, step, side, points);
    const b = rowsOfPoints(student, 1, 0, step, side, points);
    return [{ relation, teacher: a, student: b, overlaps }];
  });
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
  /** [B] 1 where the two views overlap. */
  readonly overlaps: tf.Tensor1D;
}

/** Rows s (W f)_p f^T of a view's relation at points of its overlap with another view of the group. */
function rowsOfPoints(
  { pass, relation: { features, heads, scale } }: Held<TokenRelation>,
  view: number,
  other: number,
  { batchSize, rects }: RelationStep,
  side: number,
  points: Int32Array,
): ViewRows & { overlaps: tf.Tensor1D } {
  const ofView = (x: tf.Tensor, index: number) => tf.split(x, pass.views.count)[index]!;
  const [own, others] = [view, other].map(
    (index) => ofView(rects(pass.views.group), index) as tf.Tensor2D,
  ) as [tf.Tensor2D, tf.Tensor2D];
  const { a: at, hit } = overlapCoordinates(own, others, side);
  const f = ofView(features, view) as tf.Tensor3D;
  const weights = { y: bilinearWeights(at.y, pass.grid.rows), x: bilinearWeights(at.x, pass.grid.columns) };
  const chosen = (indices: Int32Array) => constant<tf.Rank.R1>(indices, [indices.length]);
  const q = tf.gather(sampleFeatures(f, weights), chosen(points), 1); // [B, P, C]
  const perHead = (x: tf.Tensor) =>
    tf.transpose(tf.reshape(x, [batchSize, x.shape[1]!, heads, -1]), [0, 2, 1, 3]);
  const rows = float32(() => tf.mul(tf.matMul(perHead(q), perHead(f), false, true), scale));
  return {
    rows: tf.mean(rows, 1),
    x: tf.gather(at.x, chosen(points.map((point) => point % side)), 1),
    y: tf.gather(at.y, chosen(points.map((point) => Math.floor(point / side))), 1),
    overlaps: hit,
  };
}
