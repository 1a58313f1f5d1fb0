import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { createEngine, type EngineOptions } from "../../../core/engine/create-engine.ts";
import type { GraphEngine } from "../../../core/engine/graph-engine.ts";
import { ensureLibrary } from "../../../core/engine/install.ts";
import { timeByOp } from "../../../core/engine/timings.ts";
import { hasNvidiaDriver } from "../../../core/engine/nvidia.ts";
import { fused } from "../../../core/math/index.ts";

const options: EngineOptions = {
  engine: "graph",
  backend: "tensorflow",
  device: "cpu",
  precision: "fp32",
  jit: "off",
  threads: { intra: 1, inter: 1 },
  library: () => ensureLibrary({}),
};

describe("createEngine", () => {
  it("says what it runs on", async () => {
    const engine = await createEngine(options);
    const { kind, backend, device, precision, library } = engine.description;
    assert.deepEqual([kind, backend, precision], ["graph", "tensorflow", "fp32"]);
    assert.match(device, /CPU:0$/);
    assert.match(library, /^\d+\.\d+/);
    engine.close();
  });

  it("refuses a GPU that is not there, before it looks for a library", async function () {
    if (hasNvidiaDriver()) return this.skip();
    const library = () => assert.fail("no library should be looked for");
    await assert.rejects(createEngine({ ...options, device: "gpu", library }), {
      code: "GPU_DRIVER_MISSING",
    });
  });

  it("takes the CPU on auto where there is no driver", async function () {
    if (hasNvidiaDriver()) return this.skip();
    const engine = await createEngine({ ...options, device: "auto" });
    assert.match(engine.description.device, /CPU/);
    engine.close();
  });

  it("refuses the eager engine in bf16 and on a GPU", async () => {
    await assert.rejects(createEngine({ ...options, engine: "eager", precision: "bf16" }), {
      code: "EAGER_PRECISION",
    });
    await assert.rejects(createEngine({ ...options, engine: "eager", device: "gpu" }), {
      code: "GPU_UNAVAILABLE",
    });
  });

  for (const jit of ["fused", "xla"] as const) {
    it(`compiles nothing of what ${jit} would where XLA cannot, and says why`, async () => {
      const asked = { ...options, jit, fuseFrom: 0 };
      const engine = await createEngine(asked, () => Promise.resolve("no compiler"));
      assert.deepEqual([engine.description.jit, engine.description.jitProblem], ["off", "no compiler"]);
      const program = await engine.program("piece", (tracer) => {
        const x = tracer.input("x", [8], "float32");
        tracer.output(
          "y",
          fused("piece", () => tf.sin(x)),
        );
      });
      const { outputs, timings } = (engine as GraphEngine).profile(program, {
        x: new Float32Array(8).fill(1),
      });
      assert.ok(Math.abs(outputs["y"]![7]! - Math.sin(1)) < 1e-6);
      assert.ok(timeByOp(timings).some(({ name }) => name === "Sin"));
      engine.close();
    });
  }

  it("looks for a compiler only where something is to be compiled, and finds it", async () => {
    const unasked = await createEngine(options, () => assert.fail("nothing is to be compiled"));
    assert.deepEqual([unasked.description.jit, unasked.description.jitProblem], ["off", undefined]);
    unasked.close();
    const engine = await createEngine({ ...options, jit: "fused" });
    assert.deepEqual([engine.description.jit, engine.description.jitProblem], ["fused", undefined]);
    engine.close();
  });

  it("makes the eager engine on the cpu backend without any library", async () => {
    const library = () => assert.fail("the cpu backend needs no library");
    const engine = await createEngine({ ...options, engine: "eager", backend: "cpu", library });
    assert.equal(engine.description.backend, "cpu");
    engine.close();
  });
});
