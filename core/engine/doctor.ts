/** Facts about this machine that decide whether and how relata runs. Prints nothing. */
import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { RelataError } from "../errors.ts";
import { cpuFlags } from "./cpu.ts";
import { findPip } from "./install/pip.ts";
import { supportedPlatforms, TENSORFLOW_VERSION, thisPlatform, wheelSource } from "./install/wheels.ts";
import { cacheDirectory, locateLibrary, type LocateOptions, type TensorFlowLibrary } from "./library.ts";
import { notInWheels } from "./cuda.ts";
import { nvidiaDriver, type NvidiaDriver } from "./nvidia.ts";

export interface Check {
  readonly name: string;
  readonly ok: boolean | "warning";
  /** What was found. */
  readonly value: string;
  /** What to do about it, where something should be done. */
  readonly fix?: string;
}

export interface ExamineOptions extends LocateOptions {
  /** The parent of run folders. */
  readonly runDirectory?: string;
  /** Checks of other parts, made after these, in order: the engine's devices, the data. */
  readonly extra?: readonly (() => Promise<Check>)[];
}

const OLDEST_NODE = [20, 19] as const;
/** The oldest driver that runs CUDA 12 programs. */
const OLDEST_DRIVER = 525;
const GB = 1e9;
/** A ViT-S checkpoint with its optimizer state and teacher is about 0.5 GB. */
const ROOM_FOR_RUNS = 2 * GB;
/** What an image folder may hold, by sharp's format names; its heif means AVIF. */
const IMAGE_FORMATS = ["jpeg", "png", "webp", "tiff", "gif", "heif"] as const;

export async function examine(options: ExamineOptions = {}): Promise<Check[]> {
  const { found, check: libraryCheck } = checkLibrary(options);
  const driver = await nvidiaDriver();
  const gpu = [checkNvidia(driver, options.gpu ?? false), ...checkCuda(driver, options)];
  const asked = await Promise.all([
    checkPip(found !== undefined),
    checkDisk("disk of the cache", cacheDirectory(), found ? 0 : spaceToInstall(options.gpu)),
    checkDisk("disk of the runs", path.resolve(options.runDirectory ?? "runs"), ROOM_FOR_RUNS),
    checkImages(),
  ]);
  const own = [checkNode(), checkPlatform(), checkCpu(), libraryCheck, ...gpu, ...asked];
  for (const extra of options.extra ?? []) own.push(await extra());
  return own;
}

function checkNode(): Check {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const ok = major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]);
  const fix = `install Node ${OLDEST_NODE.join(".")} or newer`;
  return { name: "node", ok, value: process.versions.node, ...(!ok && { fix }) };
}

function checkPlatform(): Check {
  const platform = thisPlatform();
  const known = supportedPlatforms(false);
  if (known.includes(platform)) return { name: "platform", ok: true, value: platform };
  return {
    name: "platform",
    ok: "warning",
    value: `${platform}; libtensorflow can be installed for ${known.join(", ")}`,
    fix: "point RELATA_TENSORFLOW to a libtensorflow of your own, or set train.engine to eager and train.backend to cpu",
  };
}

/** bf16 needs instructions of its own to be faster than fp32 on a CPU. */
function checkCpu(): Check {
  const flags = cpuFlags();
  const worthNaming = ["avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16"];
  const named = worthNaming.filter((flag) => flags.has(flag));
  const cores = `${os.availableParallelism()} cores, ${os.cpus()[0]?.model.trim() ?? process.arch}`;
  if (flags.size === 0) return { name: "cpu", ok: true, value: cores };
  if (process.arch === "x64" && !flags.has("avx")) {
    return {
      name: "cpu",
      ok: false,
      value: `${cores}, without AVX, which TensorFlow's builds need`,
      fix: "use another machine, or set train.engine to eager and train.backend to cpu",
    };
  }
  const bf16 = named.some((flag) => flag.endsWith("bf16"));
  const note = bf16 ? "" : "; no bf16 instructions: train.precision fp32 is the better choice on this CPU";
  return { name: "cpu", ok: true, value: `${cores}, ${named.join(" ")}${note}` };
}

