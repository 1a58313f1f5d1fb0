import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { Engine, Feeds, Trace, Tracer } from "../../../core/engine/engine.ts";
import type { TraceRecord } from "../../../core/engine/trace-records.ts";
import { DataType } from "../../../core/engine/c-api.ts";
import { float32, layerNorm, linear, softmaxCrossEntropy } from "../../../core/math/index.ts";
import { Random } from "../../../core/random.ts";
import { withScope } from "../../../core/scopes.ts";
import { makeEngine, type EngineKind } from "../../support/engines.ts";
import { assertSameBits, recordsOf } from "./contract/setup.ts";
import { declareWeights, feeds, traceGradients, weightNames } from "./contract/small-block.ts";
import { elementwise } from "./op-cases/elementwise.ts";
import { spatial } from "./op-cases/images.ts";
import { mathematics } from "./op-cases/mathematics.ts";
import { runCases } from "./op-cases/run-cases.ts";
import { shapes } from "./op-cases/shapes.ts";

/** bf16 has 8 significant bits. */
const BF16_EPSILON = 2 ** -8;
const [ROWS, WIDTH] = [12, 32] as const;

const drawn = (name: string, size: number) => {
  const random = new Random(0, "autocast", name);
  return Float32Array.from({ length: size }, () => random.normal());
};

/** The largest difference, relative to the largest value. */
function deviation(got: ArrayLike<number>, want: ArrayLike<number>): number {
  const scale = Math.max(...Array.from(want, Math.abs)) || 1;
  return Math.max(...Array.from(want, (v, i) => Math.abs(v - got[i]!))) / scale;
}

const inputsOf = (records: readonly TraceRecord[], { signature }: TraceRecord) =>
  signature
    .split("|")[0]!
    .split(",")
    .map((from) => records.find(({ place }) => place === Number.parseInt(from)));

const isBf16 = ({ dtype }: TraceRecord) => dtype === DataType.BFLOAT16;
const castsOf = (records: readonly TraceRecord[]) => records.filter(({ op }) => op === "Cast");

