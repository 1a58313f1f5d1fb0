/** CUDA's libraries that are loaded before TensorFlow asks for them, and where the nvidia-* wheels have them. */
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";

/**
 * By the names under which TensorFlow 2.21 opens them, each after those it links to: it gets the copy that is in
 * the process already. Without one of the needed ones TensorFlow sees no GPU, and does not say why. cuDNN finds its
 * own parts beside itself.
 */
const cudaLibraries: readonly { readonly name: string; readonly needed: boolean }[] = [
  { name: "libcudart.so.12", needed: true },
  { name: "libnvJitLink.so.12", needed: false },
  { name: "libnvrtc.so.12", needed: false },
  { name: "libcublasLt.so.12", needed: true },
  { name: "libcublas.so.12", needed: true },
  { name: "libcufft.so.11", needed: true },
  { name: "libcurand.so.10", needed: false },
  { name: "libcusparse.so.12", needed: true },
  { name: "libcusolver.so.11", needed: true },
  { name: "libcupti.so.12", needed: false },
  { name: "libnccl.so.2", needed: false },
  { name: "libcudnn.so.9", needed: true },
];

/**
 * What to load, in order: the files of the nvidia-* wheels unpacked under `root`, and the bare names of needed
 * libraries that are not among them, which the system's loader may know. Versions for another CUDA are left out.
 */
export function locateCuda(root: string): string[] {
  const nvidia = path.join(root, "nvidia");
  const folders = (existsSync(nvidia) ? readdirSync(nvidia) : []).map((part) =>
    path.join(nvidia, part, "lib"),
  );
  return cudaLibraries.flatMap(({ name, needed }) => {
    const file = folders.map((folder) => path.join(folder, name)).find((candidate) => existsSync(candidate));
    return file ?? (needed ? name : []);
  });
}

/** Of what `locateCuda` gives: the libraries that no wheel brought. */
export function notInWheels(libraries: readonly string[]): string[] {
  return libraries.filter((library) => !path.isAbsolute(library));
}
