import assert from "node:assert/strict";
import { chooseDevice, type DeviceProbes } from "../../../core/engine/device.ts";
import type { TensorFlowLibrary } from "../../../core/engine/library.ts";
import { errors, RelataError } from "../../../core/errors.ts";

const build = { directory: "/gpu" } as TensorFlowLibrary;
/** A machine with a driver or without, and with what a look for the GPU build gives or throws. */
const machine = (driver: boolean, found?: TensorFlowLibrary | Error): DeviceProbes => ({
  hasDriver: () => driver,
  locate: ({ gpu }) => {
    assert.equal(gpu, true);
    if (found instanceof Error) throw found;
    return found;
  },
});

describe("chooseDevice", () => {
  it("is the GPU on auto where a driver and the GPU build are", () => {
    assert.deepEqual(chooseDevice("auto", machine(true, build)), { device: "gpu" });
    assert.deepEqual(chooseDevice("auto", machine(false, build)), { device: "cpu" });
  });

  it("says on auto why a GPU that is there is not used", () => {
    const { device, problem } = chooseDevice("auto", machine(true));
    assert.equal(device, "cpu");
    assert.match(problem!, /GPU build .* not installed/);
    const given = errors.cpuBuild("RELATA_TENSORFLOW", "/cpu");
    assert.deepEqual(chooseDevice("auto", machine(true, given)), { device: "cpu", problem: given.message });
  });

  it("does what it is asked, whatever else is there", () => {
    assert.deepEqual(chooseDevice("cpu", machine(true, build)), { device: "cpu" });
    assert.deepEqual(chooseDevice("gpu", machine(true)), { device: "gpu" }, "the build is installed for it");
  });

  it("refuses a GPU without a driver, with what to do", () => {
    assert.throws(
      () => chooseDevice("gpu", machine(false, build)),
      (error) =>
        error instanceof RelataError && error.code === "GPU_DRIVER_MISSING" && /driver/.test(error.fix),
    );
  });
});