function checkLibrary(options: LocateOptions): { found: TensorFlowLibrary | undefined; check: Check } {
  const name = "libtensorflow";
  const setup = options.gpu ? "relata setup --gpu" : "relata setup";
  let found: TensorFlowLibrary | undefined;
  try {
    found = locateLibrary(options);
  } catch (error) {
    return { found: undefined, check: failed(name, error) };
  }
  if (!found) {
    const size = wheelSource(thisPlatform(), options.gpu ?? false)?.downloadBytes;
    const value = size ? `not installed; a download of ${(size / 1e6).toFixed(0)} MB` : "not found";
    return {
      found,
      check: { name, ok: "warning", value, fix: `run \`${setup}\`; a run that needs it also does` },
    };
  }
  const value = `${found.version ?? "unknown version"}, ${found.origin}, ${found.directory}`;
  if (found.version === TENSORFLOW_VERSION) return { found, check: { name, ok: true, value } };
  const fix = `relata is tested with ${TENSORFLOW_VERSION}: run \`${setup}\` to install that`;
  return { found, check: { name, ok: "warning", value, fix } };
}

async function checkPip(libraryFound: boolean): Promise<Check> {
  const pip = await findPip();
  if (pip) return { name: "pip", ok: true, value: pip.label };
  if (libraryFound) return { name: "pip", ok: true, value: "none, and none needed: libtensorflow is there" };
  return {
    name: "pip",
    ok: "warning",
    value: "none: libtensorflow cannot be downloaded",
    fix: "install Python's pip or uv, or give a TensorFlow wheel: `relata setup --wheel FILE`",
  };
}

function checkNvidia(driver: NvidiaDriver | undefined, wanted: boolean): Check {
  const name = "nvidia driver";
  if (!driver) {
    const fix = "install NVIDIA's driver, or set train.device to cpu";
    return { name, ok: !wanted, value: "none", ...(wanted && { fix }) };
  }
  const value = [driver.version, ...driver.gpus].join(", ");
  if (!(Number.parseInt(driver.version) < OLDEST_DRIVER)) return { name, ok: true, value };
  return {
    name,
    ok: wanted ? false : "warning",
    value,
    fix: `CUDA 12 needs driver ${OLDEST_DRIVER} or newer`,
  };
}

/** What a GPU needs beside the driver; nothing where neither a driver nor an installation speaks of one. */
function checkCuda(driver: NvidiaDriver | undefined, options: LocateOptions): Check[] {
  const name = "cuda libraries";
  const setup = "run `relata setup --gpu`";
  let library: TensorFlowLibrary | undefined;
  try {
    library = locateLibrary({ ...options, gpu: true });
  } catch (error) {
    return driver && !options.gpu ? [{ ...failed(name, error), ok: "warning" }] : []; // the library's own check tells it
  }
  if (!library) {
    if (!driver || options.gpu) return [];
    const value = "the GPU build of libtensorflow is not installed: the GPU is not used";
    return [{ name, ok: "warning", value, fix: setup }];
  }
  const missing = notInWheels(library.gpuLibraries);
  const found = library.gpuLibraries.length - missing.length;
  if (!driver && !options.gpu) {
    if (found === 0) return [];
    const value = `${found} in ${library.directory}, but there is no NVIDIA driver: the CPU computes`;
    return [{ name, ok: "warning", value, fix: "install NVIDIA's driver, if this machine has a GPU" }];
  }
  if (missing.length === 0) return [{ name, ok: true, value: `${found}, of NVIDIA's wheels` }];
  const value = `not of NVIDIA's wheels: ${missing.join(", ")}`;
  return [{ name, ok: "warning", value, fix: `${setup}, or have CUDA 12 and cuDNN 9 on LD_LIBRARY_PATH` }];
}

const spaceToInstall = (gpu = false): number => wheelSource(thisPlatform(), gpu)?.spaceBytes ?? 0;

async function checkDisk(name: string, directory: string, needBytes: number): Promise<Check> {
  let existing = directory;
  while (!existsSync(existing) && path.dirname(existing) !== existing) existing = path.dirname(existing);
  const { bavail, bsize } = await statfs(existing);
  const free = bavail * bsize;
  const value = `${(free / GB).toFixed(1)} GB free, ${directory}`;
  if (free >= needBytes) return { name, ok: true, value };
  return { name, ok: "warning", value, fix: `make room: ${(needBytes / GB).toFixed(1)} GB may be needed` };
}

async function checkImages(): Promise<Check> {
  const name = "images";
  try {
    const { default: sharp } = await import("sharp");
    const formats = IMAGE_FORMATS.filter((format) => sharp.format[format].input.buffer);
    const value = `sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}: ${formats.join(", ")}`;
    return { name, ok: formats.length === IMAGE_FORMATS.length ? true : "warning", value };
  } catch (error) {
    return {
      name,
      ok: false,
      value: `sharp does not load: ${(error as Error).message.split("\n")[0]}`,
      fix: "reinstall with `npm install`: sharp's prebuilt package for this platform is an optional dependency",
    };
  }
}

function failed(name: string, error: unknown): Check {
  if (!(error instanceof RelataError)) throw error;
  return { name, ok: false, value: error.message, fix: error.fix };
}