/** What holds however a step is captured. */
const inBf16 = (kind: EngineKind) => () => {
  let bf16: Engine;
  let fp32: Engine;
  before(async () => {
    bf16 = await makeEngine(kind, "bf16");
    fp32 = await makeEngine(kind);
  });
  after(() => {
    bf16.close();
    fp32.close();
  });

  const both = async (trace: Trace, feeds: Feeds) => {
    const [low, full] = [await bf16.program("p", trace), await fp32.program("p", trace)];
    return {
      records: recordsOf(low),
      low: (await low.run(feeds)) as Record<string, Float32Array>,
      full: (await full.run(feeds)) as Record<string, Float32Array>,
    };
  };
  const matrix = (tracer: Tracer, name: string, rows: number = WIDTH) =>
    tracer.input(name, [rows, WIDTH], "float32") as tf.Tensor2D;
  const matrices = {
    x: drawn("x", ROWS * WIDTH),
    a: drawn("a", WIDTH * WIDTH),
    b: drawn("b", WIDTH * WIDTH),
    bias: drawn("bias", WIDTH),
  };

  describe("matrix products", () => {
    it("compute in bf16, in a chain without leaving it, and give float32 in the end", async () => {
      const { records, low, full } = await both((tracer) => {
        const product = tf.matMul(matrix(tracer, "x", ROWS), matrix(tracer, "a"));
        tracer.output("y", tf.matMul(product, matrix(tracer, "b")));
      }, matrices);
      assert.ok(low["y"] instanceof Float32Array);
      const error = deviation(low["y"], full["y"]!);
      assert.ok(error > 0 && error < 2.5 * BF16_EPSILON, `${error}`);
      assert.equal(castsOf(records).length, 4, "three matrices in, one result out");
      // What is not exact in bf16 was rounded to 8 bits.
      assert.ok(
        low["y"].every(
          (v) => v === Math.fround(v) && new Uint32Array(Float32Array.of(v).buffer)[0]! % 65536 === 0,
        ),
      );
    });

    it("have gradients within 1 %, in products of any rank", async () => {
      const { low, full } = await both((tracer) => {
        const [x, a, b] = [matrix(tracer, "x", ROWS), matrix(tracer, "a"), matrix(tracer, "b")];
        const loss = (x: tf.Tensor, a: tf.Tensor, b: tf.Tensor) => {
          const y = tf.matMul(x as tf.Tensor2D, a as tf.Tensor2D, false, true);
          const z = tf.matMul(
            tf.reshape(y, [2, 2, 3, WIDTH]),
            tf.reshape(tf.concat([b, b, b, b]), [2, 2, WIDTH, WIDTH]),
          );
          return tf.mean(tf.square(z));
        };
        tf.grads(loss)([x, a, b]).forEach((g, i) => tracer.output(`${i}`, g));
      }, matrices);
      for (const name of ["0", "1", "2"]) {
        const error = deviation(low[name]!, full[name]!);
        assert.ok(error > 0 && error < 0.01, `gradient ${name}: ${error}`);
      }
    });

    it("add the bias and its gradient up in bf16's precision", async () => {
      const { low, full } = await both((tracer) => {
        const x = matrix(tracer, "x", ROWS);
        const loss = (bias: tf.Tensor) =>
          tf.sum(tf.square(tf.matMul(linear(x, matrix(tracer, "a"), bias), matrix(tracer, "b"))));
        const { value, grad } = tf.valueAndGrad(loss)(tracer.input("bias", [WIDTH], "float32"));
        tracer.output("value", value);
        tracer.output("gradient", grad);
      }, matrices);
      for (const name of ["value", "gradient"]) {
        const error = deviation(low[name]!, full[name]!);
        assert.ok(error > 0 && error < 0.01, `${name}: ${error}`);
      }
    });
  });

  describe("gives the very bits of fp32, given the same inputs, for", () => {
    const values: Record<string, (tracer: Tracer) => tf.Tensor[]> = {
      "layer norm and its gradients": (tracer) => {
        const [gamma, beta] = [tracer.input("bias", [WIDTH], "float32"), tf.ones([WIDTH])];
        const weights = matrix(tracer, "weights", ROWS);
        const loss = (x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) =>
          tf.sum(tf.mul(weights, layerNorm(x as tf.Tensor2D, gamma, beta)));
        return tf.grads(loss)([matrix(tracer, "x", ROWS), gamma, beta]);
      },
      "softmax cross-entropy and its gradient": (tracer) => {
        const labels = tf.softmax(matrix(tracer, "weights", ROWS));
        const loss = (logits: tf.Tensor) => tf.mean(softmaxCrossEntropy(labels, logits as tf.Tensor2D));
        const { value, grad } = tf.valueAndGrad(loss)(matrix(tracer, "x", ROWS));
        return [value, grad];
      },
      "elementwise functions, reductions and softmax": (tracer) => {
        const x = matrix(tracer, "x", ROWS);
        return [tf.erf(tf.exp(x)), tf.sum(x, 0), tf.softmax(x), tf.mul(tf.add(x, 0.1), 0.3), tf.norm(x)];
      },
      "a product in an island and its gradients": (tracer) => {
        const loss = (x: tf.Tensor, a: tf.Tensor) =>
          tf.sum(tf.square(float32(() => tf.matMul(x as tf.Tensor2D, a as tf.Tensor2D))));
        return tf.grads(loss)([matrix(tracer, "x", ROWS), matrix(tracer, "a")]);
      },
      "linear in an island and its gradients": (tracer) => {
        const loss = (x: tf.Tensor, a: tf.Tensor, bias: tf.Tensor) =>
          tf.sum(tf.square(float32(() => linear(x as tf.Tensor2D, a, bias))));
        return tf.grads(loss)([
          matrix(tracer, "x", ROWS),
          matrix(tracer, "a"),
          tracer.input("bias", [WIDTH], "float32"),
        ]);
      },
    };
    for (const [name, compute] of Object.entries(values)) {
      it(name, async () => {
        const trace = (tracer: Tracer) => {
          compute(tracer).forEach((value, i) => tracer.output(`${i}`, value));
        };
        const { low, full, records } = await both(trace, {
          ...matrices,
          weights: drawn("weights", ROWS * WIDTH),
        });
        assert.ok(Object.keys(full).length > 0);
        for (const [key, want] of Object.entries(full)) assertSameBits(low[key]!, want, key);
        assert.deepEqual(castsOf(records).filter(isBf16), []);
      });
    }

    it("the optimizer and the moving average", async () => {
      const update = async (engine: Engine) => {
        const names = ["weights", "m", "v", "teacher"] as const;
        const [weights, m, v, teacher] = names.map((name) =>
          engine.variable(`optimizer/${name}`, [ROWS * WIDTH]),
        );
        const state = [weights!, m!, v!, teacher!];
        await engine.load(state.map((s, i) => [s, drawn(names[i]!, s.size).map(Math.abs)] as const));
        const program = await engine.program("update", (tracer) => {
          const gradient = tracer.input("x", [ROWS * WIDTH], "float32");
          const common = { lr: tf.scalar(0.1), weightDecay: tf.scalar(0.04), step: tf.scalar(3) };
          tracer.adam({
            variable: weights!,
            m: m!,
            v: v!,
            gradient,
            ...common,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
          });
          tracer.blend(teacher!, tracer.updated(weights!), tf.scalar(0.004));
        });
        await program.run({ x: matrices.x });
        return engine.save(state);
      };
      const [low, full] = [await update(bf16), await update(fp32)];
      full.forEach((want, i) => assertSameBits(low[i]!, want));
    });
  });

  describe("in a transformer block", () => {
    let records: readonly TraceRecord[];
    let low: Record<string, Float32Array>;
    let full: Record<string, Float32Array>;
    before(async () => {
      const run = async (engine: Engine) => {
        const weights = await declareWeights(engine);
        const program = await engine.program("block", (tracer) => void traceGradients(tracer, weights));
        return { program, outputs: (await program.run(feeds)) as Record<string, Float32Array> };
      };
      const [inLow, inFull] = [await run(bf16), await run(fp32)];
      [low, full, records] = [inLow.outputs, inFull.outputs, recordsOf(inLow.program)];
    });

    it("the loss is within 1 %, the gradients within 5 % of fp32's", () => {
      for (const [name, want] of Object.entries(full)) {
        const error = deviation(low[name]!, want);
        assert.ok(error > 0 && error < (name === "loss" ? 0.01 : 0.05), `${name}: ${error}`);
      }
    });

    it("only products, what follows them and what moves values are in bf16", () => {
      const ops = new Set(records.filter(isBf16).map(({ op }) => op));
      const allowed = [
        "BatchMatMulV2",
        "BiasAdd",
        "Cast",
        "MatMul",
        "Pack",
        "Reshape",
        "Softmax",
        "Transpose",
        "Unpack",
      ];
      assert.deepEqual([...ops].sort(), allowed);
      const products = records.filter(({ op }) => op.includes("MatMul"));
      assert.ok(products.length > 20 && products.every(isBf16));
    });

    it("a weight is cast once, norms' weights never", () => {
      const weightsCast = castsOf(records).flatMap((cast) =>
        inputsOf(records, cast).map((input) => input!.op),
      );
      for (const name of weightNames) {
        const times = weightsCast.filter((op) => op === `read ${name}`).length;
        assert.equal(times, name.startsWith("norm") ? 0 : 1, name);
      }
    });

    // Casts within a compiled piece pass over no memory of their own.
    if (kind === "captured")
      it("there are at most 39 casts, each of another value", () => {
        const casts = castsOf(records);
        // Into bf16 and back: weights and constants, inputs of products, what islands read of results, gradients given out.
        assert.ok(casts.length <= 39, `${casts.length} casts`);
        const inputs = casts.map(({ signature }) => signature);
        assert.equal(new Set(inputs).size, casts.length, "the same value is cast the same way twice");
      });

    it("an island keeps fp32 around bf16 values: no product in it, forward or gradient, is in bf16", async () => {
      const program = await bf16.program("island", (tracer) => {
        const loss = (x: tf.Tensor, a: tf.Tensor) => {
          const y = tf.matMul(x as tf.Tensor2D, a as tf.Tensor2D);
          const z = withScope("island/loss", () => float32(() => tf.matMul(tf.exp(y), y, true)));
          return tf.sum(z);
        };
        tf.grads(loss)([matrix(tracer, "x", ROWS), matrix(tracer, "a")]).forEach((g, i) =>
          tracer.output(`${i}`, g),
        );
      });
      const inside = recordsOf(program).filter(({ scope, op }) => scope === "island/loss" && op !== "Cast");
      assert.equal(inside.filter(({ op }) => op === "MatMul").length, 3);
      assert.deepEqual(inside.filter(isBf16), []);
      const outside = recordsOf(program).filter(({ scope, op }) => scope === "core" && op === "MatMul");
      assert.ok(outside.length === 3 && outside.every(isBf16));
    });
  });

  it("names the op and hook of a value that is not finite", async () => {
    const program = await bf16.program("step", (tracer) => {
      const product = withScope("some-plugin/loss", () =>
        tf.matMul(matrix(tracer, "x", ROWS), matrix(tracer, "a")),
      );
      tracer.output("y", tf.sum(product));
    });
    const { x, a } = matrices;
    const huge = x.map((v) => v * 1e30);
    assert.equal(await bf16.firstNonFinite(program, { x: huge, a }), undefined);
    const found = await bf16.firstNonFinite(program, { x: huge, a: a.map((v) => v * 1e30) });
    assert.deepEqual(found, { op: "MatMul", scope: "some-plugin/loss", gradientOf: undefined });
  });
};

