import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { Engine } from "../../../core/engine/engine.ts";
import type { GraphEngine } from "../../../core/engine/graph-engine.ts";
import { linear } from "../../../core/math/linear.ts";
import { withScope } from "../../../core/scopes.ts";
import { makeEngine } from "../../support/engines.ts";
import { describeEngine } from "./engine-contract.ts";
import { f32, loaded, useEngine, valuesOf } from "./contract/setup.ts";

describeEngine("captured");
describeEngine("compiled");

describe("the graph engine", () => {
  const use = useEngine("captured");

  const small = async (engine: Engine) => {
    const count = await loaded(engine, "count", 0);
    const program = await engine.program("step", (tracer) => {
      const x = tracer.input("x", [2], "float32") as tf.Tensor1D;
      tracer.output(
        "y",
        withScope("some-plugin/loss", () => tf.sum(tf.exp(x))),
      );
      tracer.assign(count, tf.add(tracer.read(count), 1));
    });
    return { count, program };
  };

  it("says what it runs on", () => {
    const { kind, backend, device, precision, jit, library } = use.engine.description;
    assert.deepEqual(
      { kind, backend, precision, jit },
      { kind: "graph", backend: "tensorflow", precision: "fp32", jit: "off" },
    );
    assert.match(device, /CPU:0$/);
    assert.match(library, /^2\.\d+\.\d+/);
  });

  it("adds nodes for programs only: not by running, loading, saving, verifying or looking twice", async () => {
    const engine = use.engine as GraphEngine;
    const { count, program } = await small(engine);
    await engine.firstNonFinite(program, { x: f32(1, 2) });
    const nodes = engine.nodeCount;
    assert.ok(nodes > 10);
    await program.run({ x: f32(1, 2) });
    await engine.firstNonFinite(program, { x: f32(1, 2) });
    await engine.load([[count, f32(5)]]);
    assert.deepEqual(await valuesOf(engine, count), [5]);
    engine.verify(program);
    assert.equal(engine.nodeCount, nodes);
  });

  it("runs a part of a program, which writes nothing and needs no more nodes", async () => {
    const engine = use.engine as GraphEngine;
    const { count, program } = await small(engine);
    const nodes = engine.nodeCount;
    const part = engine.part(program, ["y"]);
    assert.deepEqual([...(await part.run({ x: f32(0, 0) }))["y"]!], [2]);
    assert.deepEqual(await valuesOf(engine, count), [0]);
    assert.equal(engine.nodeCount, nodes);
    assert.deepEqual(engine.outputs(part), ["y"]);
    assert.throws(() => engine.part(program, ["y", "z"]), /has no output z/);
  });

  it("times every node of a run, which counts like any other", async () => {
    const engine = use.engine as GraphEngine;
    const { count, program } = await small(engine);
    const { outputs, timings } = engine.profile(program, { x: f32(0, 0) });
    assert.deepEqual([...outputs["y"]!], [2]);
    assert.deepEqual(await valuesOf(engine, count), [1]);
    const exp = timings.filter(({ name }) => /^step\/some-plugin\/loss\/Exp_\d+/.test(name));
    assert.equal(exp.length, 1);
    assert.ok(timings.every(({ microseconds }) => microseconds >= 0));
  });

  it("times a fused node under the name of the last op in it, whose result it gives", async () => {
    const engine = use.engine as GraphEngine;
    const program = await engine.program("step", (tracer) => {
      const x = tracer.input("x", [64, 64], "float32") as tf.Tensor2D;
      const bias = tracer.input("bias", [64], "float32") as tf.Tensor1D;
      const product = withScope("first/embed", () => linear(x, x, bias));
      tracer.output(
        "y",
        withScope("second/loss", () => tf.relu(product)),
      );
    });
    const feeds = { x: new Float32Array(64 * 64), bias: new Float32Array(64) };
    await program.run(feeds);
    const { timings } = engine.profile(program, feeds);
    const products = timings.filter(({ label }) => /MatMul\(/.test(label));
    assert.deepEqual(
      products.map(({ name }) => name.replace(/_\d+$/, "")),
      ["step/second/loss/Relu"],
    );
    assert.match(products[0]!.label, /FusedMatMul/);
    assert.ok(
      !timings.some(({ label }) => /= \w*(Relu|BiasAdd)\(/.test(label)),
      "the parts ran on their own",
    );
  });

  it("runs programs of two engines side by side", async () => {
    const other = await makeEngine("captured");
    const [mine, theirs] = [await small(use.engine), await small(other)];
    await Promise.all(
      [mine.program, theirs.program, theirs.program].map((program) => program.run({ x: f32(1, 2) })),
    );
    assert.deepEqual(await valuesOf(use.engine, mine.count), [1]);
    other.close();
    await mine.program.run({ x: f32(1, 2) });
    assert.deepEqual(await valuesOf(use.engine, mine.count), [2]);
  });
});
