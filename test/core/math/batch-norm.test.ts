import * as tf from "@tensorflow/tfjs-core";
import { batchMoments, batchNorm, type ReduceMean } from "../../../core/math/index.ts";
import { assertClose, assertGradients, normal, useCpuBackend } from "./numeric.ts";

describe("core/math batchNorm", () => {
  useCpuBackend();

  const rows = () => normal<tf.Rank.R2>("x", [6, 3], 2);
  const gamma = () => normal("gamma", [3]);
  const beta = () => normal("beta", [3]);

  it("normalises each column with the batch's moments", () => {
    const x = rows();
    const moments = tf.moments(x, 0);
    const { y, mean, variance } = batchNorm(x, gamma(), beta());
    assertClose(mean, moments.mean, 1e-6, "mean");
    assertClose(variance, moments.variance, 1e-6, "variance");
    const normalised = tf.div(tf.sub(x, moments.mean), tf.sqrt(tf.add(moments.variance, 1e-5)));
    assertClose(y, tf.add(tf.mul(normalised, gamma()), beta()), 1e-5, "y");
  });

  it("keeps the variance of columns with a large mean", () => {
    const x = rows();
    const { variance } = batchMoments(tf.add(x, 1000) as tf.Tensor2D);
    assertClose(variance, tf.moments(x, 0).variance, 1e-4);
  });

  it("has the gradients of x, gamma and beta", () => {
    assertGradients((x, g, b) => batchNorm(x as tf.Tensor2D, g!, b!).y, [rows(), gamma(), beta()]);
  });

  it("on two processes is the batch norm of all rows, gradients included", () => {
    // Runs one half, with `reduce` answered from the whole batch: the calls come in a fixed order.
    const dy = normal<tf.Rank.R2>("dy", [6, 3]);
    const half = <T extends tf.Tensor>(x: T, i: number) => tf.slice(x, [3 * i, 0], [3, 3]) as tf.Tensor2D;
    const record: tf.Tensor[] = [];
    const keep: ReduceMean = (value) => {
      record.push(tf.keep(tf.clone(value)));
      return value;
    };
    const answers: ReduceMean = <T extends tf.Tensor>() => tf.clone(record[call++]!) as T;
    let call = 0;
    const gradients = (reduce: ReduceMean, x: tf.Tensor2D, dy: tf.Tensor2D) =>
      tf.grads((x, g, b) => tf.sum(tf.mul(batchNorm(x as tf.Tensor2D, g!, b!, { reduce }).y, dy)))([x, gamma(), beta()]); // prettier-ignore

    const [dx, dgamma, dbeta] = gradients(keep, rows(), dy);
    const halves = [0, 1].map((i) => {
      call = 0;
      return gradients(answers, half(rows(), i), half(dy, i));
    });
    assertClose(tf.concat(halves.map((h) => h[0]!)), dx!, 1e-5, "dx");
    assertClose(tf.addN(halves.map((h) => h[1]!)), dgamma!, 1e-5, "dgamma");
    assertClose(tf.addN(halves.map((h) => h[2]!)), dbeta!, 1e-5, "dbeta");
    record.forEach((tensor) => tensor.dispose());
  });
});
