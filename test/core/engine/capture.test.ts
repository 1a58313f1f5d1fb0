/** What the graph engine refuses to capture, and how it says so. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { constant } from "../../../core/math/index.ts";
import { withScope } from "../../../core/scopes.ts";
import type { Tracer } from "../../../core/engine/engine.ts";
import { f32, loaded, runOnce, useEngine, valuesOf } from "./contract/setup.ts";

const SCOPE = "some-plugin/loss";

describe("capturing", () => {
  const use = useEngine("captured");

  /** Captures y = body(x) of two values in a plugin's hook. */
  const capture = (body: (x: tf.Tensor, tracer: Tracer) => tf.Tensor) =>
    use.engine.program("step", (tracer) => {
      const x = tracer.input("x", [2], "float32");
      tracer.output(
        "y",
        withScope(SCOPE, () => body(x, tracer)),
      );
    });

  /** An error that names the plugin, the hook and `details`. */
  const refusal = (code: string, ...details: readonly string[]) => ({
    code,
    message: new RegExp(["some-plugin", ...details].map((part) => `(?=.*${part})`).join("")),
  });

  describe("refuses to read values", () => {
    for (const [name, read] of [
      ["dataSync", (x: tf.Tensor) => x.dataSync()],
      ["arraySync", (x: tf.Tensor) => x.arraySync()],
      ["a shape from a value", (x: tf.Tensor) => tf.zeros([tf.sum(x).dataSync()[0]!])],
    ] as const) {
      it(name, async () => {
        const failed = capture((x) => {
          const y = tf.mul(x, 2);
          read(y);
          return y;
        });
        await assert.rejects(failed, refusal("VALUE_READ_WHILE_TRACING", SCOPE));
      });
    }
  });

  describe("refuses what differs from trace to trace", () => {
    let draws = 0;
    /* eslint-disable no-restricted-properties -- the mistake that is to be found */
    const mistakes: readonly (readonly [string, string, (x: tf.Tensor, tracer: Tracer) => tf.Tensor])[] = [
      ["a random number", "Const.*constants differ", (x) => tf.mul(x, Math.random())],
      ["a small random tensor", "Const.*constants differ", (x) => tf.add(x, [Math.random(), 1])],
      [
        "a random tensor that is declared a constant",
        "Const.*constants differ",
        (x) => {
          const values = Float32Array.from({ length: 600 }, () => Math.random());
          return tf.add(tf.sum(constant(values, [600])), x);
        },
      ],
      ["an op or another by turns", "Mul|Add", (x) => (draws++ % 2 === 0 ? tf.mul(x, x) : tf.add(x, x))],
      [
        "an op more each time",
        "Neg",
        (x) => Array.from({ length: draws++ }).reduce<tf.Tensor>((y) => tf.neg(y), x),
      ],
      ["a random axis", "Sum|Const", (x) => tf.sum(tf.reshape(x, [2, 1]), draws++ % 2)],
    ];
    /* eslint-enable no-restricted-properties */
    for (const [name, detail, mistake] of mistakes) {
      it(name, () => assert.rejects(capture(mistake), refusal("FROZEN_VALUE", detail, SCOPE)));
    }

    it("which variable is written, with what and under which gate", async () => {
      const { engine } = use;
      const [a, b] = [await loaded(engine, "a", [1, 1]), await loaded(engine, "b", [2, 2])];
      const gates = [tf.greater, tf.less] as const;
      const bodies: readonly ((x: tf.Tensor, tracer: Tracer, odd: number) => void)[] = [
        (x, tracer, odd) => tracer.assign([a, b][odd]!, x),
        (x, tracer, odd) => tracer.assign(a, [x, tracer.read(b)][odd]!),
        (x, tracer, odd) => tracer.when(gates[odd]!(tf.sum(x), 0), () => tracer.assign(a, x)),
        (x, tracer, odd) => (odd ? tracer.assign(a, x) : undefined),
      ];
      for (const body of bodies) {
        const failed = capture((x, tracer) => {
          tracer.read(a);
          tracer.read(b);
          body(x, tracer, draws++ % 2);
          return x;
        });
        await assert.rejects(failed, refusal("FROZEN_VALUE", SCOPE));
      }
    });

    it("also later: a number of the plugin's that changed after the capture", async () => {
      const { engine } = use;
      let temperature = 0.5;
      const program = await capture((x) => tf.div(x, temperature));
      engine.verify(program);
      temperature = 0.6;
      assert.throws(() => engine.verify(program), refusal("FROZEN_VALUE", "Const.*constants differ", SCOPE));
      temperature = 0.5;
      engine.verify(program);
      const { y } = await program.run({ x: f32(1, 2) });
      assert.deepEqual([...y!], [2, 4]);
    });

    it("also later: a declared constant whose array was changed", async () => {
      const values = Float32Array.from({ length: 600 }, (_, i) => i);
      const program = await capture((x) => tf.add(tf.sum(constant(values, [600])), x));
      use.engine.verify(program);
      values[599] = 0;
      assert.throws(() => use.engine.verify(program), refusal("FROZEN_VALUE", SCOPE));
    });
  });

  describe("takes as constants", () => {
    const ramp = (length: number) => Float32Array.from({ length }, (_, i) => i);
    const sum = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0);

    it("numbers, small arrays, arrays of one value and what `constant` declares", async () => {
      const large = ramp(1000);
      const program = await capture((x) => {
        const parts = [
          tf.scalar(0.5),
          tf.tensor1d(ramp(256)),
          tf.ones([100, 100]),
          tf.fill([300], -2),
          tf.zeros([500], "int32"),
          constant(large, [10, 100]),
          constant(Int32Array.from(large), [1000]),
        ];
        return tf.add(tf.mul(x, 0), tf.addN(parts.map((part) => tf.sum(tf.cast(part, "float32")))));
      });
      const want = 0.5 + sum(ramp(256)) + 10_000 - 600 + 2 * sum(large);
      const { y } = await program.run({ x: f32(1, 1) });
      assert.deepEqual([...y!], [want, want]);
    });

    it("0 and -0 as two, and values of equal digits but another type", async () => {
      const { y } = await runOnce(
        use.engine,
        (tracer) => {
          const x = tracer.input("x", [], "float32");
          const signs = [0, -0].map((zero) => tf.div(1, tf.mul(x, zero)));
          const halves = tf.cast(tf.floorDiv(tf.scalar(1, "int32"), tf.scalar(2, "int32")), "float32");
          tracer.output("y", tf.stack([...signs, halves, tf.div(tf.scalar(1), tf.scalar(2))]));
        },
        { x: f32(1) },
      );
      assert.deepEqual([...y!], [Infinity, -Infinity, 0, 0.5]);
    });

    it("no large array that nobody declared", async () => {
      const copied = ramp(300);
      for (const large of [
        () => tf.tensor1d(ramp(257)),
        () => tf.tensor2d(ramp(400), [20, 20]),
        () => tf.tensor1d(Array.from(ramp(257)), "int32"),
        () => (constant(copied, [300]), tf.tensor1d(copied.slice())),
      ]) {
        const failed = capture((x) => tf.add(x, tf.sum(tf.cast(large(), "float32"))));
        await assert.rejects(failed, refusal("UNDECLARED_CONSTANT", "bytes", SCOPE));
      }
    });
  });

  describe("refuses tensors from elsewhere", () => {
    const kept: tf.Tensor[] = [];
    afterEach(() => tf.dispose(kept.splice(0)));

    it("of an earlier trace", async () => {
      const mistake = (x: tf.Tensor) => {
        if (kept.length === 0) kept.push(tf.keep(tf.mul(x, 2)));
        return tf.add(x, kept[0]!);
      };
      await assert.rejects(capture(mistake), refusal("FOREIGN_TENSOR", "add", SCOPE));
    });

    it("of another backend, and leaves them there", async () => {
      await tf.setBackend("tensorflow");
      kept.push(tf.tensor1d([1, 2]));
      await assert.rejects(
        capture((x) => tf.add(x, kept[0]!)),
        refusal("FOREIGN_TENSOR", "add", SCOPE),
      );
      assert.equal(tf.getBackend(), "tensorflow");
      assert.deepEqual([...kept[0]!.dataSync()], [1, 2]);
    });
  });

  it("says what TensorFlow says of an op that it refuses", async () => {
    const failed = capture((x) => tf.pad(x, [[-1, 0]]));
    await assert.rejects(failed, refusal("OP_REFUSED", "pad", "non-negative", "given \\[2\\]", SCOPE));
  });

  it("says which op of which plugin has no gradient", async () => {
    const failed = capture((x) =>
      tf.grad((x: tf.Tensor) => {
        const bits = withScope("rounding/forward", () => tf.cast(tf.greater(x, 0), "float32"));
        return tf.sum(bits);
      })(x),
    );
    await assert.rejects(failed, {
      code: "NO_GRADIENT",
      message: /Greater of plugin "rounding" in rounding\/forward/,
    });
  });

  it("goes on after a refusal, under the same name", async () => {
    await assert.rejects(
      capture((x) => tf.add(x, x.dataSync())),
      refusal("VALUE_READ_WHILE_TRACING"),
    );
    const variable = await loaded(use.engine, "v", [0, 0]);
    const program = await capture((x, tracer) => {
      tracer.assign(variable, x);
      return tf.add(x, 1);
    });
    const { y } = await program.run({ x: f32(1, 2) });
    assert.deepEqual([...y!], [2, 3]);
    assert.deepEqual(await valuesOf(use.engine, variable), [1, 2]);
  });
});
