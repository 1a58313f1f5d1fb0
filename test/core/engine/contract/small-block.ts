/** A transformer block with a classifier, made of core/math: small, but with every kind of op of a real step. */
import * as tf from "@tensorflow/tfjs-core";
import type { Engine, Tracer, Variable } from "../../../../core/engine/engine.ts";
import { attention, gelu, layerNorm, linear, softmaxCrossEntropy } from "../../../../core/math/index.ts";
import { Random } from "../../../../core/random.ts";
import { withScope } from "../../../../core/scopes.ts";

export const [BATCH, TOKENS, WIDTH, HEADS, CLASSES] = [2, 5, 16, 2, 8] as const;
const ROWS = BATCH * TOKENS;

const shapes = {
  "norm1.gamma": [WIDTH],
  "norm1.beta": [WIDTH],
  "qkv.weight": [3 * WIDTH, WIDTH],
  "qkv.bias": [3 * WIDTH],
  "proj.weight": [WIDTH, WIDTH],
  "proj.bias": [WIDTH],
  "norm2.gamma": [WIDTH],
  "norm2.beta": [WIDTH],
  "fc1.weight": [2 * WIDTH, WIDTH],
  "fc1.bias": [2 * WIDTH],
  "fc2.weight": [WIDTH, 2 * WIDTH],
  "fc2.bias": [WIDTH],
  "head.weight": [CLASSES, WIDTH],
} as const;
export type Weight = keyof typeof shapes;
export const weightNames = Object.keys(shapes) as Weight[];

export type Weights = Record<Weight, Variable>;

const drawn = (name: string, size: number, scale: number): Float32Array => {
  const random = new Random(0, "small block", name);
  return Float32Array.from({ length: size }, () => scale * random.normal());
};

/** Declares and loads the weights, and with `moments` those of AdamW. */
export async function declareWeights(engine: Engine): Promise<Weights> {
  const entries = weightNames.map((name) => [name, engine.variable(name, shapes[name])] as const);
  await engine.load(
    entries.map(([name, variable]) => {
      const values = drawn(name, variable.size, 0.3);
      return [variable, name.endsWith("gamma") ? values.map((v) => 1 + v) : values] as const;
    }),
  );
  return Object.fromEntries(entries) as Weights;
}

/** What the programs below are fed with. */
export const feeds = {
  tokens: drawn("tokens", ROWS * WIDTH, 1),
  labels: Int32Array.from({ length: ROWS }, (_, i) => (3 * i) % CLASSES),
};

/** The mean cross-entropy of the rows, as a function of the weights in the order of `weightNames`. */
export function lossOf(tracer: Tracer): (...weights: tf.Tensor[]) => tf.Scalar {
  const x = tracer.input("tokens", [ROWS, WIDTH], "float32") as tf.Tensor2D;
  const labels = tf.oneHot(tracer.input("labels", [ROWS], "int32"), CLASSES, 1, 0, "float32") as tf.Tensor2D;
  return (...weights) => {
    const w = Object.fromEntries(weightNames.map((name, i) => [name, weights[i]!])) as Record<
      Weight,
      tf.Tensor
    >;
    const attended = withScope("block/attention", () => {
      const normed = layerNorm(x, w["norm1.gamma"], w["norm1.beta"]);
      const qkv = linear(normed, w["qkv.weight"], w["qkv.bias"]);
      const mixed = attention(qkv, HEADS, [{ batch: BATCH, tokens: TOKENS }]);
      return tf.add(x, linear(mixed, w["proj.weight"], w["proj.bias"])) as tf.Tensor2D;
    });
    const out = withScope("block/mlp", () => {
      const normed = layerNorm(attended, w["norm2.gamma"], w["norm2.beta"]);
      const hidden = gelu(linear(normed, w["fc1.weight"], w["fc1.bias"]));
      return tf.add(attended, linear(hidden, w["fc2.weight"], w["fc2.bias"])) as tf.Tensor2D;
    });
    return withScope("head/loss", () => tf.mean(softmaxCrossEntropy(labels, linear(out, w["head.weight"]))));
  };
}

/** Traces the loss and its gradients as outputs "loss" and the weights' names. */
export function traceGradients(tracer: Tracer, weights: Weights): Record<Weight, tf.Tensor> {
  const read = weightNames.map((name) => tracer.read(weights[name]));
  const { value, grads } = tf.valueAndGrads(lossOf(tracer))(read);
  tracer.output("loss", value);
  weightNames.forEach((name, i) => tracer.output(name, grads[i]!));
  return Object.fromEntries(weightNames.map((name, i) => [name, grads[i]!])) as Record<Weight, tf.Tensor>;
}
