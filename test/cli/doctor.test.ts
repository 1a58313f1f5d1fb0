/** What `relata doctor` says of the engine that a run would open. */
import assert from "node:assert/strict";
import { engineCheck, openEngine } from "../../cli/commands/doctor.ts";
import type { EngineDescription } from "../../core/engine/engine.ts";
import { hasNvidiaDriver } from "../../core/engine/nvidia.ts";

const opened: EngineDescription = {
  kind: "graph",
  backend: "tensorflow",
  device: "/job:localhost/replica:0/task:0/device:GPU:0",
  precision: "fp32",
  jit: "fused",
  library: "2.21.0",
};

describe("doctor's check of the engine", () => {
  before(function () {
    if (hasNvidiaDriver()) this.skip();
  });

  it("opens it as a run does, and tries XLA", async () => {
    const { ok, value } = await openEngine("auto");
    assert.equal(ok, true);
    assert.match(value, /^graph on CPU:0, TensorFlow \d+\.\d+\.\d+; XLA compiles there$/);
  });

  it("fails for a GPU without a driver or a GPU build, with what to do", async () => {
    const { ok, value, fix } = await openEngine("gpu");
    assert.notEqual(ok, true);
    assert.match(value, /no NVIDIA driver|without the GPU build of libtensorflow/);
    assert.match(fix!, /driver|setup --gpu/);
  });

  it("tells where XLA does not compile, and how it would", () => {
    assert.deepEqual(engineCheck(opened), {
      name: "engine",
      ok: true,
      value: "graph on GPU:0, TensorFlow 2.21.0; XLA compiles there",
    });
    assert.equal(engineCheck({ ...opened, jit: "off" }).value, "graph on GPU:0, TensorFlow 2.21.0");
    const failed = { ...opened, jit: "off", jitProblem: "libdevice not found" } as const;
    const gpu = engineCheck(failed);
    assert.equal(gpu.ok, "warning");
    assert.match(gpu.value, /^graph on GPU:0, .*XLA does not compile there: libdevice not found$/);
    assert.match(gpu.fix!, /^`relata setup --gpu`/);
    const cpu = engineCheck({ ...failed, device: "/job:localhost/replica:0/task:0/device:CPU:0" });
    assert.match(cpu.fix!, /^`relata setup`/);
  });
});
