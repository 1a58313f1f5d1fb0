/** Pieces that the code declares as fused, in a captured program. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { FunctionBody } from "../../../core/engine/frame.ts";
import type { Graph } from "../../../core/engine/graph.ts";
import type { Engine, Tracer } from "../../../core/engine/engine.ts";
import type { GraphEngine } from "../../../core/engine/graph-engine.ts";
import { timeByOp } from "../../../core/engine/timings.ts";
import { float32, fused, gelu, layerNorm, linear } from "../../../core/math/index.ts";
import { withScope } from "../../../core/scopes.ts";
import { makeEngine } from "../../support/engines.ts";

const ROWS = 6;
const WIDTH = 16;
const values = Float32Array.from({ length: ROWS * WIDTH }, (_, i) => Math.sin(i));
const input = (tracer: Tracer, name = "x") => tracer.input(name, [ROWS, WIDTH], "float32") as tf.Tensor2D;

/** How often each op runs. */
async function opsOf(engine: Engine, trace: (tracer: Tracer) => void): Promise<Map<string, number>> {
  const program = await engine.program("program", trace);
  const { timings } = (engine as GraphEngine).profile(program, { x: values });
  return new Map(timeByOp(timings).map(({ name, nodes }) => [name, nodes]));
}

const named = (ops: ReadonlyMap<string, number>, name: string): string[] =>
  [...ops.keys()].filter((op) => op.startsWith(`${name}_`));

describe("a function's body", () => {
  it("has the same digest for the same ops, and none of an output that it does not make", () => {
    const body = (op: string) => {
      const made = new FunctionBody({} as Graph);
      made.added("Placeholder", "", [], [{ oper: 1n, index: 0 }]);
      made.added(op, "", [{ oper: 1n, index: 0 }], [{ oper: 2n, index: 0 }]);
      return made;
    };
    const digest = (op: string, oper = 2n) => body(op).digest([{ oper, index: 0 }]);
    assert.equal(digest("Exp"), digest("Exp"));
    assert.equal(new Set([digest("Exp"), digest("Log"), digest("Exp", 1n)]).size, 3);
    assert.throws(() => digest("Exp", 3n), /not of this function/);
  });
});

