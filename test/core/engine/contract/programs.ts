import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { Feeds } from "../../../../core/engine/engine.ts";
import { makeEngine, type EngineKind } from "../../../support/engines.ts";
import { f32, loaded, runOnce, useEngine, valuesOf } from "./setup.ts";

export function describePrograms(kind: EngineKind): void {
  describe("programs", () => {
    const use = useEngine(kind);

    it("take float32, int32 and uint8, scalars too, and give each type back", async () => {
      const outputs = await runOnce(
        use.engine,
        (tracer) => {
          const scalar = tracer.input("scalar", [], "float32");
          const whole = tracer.input("whole", [2, 2], "int32");
          const pixels = tracer.input("pixels", [3], "uint8");
          assert.deepEqual([scalar.dtype, whole.dtype, pixels.dtype], ["float32", "int32", "float32"]);
          tracer.output("sum", tf.add(tf.sum(pixels), scalar));
          tracer.output("doubled", tf.mul(whole, tf.scalar(2, "int32")));
          tracer.output("bright", tf.greater(pixels, 100));
        },
        { scalar: f32(0.5), whole: Int32Array.of(1, -2, 3, 4), pixels: Uint8Array.of(0, 128, 255) },
      );
      assert.deepEqual(outputs["sum"], f32(383.5));
      assert.deepEqual(outputs["doubled"], Int32Array.of(2, -4, 6, 8));
      assert.deepEqual(outputs["bright"], Uint8Array.of(0, 1, 1));
    });

    it("give inputs, variables and one tensor twice as outputs, in arrays of their own", async () => {
      const { engine } = use;
      const variable = await loaded(engine, "v", [1, 2]);
      const program = await engine.program("p", (tracer) => {
        const x = tracer.input("x", [2], "float32");
        const sum = tf.add(x, tracer.read(variable));
        for (const [name, value] of Object.entries({ x, v: tracer.read(variable), sum, same: sum })) {
          tracer.output(name, value);
        }
        tracer.output("bytes", tracer.input("bytes", [2], "uint8"));
      });
      const x = f32(10, 20);
      const outputs = await program.run({ x, bytes: Uint8Array.of(7, 8) });
      x.fill(0);
      const plain = Object.fromEntries(Object.entries(outputs).map(([name, values]) => [name, [...values]]));
      assert.deepEqual(plain, { x: [10, 20], v: [1, 2], sum: [11, 22], same: [11, 22], bytes: [7, 8] });
      outputs["v"]!.fill(0);
      assert.deepEqual(await valuesOf(engine, variable), [1, 2]);
    });

    it("refuse a feed that is missing, of a wrong length or of another type", async () => {
      const program = await use.engine.program("step", (tracer) => {
        tracer.output("y", tf.sum(tracer.input("pixels", [2, 3], "uint8")));
      });
      const wrong: readonly (readonly [Feeds, RegExp])[] = [
        [{}, /got none/],
        [{ pixels: new Uint8Array(5) }, /got 5 of Uint8Array/],
        [{ pixels: new Float32Array(6) }, /got 6 of Float32Array/],
      ];
      for (const [feeds, got] of wrong) {
        await assert.rejects(program.run(feeds), {
          code: "PROGRAM_FEED",
          message: /"step".*"pixels", 6 of Uint8Array/,
        });
        await assert.rejects(program.run(feeds), { message: got });
      }
    });

    it("share the engine's variables, and may have the same name", async () => {
      const { engine } = use;
      const count = await loaded(engine, "count", 0);
      const programs = await Promise.all(
        [1, 10].map((step) =>
          engine.program("add", (tracer) => {
            tracer.assign(count, tf.add(tracer.read(count), step));
            tracer.output("before", tracer.read(count));
          }),
        ),
      );
      const before: number[] = [];
      for (const i of [0, 1, 1, 0]) before.push((await programs[i]!.run({}))["before"]![0]!);
      assert.deepEqual(before, [0, 1, 11, 21]);
      assert.deepEqual(await valuesOf(engine, count), [22]);
    });

    it("do not keep the arrays that they are fed with", async () => {
      const { engine } = use;
      const variable = await loaded(engine, "v", [0, 0]);
      const x = f32(1, 2);
      await runOnce(engine, (tracer) => tracer.assign(variable, tracer.input("x", [2], "float32")), { x });
      x.fill(9);
      assert.deepEqual(await valuesOf(engine, variable), [1, 2]);
    });

    it("are looked into by their own engine only", async () => {
      const other = await makeEngine(kind);
      const program = await other.program("p", (tracer) => tracer.output("y", tf.scalar(1)));
      await assert.rejects(use.engine.firstNonFinite(program, {}), /another engine/);
      other.close();
    });

    it("leave the engine as it was when their body throws", async () => {
      const { engine } = use;
      const variable = await loaded(engine, "v", 1);
      const tensors = tf.memory().numTensors;
      const failing = runOnce(engine, (tracer) => {
        tracer.assign(variable, tf.add(tracer.read(variable), 1));
        tf.grad((x: tf.Tensor) => {
          throw new Error(`a mistake with ${x.rank} axes`);
        })(tracer.read(variable));
      });
      await assert.rejects(failing, /a mistake with 0 axes/);
      assert.equal(tf.memory().numTensors, tensors);
      const { y } = await runOnce(engine, (tracer) => tracer.output("y", tf.add(tracer.read(variable), 1)));
      assert.deepEqual([...y!], [2]);
    });
  });
}
