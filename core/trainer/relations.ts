/** The relation slot: relations by name and pass, and their comparison across views. */
import * as tf from "@tensorflow/tfjs-core";
import type { CrossView, RelationSink } from "../contexts.ts";
import { errors } from "../errors.ts";
import { float32, overlapSampling, sampleFeatures } from "../math/index.ts";
import { currentScope, pluginOf } from "../scopes.ts";
import { STUDENT, type PassDeclaration } from "./declarations.ts";

type Relation =
  | { readonly kind: "matrix"; readonly matrix: tf.Tensor }
  | {
      readonly kind: "bilinear";
      readonly features: tf.Tensor3D;
      readonly axis: "token" | "channel";
      readonly heads: number;
      readonly scale: number;
    };

/** Sample points per side of an overlap (SERE's overlap_size and its local counterpart). */
const OVERLAP_SIDE = { global: 13, local: 6 } as const;

export class Relations {
  private readonly byPass = new Map<PassDeclaration, Map<string, Relation>>();

  /** The sink that the relation hook writes to in this pass. */
  sink(pass: PassDeclaration): RelationSink {
    const relations = new Map<string, Relation>();
    this.byPass.set(pass, relations);
    const add = (name: string, relation: Relation) => {
      if (relations.has(name)) throw errors.declaredTwice(name);
      relations.set(name, relation);
    };
    return {
      addBilinear: (name, features, { axis, heads = 1, scale = 1 }) =>
        add(name, { kind: "bilinear", features, axis, heads, scale }),
      add: (name, matrix) => add(name, { kind: "matrix", matrix }),
    };
  }

  /** The comparison that the loss hook is given. `rects` gives the crop rectangles of a view group. */
  crossView(rects: (group: string) => tf.Tensor2D, batchSize: number): CrossView {
    return (name, compare, { overlapSide = OVERLAP_SIDE } = {}) => {
      const holders = [...this.byPass].filter(([, relations]) => relations.has(name)).map(([pass]) => pass);
      const teachers = holders.filter((pass) => pass.network.name !== STUDENT);
      const students = holders.filter((pass) => pass.network.name === STUDENT);
      if (teachers.length === 0 || students.length === 0) {
        const known = new Set([...this.byPass.values()].flatMap((relations) => [...relations.keys()]));
        throw errors.relationMissing(pluginOf(currentScope()), name, [...known]);
      }
      const terms: tf.Tensor[] = [];
      for (const teacher of teachers) {
        for (const student of students) {
          const sameViews = teacher.views.group === student.views.group;
          const side = sameViews ? overlapSide.global : overlapSide.local;
          for (let t = 0; t < teacher.views.count; t++) {
            for (let s = 0; s < student.views.count; s++) {
              if (sameViews && s === t) continue;
              const a = this.view(teacher, name, t, batchSize);
              const b = this.view(student, name, s, batchSize);
              terms.push(tf.mean(compare(...align(a, b, rects, side))));
            }
          }
        }
      }
      if (terms.length === 0) throw errors.noViewPairs(pluginOf(currentScope()), teachers[0]!.views.group);
      return tf.div(tf.addN(terms), terms.length);
    };
  }

  private view(pass: PassDeclaration, name: string, view: number, batchSize: number): View {
    return { pass, relation: this.byPass.get(pass)!.get(name)!, start: view * batchSize, batchSize };
  }
}

interface View {
  readonly pass: PassDeclaration;
  readonly relation: Relation;
  readonly start: number;
  readonly batchSize: number;
}

/** The relation matrices of two views; token relations on the points that both views see. */
function align(
  teacher: View,
  student: View,
  rects: (group: string) => tf.Tensor2D,
  side: number,
): [tf.Tensor, tf.Tensor] {
  const a = teacher.relation;
  const b = student.relation;
  if (a.kind === "matrix" || b.kind === "matrix" || a.axis === "channel" || b.axis === "channel") {
    return [matrixOf(a, samplesOf(teacher)), matrixOf(b, samplesOf(student))];
  }
  const rectsOf = ({ pass, start, batchSize }: View) =>
    tf.slice(rects(pass.views.group), [start, 0], [batchSize, 5]);
  const overlap = overlapSampling(rectsOf(teacher), rectsOf(student), {
    side,
    gridA: teacher.pass.grid,
    gridB: student.pass.grid,
  });
  return [
    matrixOf(a, sampleFeatures(samplesOf(teacher) as tf.Tensor3D, overlap.a)),
    matrixOf(b, sampleFeatures(samplesOf(student) as tf.Tensor3D, overlap.b)),
  ];
}

/** The view's samples of a pass's view-major batch. */
function samplesOf({ relation, start, batchSize }: View): tf.Tensor {
  const all = relation.kind === "matrix" ? relation.matrix : relation.features;
  const rest = all.shape.slice(1);
  return tf.slice(all, [start, ...rest.map(() => 0)], [batchSize, ...rest]);
}

/** scale * f f^T per head [B, h, N, N], scale * f^T f [B, D, D], or the matrix as it is. */
function matrixOf(relation: Relation, samples: tf.Tensor): tf.Tensor {
  if (relation.kind === "matrix") return samples;
  const { axis, heads, scale } = relation;
  return float32(() => {
    if (axis === "channel") return tf.mul(tf.matMul(samples, samples, true, false), scale);
    const [batch, count, width] = samples.shape as [number, number, number];
    const perHead = tf.transpose(tf.reshape(samples, [batch, count, heads, width / heads]), [0, 2, 1, 3]);
    return tf.mul(tf.matMul(perHead, perHead, false, true), scale);
  });
}
