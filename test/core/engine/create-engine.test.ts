import assert from "node:assert/strict";
import { createEngine, type EngineOptions } from "../../../core/engine/create-engine.ts";
import { ensureLibrary } from "../../../core/engine/install.ts";
import { hasNvidiaDriver } from "../../../core/engine/nvidia.ts";

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

  it("makes the eager engine on the cpu backend without any library", async () => {
    const library = () => assert.fail("the cpu backend needs no library");
    const engine = await createEngine({ ...options, engine: "eager", backend: "cpu", library });
    assert.equal(engine.description.backend, "cpu");
    engine.close();
  });
});
