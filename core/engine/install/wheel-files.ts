/** Which wheels and which files in them make a libtensorflow. */
import { readdir } from "node:fs/promises";
import path from "node:path";
import { errors } from "../../errors.ts";
import { openWheel, type Wheel } from "./wheel.ts";
import { acceptsTag, thisPlatform } from "./wheels.ts";

const tensorFlowFile = /^tensorflow\/libtensorflow_(?:cc|framework)(?:\.so\.2|\.2\.dylib)$/;
/** TensorFlow looks for CUDA, and XLA for what it compiles kernels with, beside TensorFlow's own folder. */
const cudaLibrary = /^nvidia\/[^/]+\/lib\/[^/]+\.so(?:\.\d+)*$/;
const xlaTool = /^nvidia\/cuda_nvcc\/(?:bin\/(?:ptxas|nvlink)|nvvm\/libdevice\/[^/]+\.bc)$/;
/** Drop-ins for other programs and a second build of nvrtc: nothing of TensorFlow asks for them. */
const unusedCudaLibrary = /\/lib(?:nvblas|cufftw|cusolverMg)\.|\.alt\.so/;

/** Whether an installation keeps this file of a TensorFlow or nvidia-* wheel, under the same path. */
export function isKept(file: string): boolean {
  if (tensorFlowFile.test(file) || xlaTool.test(file)) return true;
  return cudaLibrary.test(file) && !unusedCudaLibrary.test(file);
}

/** Opens a wheel that must be a TensorFlow which this platform can load. Throws WHEEL_INVALID. */
export async function openTensorFlow(file: string, gpu: boolean): Promise<Wheel> {
  const wheel = await openWheel(file);
  const problem = whyNotTensorFlow(wheel, gpu);
  if (problem === undefined) return wheel;
  wheel.close();
  throw errors.wheelInvalid(file, problem);
}

function whyNotTensorFlow({ project, tags, entries }: Wheel, gpu: boolean): string | undefined {
  if (project !== "tensorflow" && project !== "tensorflow-cpu") {
    return `is a wheel of "${project}", not of TensorFlow`;
  }
  const platform = thisPlatform();
  if (!tags.some((tag) => acceptsTag(platform, tag)))
    return `is built for ${tags.join(", ")}, not for ${platform}`;
  if (gpu && project === "tensorflow-cpu")
    return 'is the build for CPUs: a GPU needs the wheel of "tensorflow"';
  if (entries.filter((entry) => tensorFlowFile.test(entry.path)).length < 2) {
    return "does not contain libtensorflow_cc and libtensorflow_framework";
  }
  return undefined;
}

/** The nvidia-* requirements of the extra `and-cuda`: project to requirement. */
export function cudaRequirements(wheel: Wheel): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of wheel.requires) {
    const match = /^(nvidia-[\w.-]+)\s*\(?([^;()]*)\)?\s*;.*\bextra == ["']and-cuda["']/.exec(line);
    if (match) found.set(match[1]!, match[1]! + match[2]!.trim());
  }
  return found;
}

/** Wheels of `projects` in the folder of `file`, by project: without network, all can be given. */
export async function wheelsBeside(file: string, projects: Iterable<string>): Promise<Map<string, string>> {
  const folder = path.dirname(file);
  const names = (await readdir(folder)).filter((name) => name.endsWith(".whl")).sort();
  const found = new Map<string, string>();
  for (const project of projects) {
    const name = names.findLast((wheel) => wheel.split("-")[0]!.replaceAll("_", "-") === project);
    if (name) found.set(project, path.join(folder, name));
  }
  return found;
}
