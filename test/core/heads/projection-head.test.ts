import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { PrototypeLayer, ProjectionMlp } from "../../../core/heads/projection-head.ts";
import { gelu } from "../../../core/math/index.ts";
import { assertClose, assertGradients, normal, useCpuBackend } from "../math/numeric.ts";

const weightsOf = (head: ProjectionMlp | PrototypeLayer) =>
  new Map(head.parameters().map(({ name, shape }) => [name, normal(name, [...shape], 0.7)]));

/** Nothing is remembered. */
const alone = { once: <T extends tf.Tensor>(_: string, compute: () => T): T => compute() };

describe("core/heads projection head", () => {
  useCpuBackend();

  it("ProjectionMlp has the official sizes by default and any number of layers", () => {
    const shapes = (head: ProjectionMlp) => head.parameters().map(({ name, shape }) => `${name} ${shape}`);
    assert.deepEqual(shapes(new ProjectionMlp({ inDim: 384 })), [
      "mlp.0.weight 2048,384",
      "mlp.0.bias 2048",
      "mlp.2.weight 2048,2048",
      "mlp.2.bias 2048",
      "mlp.4.weight 256,2048",
      "mlp.4.bias 256",
    ]);
    const one = new ProjectionMlp({ inDim: 6, bottleneckDim: 4, layers: 1 });
    assert.deepEqual(shapes(one), ["mlp.0.weight 4,6", "mlp.0.bias 4"]);
  });

  it("ProjectionMlp is linear, gelu, linear, then length 1", () => {
    const head = new ProjectionMlp({ inDim: 5, hiddenDim: 6, bottleneckDim: 4, layers: 2 });
    const weights = weightsOf(head);
    const rows = normal<tf.Rank.R2>("rows", [3, 5]);
    const layer = (x: tf.Tensor, i: number) =>
      tf.add(tf.matMul(x as tf.Tensor2D, weights.get(`mlp.${i}.weight`) as tf.Tensor2D, false, true), weights.get(`mlp.${i}.bias`)!); // prettier-ignore
    const y = layer(gelu(layer(rows, 0)), 2);
    const expected = tf.div(y, tf.norm(y, "euclidean", 1, true));
    assertClose(
      head.forward((name) => weights.get(name)!, rows),
      expected,
      1e-6,
    );
  });

  it("PrototypeLayer is g v / |v| applied to the rows, with gradients to g and v", () => {
    const head = new PrototypeLayer({ inDim: 4, outDim: 6, normLastLayer: false });
    const weights = weightsOf(head);
    const rows = normal<tf.Rank.R2>("rows", [3, 4]);
    const [g, v] = [weights.get("last_layer.weight_g")!, weights.get("last_layer.weight_v")!];
    const w = tf.mul(tf.div(v, tf.norm(v, "euclidean", 1, true)), g) as tf.Tensor2D;
    assertClose(
      head.forward((name) => weights.get(name)!, rows, alone),
      tf.matMul(rows, w, false, true),
      1e-6,
    );
    assertGradients(
      (x, g, v) => head.forward((name) => (name.endsWith("_g") ? g! : v!), x as tf.Tensor2D, alone),
      [rows, g, v],
    );
  });

  it("PrototypeLayer trains its gains only without normLastLayer", () => {
    const gain = (normLastLayer?: boolean) =>
      new PrototypeLayer({ outDim: 8, normLastLayer })
        .parameters()
        .find(({ name }) => name === "last_layer.weight_g");
    assert.deepEqual(gain(), {
      name: "last_layer.weight_g",
      shape: [8, 1],
      init: { kind: "ones" },
      trainable: false,
    });
    assert.equal(gain(false)?.trainable, true);
  });

  it("heads of equal options have equal specs, others not", () => {
    const spec = (outDim: number) => new PrototypeLayer({ outDim }).spec;
    assert.deepEqual(spec(8), spec(8));
    assert.notDeepEqual(spec(8), spec(9));
  });
});