describe("a fused piece", () => {
  const engines = new Map<string, Engine>();
  before(async () => {
    engines.set("fp32", await makeEngine("compiled"));
    engines.set("bf16", await makeEngine("compiled", "bf16"));
    engines.set("off", await makeEngine("captured"));
  });
  after(() => engines.forEach((engine) => engine.close()));

  const wave = (x: tf.Tensor) => fused("wave", () => tf.mul(tf.sin(x), tf.exp(tf.neg(tf.square(x)))));

  it("is one node, with the value of its ops", async () => {
    const trace = (tracer: Tracer) => tracer.output("y", wave(input(tracer)));
    const ops = await opsOf(engines.get("fp32")!, trace);
    assert.equal(named(ops, "wave").length, 1);
    assert.ok(!ops.has("Sin"), [...ops.keys()].join());
    const apart = await opsOf(engines.get("off")!, trace);
    assert.ok(apart.has("Sin"), [...apart.keys()].join());

    const [one, other] = await Promise.all(
      ["fp32", "off"].map(async (kind) =>
        (await engines.get(kind)!.program("value", trace)).run({ x: values }),
      ),
    );
    values.forEach((_, i) => assert.ok(Math.abs(one!["y"]![i]! - other!["y"]![i]!) < 1e-6, `at ${i}`));
  });

  it("is compiled once for all calls that compute the same, and again for other numbers or shapes", async () => {
    const scaled = (x: tf.Tensor, by: number) => fused("scaled", () => tf.add(tf.mul(x, by), 1));
    const ops = await opsOf(engines.get("fp32")!, (tracer) => {
      const x = input(tracer);
      const results = [
        scaled(x, 2),
        scaled(scaled(x, 2), 2),
        scaled(x, 3),
        scaled(tf.slice(x, [0, 0], [1, -1]), 2),
      ];
      tracer.output("y", tf.addN(results.map((y) => tf.sum(y))));
    });
    assert.deepEqual([...named(ops, "scaled").map((op) => ops.get(op))].sort(), [1, 1, 2]);
  });

  it("takes tensors from outside, scalars too, and gives several back", async () => {
    const program = await engines.get("fp32")!.program("several", (tracer) => {
      const x = input(tracer);
      const offset = tracer.input("offset", [], "float32");
      const { sum, parts } = fused("several", () => {
        const shifted = tf.add(x, offset);
        return { sum: tf.sum(shifted, 1), parts: [tf.square(shifted), x] };
      });
      tracer.output("sum", sum);
      tracer.output("square", parts[0]!);
      tracer.output("x", parts[1]!);
    });
    const got = await program.run({ x: values, offset: Float32Array.of(2) });
    assert.deepEqual(got["x"], values);
    assert.ok(Math.abs(got["square"]![5]! - (values[5]! + 2) ** 2) < 1e-6);
    const row = values.subarray(0, WIDTH).reduce((a, b) => a + b, 0);
    assert.ok(Math.abs(got["sum"]![0]! - (row + 2 * WIDTH)) < 1e-5);
  });

  it("gives bf16 to products that are all that reads it, and float32 where something else does", async () => {
    const trace = (also: "nothing" | "wide" | "a piece") => (tracer: Tracer) => {
      const x = input(tracer);
      const y = float32(() => wave(x));
      tracer.output(
        "product",
        tf.matMul(tf.reshape(y, [ROWS, WIDTH]), tf.reshape(y, [ROWS, WIDTH]), false, true),
      );
      if (also === "wide") tracer.output("wide", tf.exp(y));
      if (also === "a piece")
        tracer.output(
          "wide",
          float32(() => wave(y)),
        );
    };
    const casts = async (also: "nothing" | "wide" | "a piece") =>
      (await opsOf(engines.get("bf16")!, trace(also))).get("Cast") ?? 0;
    // The product's result is cast in all, the piece's only where it is float32.
    const counts = [await casts("nothing"), await casts("wide"), await casts("a piece")];
    assert.deepEqual(counts, [1, 2, 2]);
  });

  it("keeps everything else in float32: a norm of bf16 products is that of fp32 on the same values", async () => {
    const norm = (x: tf.Tensor2D) => layerNorm(x, tf.ones([ROWS]), tf.zeros([ROWS]));
    const low = await engines.get("bf16")!.program("norm", (tracer) => {
      const x = input(tracer);
      const product: tf.Tensor2D = tf.matMul(x, x, false, true);
      tracer.output("product", product);
      tracer.output("y", norm(product));
    });
    const { product, y } = await low.run({ x: values });
    const full = await engines
      .get("fp32")!
      .program("norm", (tracer) =>
        tracer.output("y", norm(tracer.input("product", [ROWS, ROWS], "float32") as tf.Tensor2D)),
      );
    const want = (await full.run({ product: product! }))["y"]!;
    y!.forEach((value, i) => assert.ok(Math.abs(value - want[i]!) < 1e-5, `${value}, ${want[i]} at ${i}`));
  });

  it("may have any name, and the engine goes on", async () => {
    const engine = engines.get("fp32")!;
    const trace = (tracer: Tracer) => {
      const y = fused("my piece/é", () => tf.exp(tf.neg(input(tracer))));
      tracer.output("y", y);
    };
    assert.equal(named(await opsOf(engine, trace), "my_piece__").length, 1);
    const again = await (await engine.program("again", trace)).run({ x: values });
    assert.ok(Math.abs(again["y"]![3]! - Math.exp(-values[3]!)) < 1e-6);
  });

  it("has gradients through withGradient, in bf16 within a few percent", async () => {
    const trace = (tracer: Tracer) => {
      const x = input(tracer);
      const weight = tf.reshape(tf.slice(x, [0, 0], [4, WIDTH]), [4, WIDTH]);
      const loss = (x: tf.Tensor) => tf.sum(tf.square(linear(gelu(x as tf.Tensor2D), weight)));
      tracer.output("dx", tf.grad(loss)(x));
    };
    const run = async (kind: string) =>
      (await engines.get(kind)!.program("gradient", trace)).run({ x: values });
    const [low, full, plain] = await Promise.all(["bf16", "fp32", "off"].map(run));
    const scale = Math.max(...full!["dx"]!.map(Math.abs));
    values.forEach((_, i) => {
      assert.ok(Math.abs(full!["dx"]![i]! - plain!["dx"]![i]!) < 1e-5 * scale, `fp32 at ${i}`);
      assert.ok(Math.abs(low!["dx"]![i]! - full!["dx"]![i]!) < 0.05 * scale, `bf16 at ${i}`);
    });
  });

  it("is looked into where a value is not finite", async () => {
    const engine = engines.get("fp32")!;
    const program = await engine.program("log", (tracer) => {
      const x = input(tracer);
      withScope("some-plugin/loss", () =>
        tracer.output(
          "y",
          fused("logs", () => tf.exp(tf.log(x))),
        ),
      );
    });
    const first = await engine.firstNonFinite(program, { x: new Float32Array(ROWS * WIDTH) });
    assert.deepEqual([first?.op, first?.scope], ["Log", "some-plugin/loss"]);
  });

  for (const [how, fuseFrom] of [
    ["compiled", 0],
    ["too small to be compiled", Infinity],
  ] as const) {
    it(`keeps what it does not return to itself, ${how}`, async () => {
      const engine = await makeEngine("compiled", "fp32", fuseFrom);
      const leak = engine.program("leak", (tracer) => {
        let inside: tf.Tensor | undefined;
        const x = input(tracer);
        const y = fused("leak", () => {
          inside = tf.exp(x);
          return tf.neg(inside);
        });
        withScope("some-plugin/loss", () => tracer.output("y", tf.add(y, inside!)));
      });
      await assert.rejects(leak, { code: "FUSED_LEAK", message: /some-plugin.*Add/ });
      engine.close();
    });
  }

  it("has no rest where its body throws", async () => {
    const engine = engines.get("fp32")!;
    const failing = engine.program("failing", () =>
      fused("failing", () => {
        throw new Error("a mistake");
      }),
    );
    await assert.rejects(failing, /a mistake/);
    const ops = await opsOf(engine, (tracer) => tracer.output("y", wave(input(tracer))));
    assert.equal(named(ops, "wave").length, 1);
  });
});
