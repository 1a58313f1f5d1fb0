/** Which device computes: what the config asks for, and what this machine has. */
import { errors, RelataError } from "../errors.ts";
import { locateLibrary, type LocateOptions, type TensorFlowLibrary } from "./library.ts";
import { hasNvidiaDriver } from "./nvidia.ts";

export interface DeviceProbes {
  readonly hasDriver: () => boolean;
  readonly locate: (options: LocateOptions) => TensorFlowLibrary | undefined;
}

export interface ChosenDevice {
  readonly device: "cpu" | "gpu";
  /** Why it is the CPU although there is a GPU's driver and nobody asked for the CPU. */
  readonly problem?: string;
}

/**
 * "auto" is the GPU where there is a driver and a GPU build of libtensorflow. Throws GPU_DRIVER_MISSING where a GPU
 * is asked for: before gigabytes of CUDA libraries are downloaded for nothing.
 */
export function chooseDevice(
  asked: "cpu" | "gpu" | "auto",
  { hasDriver, locate }: DeviceProbes = { hasDriver: hasNvidiaDriver, locate: locateLibrary },
): ChosenDevice {
  if (asked === "cpu") return { device: "cpu" };
  if (!hasDriver()) {
    if (asked === "gpu") throw errors.gpuDriverMissing();
    return { device: "cpu" };
  }
  if (asked === "gpu") return { device: "gpu" };
  try {
    if (locate({ gpu: true })) return { device: "gpu" };
  } catch (error) {
    // A path that was given and holds nothing is told when the CPU's library is looked for there.
    if (!(error instanceof RelataError)) throw error;
    return { device: "cpu", problem: error.message };
  }
  return { device: "cpu", problem: "the GPU build of libtensorflow is not installed" };
}
