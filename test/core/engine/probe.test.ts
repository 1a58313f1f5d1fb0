import * as tf from "@tensorflow/tfjs-core";
import { makeEngine } from "../../support/engines.ts";
describe("probe", () => {
  it("avgpool", async () => {
    const g = await makeEngine("captured");
    const c = await makeEngine("eager on cpu");
    const show = async (name: string, body: (x: tf.Tensor4D) => tf.Tensor, shape: number[], h = 0.02) => {
      const size = shape.reduce((a, b) => a * b, 1);
      const x0 = Float32Array.from({ length: size }, (_, i) => (((i + 1) * 0.618034) % 1) * 2 - 1);
      const u = Float32Array.from({ length: size }, (_, i) => Math.cos(i * 1.7));
      for (const e of [g, c]) {
        try {
        const p = await e.program("p", (t) => {
          const x = t.input("x", shape, "float32") as tf.Tensor4D;
          const f = (x: tf.Tensor) => { const y = body(x as tf.Tensor4D); return tf.sum(tf.mul(y, tf.reshape(tf.cos(tf.range(1, y.size + 1)), y.shape))) as tf.Scalar; };
          t.output("y", f(x));
          t.output("g", tf.grad(f)(x));
        });
        const at = async (s: number) => (await p.run({ x: x0.map((v, i) => v + s * u[i]!) }))["y"]![0]!;
        const fd = (8 * (await at(h) - await at(-h)) - (await at(2 * h) - await at(-2 * h))) / (12 * h);
        const gr = (await p.run({ x: x0 }))["g"]!;
        let dot = 0; gr.forEach((v: number, i: number) => dot += v * u[i]!);
        console.log(name, e.description.kind, "fd", fd, "grad", dot);
        } catch (err) { console.log(name, e.description.kind, (err as Error).message); }
      }
    };
    await show("avgPool same", (x) => tf.avgPool(x, 3, 2, "same"), [2, 6, 6, 2]);
    await show("cumsum sq", (x) => tf.cumsum(x, 0), [4, 4, 1, 1]);
    await show("cumsum 0 of 2", (x) => tf.cumsum(tf.reshape(x, [4, 4]), 0), [4, 4, 1, 1]);
    await show("prod", (x) => tf.prod(tf.reshape(x, [4, 4]), 0), [4, 4, 1, 1]);
    await show("bilinear", (x) => tf.image.resizeBilinear(x, [4, 9]), [1, 6, 6, 1]);
    await show("bilinear ac", (x) => tf.image.resizeBilinear(x, [4, 9], true), [1, 6, 6, 1]);
    await show("bilinear hp", (x) => tf.image.resizeBilinear(x, [4, 9], false, true), [1, 6, 6, 1]);
    await show("nearest", (x) => tf.image.resizeNearestNeighbor(x, [4, 9]), [1, 6, 6, 1]);
    await show("nearest hp", (x) => tf.image.resizeNearestNeighbor(x, [4, 9], false, true), [1, 6, 6, 1]);
    await show("nearest ac", (x) => tf.image.resizeNearestNeighbor(x, [4, 9], true), [1, 6, 6, 1]);
    await show("gather bd", (x) => tf.gather(tf.reshape(x, [2, 3, 2]), tf.tensor2d([[0, 2], [1, 1]], [2, 2], "int32"), 1, 1), [2, 3, 2, 1]);
    await show("gather bd sq", (x) => tf.gather(tf.reshape(x, [2, 2, 2]), tf.tensor2d([[0, 1], [1, 1]], [2, 2], "int32"), 1, 1), [2, 2, 2, 1]);
    await show("gather neg", (x) => tf.gather(tf.reshape(x, [2, 3, 2]), tf.tensor1d([0, 2], "int32"), -2), [2, 3, 2, 1]);
    await show("mirror refl", (x) => tf.mirrorPad(tf.reshape(x, [4, 4]), [[1, 1], [2, 1]], "reflect"), [4, 4, 1, 1]);
    await show("euclid", (x) => tf.norm(tf.reshape(x, [4, 4]), 2, 1), [4, 4, 1, 1]);
    await show("norm1", (x) => tf.norm(tf.reshape(x, [4, 4]), 1, 1), [4, 4, 1, 1]);
    await show("norm inf", (x) => tf.norm(tf.reshape(x, [4, 4]), Infinity, 1), [4, 4, 1, 1], 0.002);
    await show("norm fro", (x) => tf.norm(tf.reshape(x, [4, 4]), "fro", [0, 1]), [4, 4, 1, 1]);
    await show("max multi", (x) => tf.max(tf.reshape(x, [4, 2, 2]), [0, 2]), [4, 4, 1, 1], 0.002);
    await show("moments", (x) => tf.moments(tf.reshape(x, [4, 4]), 0).variance, [4, 4, 1, 1]);
    await show("eye20", (x) => tf.matMul(tf.reshape(x, [1, 20]), tf.eye(20)), [20, 1, 1, 1]);
    await show("unstack100", (x) => tf.stack(tf.unstack(tf.reshape(x, [100, 1]))), [100, 1, 1, 1]);
    await show("sqd", (x) => tf.squaredDifference(tf.reshape(x, [4, 4]), tf.ones([4, 4])), [4, 4, 1, 1]);
    await show("clip grad", (x) => tf.clipByValue(x, -0.5, 0.4), [4, 4, 1, 1], 0.001);
    await show("where bc", (x) => tf.where(tf.greater(tf.ones([4, 4]), 0), tf.reshape(x, [4, 4]), 0), [4, 4, 1, 1], 0.001);
    await show("pow bc", (x) => tf.pow(tf.abs(tf.reshape(x, [4, 4])), tf.scalar(2.5)), [4, 4, 1, 1], 0.001);
    await show("dilation", (x) => tf.dilation2d(x, tf.ones([2, 2, 1]) as tf.Tensor3D, 1, "same"), [1, 4, 4, 1], 0.001);
    await show("lrn", (x) => tf.localResponseNormalization(x, 2), [1, 1, 2, 6], 0.01);
    await show("conv2d nchw", (x) => tf.conv2d(x, tf.ones([2, 2, 1, 1]) as tf.Tensor4D, 1, "same", "NCHW"), [1, 1, 4, 4], 0.01);
    await show("conv2d dil", (x) => tf.conv2d(x, tf.ones([2, 2, 1, 1]) as tf.Tensor4D, 1, "same", "NHWC", 2), [1, 4, 4, 1], 0.01);
    await show("transpose conv", (x) => tf.conv2dTranspose(x, tf.ones([2, 2, 1, 1]) as tf.Tensor4D, [1, 8, 8, 1], 2, "same"), [1, 4, 4, 1], 0.01);
    g.close(); c.close();
  }).timeout(200000);
});
