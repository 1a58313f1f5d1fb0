/** The tiny model and inputs of test/fixtures/parity/dino.safetensors, made by the official DINO code. */
import * as tf from "@tensorflow/tfjs-core";
import { PrototypeLayer, ProjectionMlp } from "../../../core/heads/projection-head.ts";
import type { ParameterSpec, Parameters } from "../../../core/vit/vit.ts";
import { fixtureBackbone } from "../../support/official-fixture.ts";
import { readFixture, readFixtureJson } from "../../support/safetensors-fixture.ts";

export const golden = readFixture("parity/dino.safetensors");
export const {
  config,
  step,
  param_groups: paramGroups,
} = readFixtureJson<{
  config: { batch: number; n_local: number; student_temp: number };
  step: { total: number; teacher_temp: number };
  param_groups: { decayed: string[]; not_decayed: string[] };
}>("parity/dino.json");

export const vit = fixtureBackbone();
export const mlp = new ProjectionMlp({ inDim: 64, hiddenDim: 64, bottleneckDim: 32 });
export const prototypes = new PrototypeLayer({ inDim: 32, outDim: 128, normLastLayer: false });

/** Every parameter of backbone and head, with the names of the official checkpoint. */
export const specs: readonly ParameterSpec[] = [
  ...vit.parameters().map((spec) => ({ ...spec, name: `backbone.${spec.name}` })),
  ...[mlp, prototypes].flatMap((head) =>
    head.parameters().map((spec) => ({ ...spec, name: `head.${spec.name}` })),
  ),
];

export function tensor(name: string): tf.Tensor {
  const { values, shape } = golden(name);
  return tf.tensor(values, [...shape]);
}

/** Initial weights of `student` or `teacher` by name, in the order of `specs`. */
export function weights(network: "student" | "teacher"): Map<string, tf.Tensor> {
  return new Map(specs.map(({ name }) => [name, tensor(`init/${network}.${name}`)]));
}

export const inBackbone =
  (weights: ReadonlyMap<string, tf.Tensor>): Parameters =>
  (name) =>
    weights.get(`backbone.${name}`)!;

export const inHead =
  (weights: ReadonlyMap<string, tf.Tensor>): Parameters =>
  (name) =>
    weights.get(`head.${name}`)!;

/** Views `global.0 … count-1` or `local.…`, one after the other: [count * B, S, S, 3] */
export function views(kind: "global" | "local", count: number): tf.Tensor4D {
  const channelsFirst = Array.from({ length: count }, (_, i) => tensor(`sere/in.${kind}.${i}`));
  return tf.transpose(tf.concat(channelsFirst), [0, 2, 3, 1]) as tf.Tensor4D;
}

/** Class tokens after the final norm, of several batches of images in one packed pass: [sum of B, D] */
export function clsTokens(weights: ReadonlyMap<string, tf.Tensor>, batches: tf.Tensor4D[]): tf.Tensor2D {
  const p = inBackbone(weights);
  const segments = batches.map((images) => ({
    tokens: vit.prepare(p, vit.patchify(p, images), vit.grid(images.shape[1])),
    clsOnly: true,
  }));
  const outputs = vit
    .blocks(p, segments)
    .map(({ tokens }) => tf.reshape(tokens, [-1, vit.embedDim]) as tf.Tensor2D);
  return vit.norm(p, tf.concat(outputs));
}

/** [R, D] -> logits [R, K] */
export function project(weights: ReadonlyMap<string, tf.Tensor>, rows: tf.Tensor2D): tf.Tensor2D {
  const p = inHead(weights);
  return prototypes.forward(p, mlp.forward(p, rows), { once: (_, compute) => compute() });
}