describe("bf16", () => {
  describe("captured", inBf16("captured"));
  describe("compiled", inBf16("compiled"));

  it("takes the result of a product in every op of docs/ops.md", async () => {
    /** x as the result of a product with one: rounded to bf16. */
    const product = (x: tf.Tensor) => tf.reshape(tf.matMul(tf.reshape(x, [-1, 1]), tf.ones([1, 1])), x.shape);
    const cases = [...elementwise, ...mathematics, ...shapes, ...spatial].filter(
      ({ wrongOnCpu }) => !wrongOnCpu,
    );
    const rounded = cases.map((one) => ({
      ...one,
      run: (...inputs: tf.Tensor[]) =>
        one.run(...inputs.map((x) => (x.dtype === "float32" ? product(x) : x))),
    }));
    const cpu = await makeEngine("eager on cpu");
    const bf16 = await makeEngine("captured", "bf16");
    const want = await runCases(cpu, cases, { gradients: true });
    const got = await runCases(bf16, rounded, { gradients: true });
    cpu.close();
    bf16.close();
    const far = cases.flatMap(({ op }, c) => {
      const [low, full] = [got[c]!, want[c]!];
      assert.equal(low.gradients === undefined, full.gradients === undefined, op);
      const values = [...low.outputs, ...(low.gradients ?? [])];
      const errors = [...full.outputs, ...(full.gradients ?? [])].map((exact, k) =>
        deviation(values[k]!, exact),
      );
      return errors.every((error) => error <= 0.02) ? [] : [op];
    });
    // Whole multiples, the logarithm near 0, relu's kink: there a rounded input makes more than 2 %.
    assert.deepEqual(far, ["floorDiv", "mod", "losses.logLoss", "fused.conv2d"]);
  });
});
