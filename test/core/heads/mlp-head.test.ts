/** MlpHead against PyTorch's layers: forward pass, gradients, running statistics, names and initial values. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { HeadState } from "../../../core/contexts.ts";
import { MlpHead, type MlpHeadSpec } from "../../../core/heads/mlp-head.ts";
import { readGolden, waveTensor } from "../../support/golden.ts";
import { assertClose, useCpuBackend } from "../math/numeric.ts";

interface Golden {
  readonly layers: number;
  readonly batchNorm: MlpHeadSpec["batchNorm"];
  readonly y: number[];
  readonly rowsGradient: number[];
  /** By parameter, in the order of their declaration. */
  readonly gradients: Record<string, number[]>;
  /** Running statistics after one pass, by buffer. */
  readonly running: Record<string, number[]>;
}

const sizes = { inDim: 3, hiddenDim: 4, outDim: 2 };
const ROWS = 6;

describe("core/heads mlp head", () => {
  useCpuBackend();

  /** Remembers nothing, and tells what becomes of buffers at their initial values. */
  const alone = (head: MlpHead, updates = new Map<string, tf.Tensor>()): HeadState => ({
    batch: { mean: (x) => x, sum: (x) => x, gather: (x) => x },
    once: (_, compute) => compute(),
    update: (buffer, next) => {
      const { init, shape } = head.buffers().find(({ name }) => name === buffer)!;
      updates.set(buffer, next(init.kind === "ones" ? tf.ones([...shape]) : tf.zeros([...shape])));
    },
  });

  for (const golden of readGolden<Golden[]>(import.meta.url, "mlp-head.golden.json")) {
    const { layers, batchNorm } = golden;
    it(`is PyTorch's of ${layers} layers, BatchNorm ${batchNorm}`, () => {
      const head = new MlpHead({ ...sizes, layers, batchNorm });
      const specs = head.parameters();
      const names = specs.map(({ name }) => name);
      assert.deepEqual(names, Object.keys(golden.gradients));
      const weights = specs.map(({ shape }, i) => waveTensor(shape, i));
      const rows = waveTensor<tf.Rank.R2>([ROWS, sizes.inDim], 20, 2);
      const updates = new Map<string, tf.Tensor>();
      const forward = (x: tf.Tensor, ...given: tf.Tensor[]) =>
        head.forward((name) => given[names.indexOf(name)]!, x as tf.Tensor2D, alone(head, updates));
      const like = (x: tf.Tensor, values: number[]) => ({
        values: Float32Array.from(values),
        shape: x.shape,
      });

      const y = forward(rows, ...weights);
      assertClose(y, like(y, golden.y), 1e-5, "y");
      assert.deepEqual([...updates.keys()], Object.keys(golden.running));
      for (const [name, value] of updates) assertClose(value, like(value, golden.running[name]!), 1e-6, name);

      const direction = waveTensor(y.shape, 40);
      const loss = (...given: [tf.Tensor, ...tf.Tensor[]]) => tf.sum(tf.mul(forward(...given), direction));
      const [ofRows, ...ofWeights] = tf.grads(loss as (...given: tf.Tensor[]) => tf.Tensor)([rows, ...weights]); // prettier-ignore
      assertClose(ofRows!, like(ofRows!, golden.rowsGradient), 1e-4, "gradient of the rows");
      ofWeights.forEach((gradient, i) =>
        assertClose(gradient, like(gradient, golden.gradients[names[i]!]!), 1e-4, `gradient of ${names[i]}`),
      );
    });
  }

  it("normalises with the rows of all processes", () => {
    const head = new MlpHead({ ...sizes, layers: 1, batchNorm: "all" });
    const names = head.parameters().map(({ name }) => name);
    const weights = head.parameters().map(({ shape }, i) => waveTensor(shape, i));
    const rows = waveTensor<tf.Rank.R2>([ROWS, sizes.inDim], 20, 2);
    const state = alone(head);
    const forward = (x: tf.Tensor2D, mean = state.batch.mean) =>
      head.forward((name) => weights[names.indexOf(name)]!, x, { ...state, batch: { ...state.batch, mean } });
    // What a process with half of the rows is told: the mean and the variance of all.
    const moments = tf.moments(tf.matMul(rows, weights[0] as tf.Tensor2D, false, true), 0);
    const told = [moments.mean, moments.variance];
    const half = forward(tf.slice(rows, 0, ROWS / 2), <T extends tf.Tensor>() => told.shift() as T);
    assertClose(half, tf.slice(forward(rows), 0, ROWS / 2), 1e-6);
    assert.equal(told.length, 0, "both were asked for");
  });

  it("has sizes by its spec, and a bias only where no BatchNorm follows", () => {
    const shapes = (head: MlpHead) => head.parameters().map(({ name, shape }) => `${name} ${shape}`);
    assert.deepEqual(shapes(new MlpHead(sizes)), ["0.weight 4,3", "1.weight 4", "1.bias 4", "3.weight 2,4", "3.bias 2"]); // prettier-ignore
    assert.deepEqual(shapes(new MlpHead({ ...sizes, batchNorm: "all" })), [
      "0.weight 4,3",
      "1.weight 4",
      "1.bias 4",
      "3.weight 2,4",
      "4.weight 2",
      "4.bias 2",
    ]);
    assert.deepEqual(shapes(new MlpHead({ ...sizes, batchNorm: "none" })), ["0.weight 4,3", "0.bias 4", "2.weight 2,4", "2.bias 2"]); // prettier-ignore
  });

  it("starts as PyTorch does", () => {
    const inits = (head: MlpHead) => head.parameters().map(({ name, init }) => [name, init]);
    const uniform = (inputs: number) => ({ kind: "uniform", bound: 1 / Math.sqrt(inputs) });
    assert.deepEqual(inits(new MlpHead(sizes)), [
      ["0.weight", uniform(3)],
      ["1.weight", { kind: "ones" }],
      ["1.bias", { kind: "zeros" }],
      ["3.weight", uniform(4)],
      ["3.bias", uniform(4)],
    ]);
  });

  it("is in all networks, or with its statistics in the student alone", () => {
    const parts = (studentOnly?: boolean) => {
      const head = new MlpHead({ ...sizes, batchNorm: "all", studentOnly });
      return [...head.parameters(), ...head.buffers()];
    };
    assert.equal(parts().length, 6 + 4);
    assert.ok(
      parts().every(({ studentOnly }) => studentOnly === false),
      "all networks by default",
    );
    assert.ok(
      parts(true).every(({ studentOnly }) => studentOnly === true),
      "the student alone",
    );
  });

  it("has a spec of every choice: heads of other choices are other heads", () => {
    const other: Partial<MlpHeadSpec>[] = [
      { inDim: 5 },
      { hiddenDim: 5 },
      { outDim: 5 },
      { layers: 3 },
      { batchNorm: "all" },
      { studentOnly: true },
    ];
    const specs = [{}, ...other].map((given) => JSON.stringify(new MlpHead({ ...sizes, ...given }).spec));
    assert.equal(new Set(specs).size, specs.length);
    assert.deepEqual(new MlpHead(sizes).spec, new MlpHead({ ...sizes, layers: 2 }).spec);
  });
});
