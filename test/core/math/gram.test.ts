import * as tf from "@tensorflow/tfjs-core";
import { columnGram, gram } from "../../../core/math/index.ts";
import { assertClose, assertGradients, normal, useCpuBackend, withoutReading } from "./numeric.ts";

describe("core/math gram", () => {
  useCpuBackend();

  const x = () => tf.tensor([1, 2, 3, 4, 5, 6], [3, 2]);

  it("gram has the inner products of the rows, columnGram those of the columns", () => {
    assertClose(gram(x()), tf.tensor([5, 11, 17, 11, 25, 39, 17, 39, 61], [3, 3]), 0);
    assertClose(columnGram(x()), tf.tensor([35, 44, 44, 56], [2, 2]), 0);
  });

  it("keeps leading dimensions apart", () => {
    const batch = normal("x", [2, 3, 4, 5]);
    const one = (i: number, j: number) => tf.reshape(tf.slice(batch, [i, j, 0, 0], [1, 1, 4, 5]), [4, 5]);
    const ofPart = (all: tf.Tensor, i: number, j: number) => {
      const size = all.shape[3]!;
      return tf.reshape(tf.slice(all, [i, j, 0, 0], [1, 1, size, size]), [size, size]);
    };
    for (const [i, j] of [
      [0, 0],
      [1, 2],
    ] as const) {
      assertClose(ofPart(gram(batch), i, j), gram(one(i, j)), 1e-6);
      assertClose(ofPart(columnGram(batch), i, j), columnGram(one(i, j)), 1e-6);
    }
  });

  it("has the gradient (dy + dy^T) x of rows and x (dy + dy^T) of columns, also of gradients without symmetry", () => {
    assertGradients((x) => gram(x!), [normal("x", [4, 3])]);
    assertGradients((x) => gram(x!), [normal("x", [2, 2, 3, 2])]);
    assertGradients((x) => columnGram(x!), [normal("x", [4, 3])]);
    assertGradients((x) => columnGram(x!), [normal("x", [2, 2, 3, 2])]);
  });

  it("reads no value", () => {
    const rows = normal("x", [2, 3, 4]);
    withoutReading(() => tf.grad((x: tf.Tensor) => tf.sum(tf.square(gram(columnGram(x)))))(rows));
  });
});
