/** Finds libtensorflow on this machine. Nothing is loaded or downloaded here (install.ts downloads). */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { errors } from "../errors.ts";
import { locateCuda } from "./cuda.ts";
import { TENSORFLOW_VERSION, thisPlatform } from "./install/wheels.ts";

export interface TensorFlowLibrary {
  /** The folder that holds both files. */
  readonly directory: string;
  /** The library with the C API. */
  readonly cc: string;
  readonly framework: string;
  /** Undefined where nothing beside the files tells it; TF_Version of the loaded library always does. */
  readonly version: string | undefined;
  readonly origin: "option" | "environment" | "cache" | "tfjs-node-gpu" | "python";
  /** CUDA libraries to load first, each after those it needs; a bare name where no wheel brought it. Empty without `gpu`. */
  readonly gpuLibraries: readonly string[];
  /** Of the cache only: whether the wheel is one whose checksum relata knows. */
  readonly verified?: boolean;
}

export interface LocateOptions {
  /** A folder with libtensorflow; RELATA_TENSORFLOW says the same. */
  readonly path?: string;
  /** Take only a library that can use an NVIDIA GPU, and list CUDA's libraries. */
  readonly gpu?: boolean;
}

/** What the installer leaves beside the files, last, so that a folder without it does not count. */
export interface InstallRecord {
  readonly version: string;
  readonly wheel: string;
  readonly sha256: string;
  readonly verified: boolean;
  /** Sizes in bytes by path: a file that was cut short or removed is noticed. */
  readonly files: Readonly<Record<string, number>>;
}

export const RECORD_FILE = "library.json";
const PROBE_MS = 5_000;

/** The two files' names: those of the wheels, then those that tfjs-node-gpu and the C API's archives use. */
const fileNames: readonly (readonly [cc: string, framework: string])[] =
  process.platform === "darwin"
    ? [
        ["libtensorflow_cc.2.dylib", "libtensorflow_framework.2.dylib"],
        ["libtensorflow.2.dylib", "libtensorflow_framework.2.dylib"],
      ]
    : [
        ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"],
        ["libtensorflow.so.2", "libtensorflow_framework.so.2"],
      ];

/**
 * Looks in this order: `path`, RELATA_TENSORFLOW, the per-user cache, tfjs-node-gpu's deps/lib, TensorFlow of
 * the active Python. For `gpu`, tfjs-node-gpu's (CUDA 11) and a Python's tensorflow-cpu do not count.
 * Throws LIBRARY_PATH when a path that was given holds no library, and CPU_BUILD when that is tensorflow-cpu's and a
 * GPU is asked for: it is never passed over in silence.
 */
export function locateLibrary({ path: given, gpu = false }: LocateOptions = {}):
  TensorFlowLibrary | undefined {
  if (given) return explicit(given, "option", gpu);
  const variable = process.env["RELATA_TENSORFLOW"];
  if (variable) return explicit(variable, "environment", gpu);
  return fromCache(gpu) ?? (gpu ? undefined : fromTfjs()) ?? fromPython(gpu);
}

function explicit(given: string, origin: "option" | "environment", gpu: boolean): TensorFlowLibrary {
  const directory = path.resolve(given);
  const found =
    libraryIn(directory, origin, gpu) ?? libraryIn(path.join(directory, "tensorflow"), origin, gpu);
  const source = origin === "option" ? "the given path" : "RELATA_TENSORFLOW";
  if (found && gpu && isCpuBuild(found.directory)) throw errors.cpuBuild(source, found.directory);
  if (found) return found;
  throw errors.libraryPath(source, directory, fileNames.map((names) => names.join(" and ")).join(", or "));
}

function libraryIn(
  directory: string,
  origin: TensorFlowLibrary["origin"],
  gpu: boolean,
): TensorFlowLibrary | undefined {
  for (const [cc, framework] of fileNames) {
    const files = { cc: path.join(directory, cc), framework: path.join(directory, framework) };
    if (!existsSync(files.cc) || !existsSync(files.framework)) continue;
    const version = distributionBeside(directory)?.version ?? versionInName(files.framework);
    return {
      directory,
      ...files,
      version,
      origin,
      gpuLibraries: gpu ? locateCuda(path.dirname(directory)) : [],
    };
  }
  return undefined;
}

// --- the per-user cache ----------------------------------------------------------------------------------

/** RELATA_CACHE, or the platform's place for caches. The folder need not exist. */
export function cacheDirectory(): string {
  const { RELATA_CACHE, XDG_CACHE_HOME } = process.env;
  if (RELATA_CACHE) return path.resolve(RELATA_CACHE);
  if (process.platform === "darwin") return path.join(os.homedir(), "Library", "Caches", "relata");
  return path.join(XDG_CACHE_HOME || path.join(os.homedir(), ".cache"), "relata");
}

/** Where the installer puts a library: `<cache>/tensorflow/2.21.0-cpu-linux-x64`. */
export function installedDirectory(version: string, gpu: boolean): string {
  return path.join(cacheDirectory(), "tensorflow", `${version}-${gpu ? "gpu" : "cpu"}-${thisPlatform()}`);
}

/** The library in a folder that the installer made; undefined unless it is complete. */
export function readInstalled(directory: string, gpu: boolean): TensorFlowLibrary | undefined {
  let record: InstallRecord;
  try {
    record = JSON.parse(readFileSync(path.join(directory, RECORD_FILE), "utf8")) as InstallRecord;
    for (const [file, bytes] of Object.entries(record.files)) {
      if (statSync(path.join(directory, file)).size !== bytes) return undefined;
    }
  } catch {
    return undefined;
  }
  const library = libraryIn(path.join(directory, "tensorflow"), "cache", gpu);
  return library && { ...library, version: record.version, verified: record.verified };
}

/** The tested version first, then the newest; the CPU's own build first unless a GPU is asked for. */
function fromCache(gpu: boolean): TensorFlowLibrary | undefined {
  const parent = path.join(cacheDirectory(), "tensorflow");
  const names = existsSync(parent) ? readdirSync(parent) : [];
  for (const flavour of gpu ? ["gpu"] : ["cpu", "gpu"]) {
    const end = `-${flavour}-${thisPlatform()}`;
    const versions = names
      .filter((name) => /^\d/.test(name) && name.endsWith(end))
      .map((name) => name.slice(0, -end.length))
      .sort((a, b) => rank(b) - rank(a) || b.localeCompare(a, "en", { numeric: true }));
    for (const version of versions) {
      const library = readInstalled(path.join(parent, version + end), gpu);
      if (library) return library;
    }
  }
  return undefined;
}

const rank = (version: string): number => (version === TENSORFLOW_VERSION ? 1 : 0);

// --- other people's copies -------------------------------------------------------------------------------

function fromTfjs(): TensorFlowLibrary | undefined {
  try {
    const manifest = createRequire(import.meta.url).resolve("@tensorflow/tfjs-node-gpu/package.json");
    return libraryIn(path.join(path.dirname(manifest), "deps", "lib"), "tfjs-node-gpu", false);
  } catch {
    return undefined; // not installed
  }
}

// The current folder is not searched: a folder called tensorflow there is not the package.
const whereIsTensorFlow = `
import importlib.util, sys
sys.path[:] = [p for p in sys.path if p]
spec = importlib.util.find_spec("tensorflow")
print(spec.submodule_search_locations[0] if spec and spec.origin else "")`;

function fromPython(gpu: boolean): TensorFlowLibrary | undefined {
  for (const python of ["python3", "python"]) {
    const answer = spawnSync(python, ["-c", whereIsTensorFlow], {
      encoding: "utf8",
      timeout: PROBE_MS,
      stdio: ["ignore", "pipe", "ignore"],
    });
    const directory = answer.status === 0 ? answer.stdout.trim() : "";
    if (directory === "") continue;
    if (gpu && isCpuBuild(directory)) return undefined;
    return libraryIn(directory, "python", gpu);
  }
  return undefined;
}

/** Which wheel was unpacked here, by the dist-info folder that Python keeps beside a package. */
function distributionBeside(directory: string): { project: string; version: string } | undefined {
  const parent = path.dirname(directory);
  for (const name of existsSync(parent) ? readdirSync(parent) : []) {
    const match = /^(tensorflow(?:_cpu)?)-(\d[^-]*)\.dist-info$/.exec(name);
    if (match) return { project: match[1]!.replace("_", "-"), version: match[2]! };
  }
  return undefined;
}

function isCpuBuild(directory: string): boolean {
  return distributionBeside(directory)?.project === "tensorflow-cpu";
}

/** libtensorflow_framework.so.2 is a link to libtensorflow_framework.so.2.9.1 in the C API's archives. */
function versionInName(file: string): string | undefined {
  return /\.(\d+\.\d+\.\d+)(?:\.dylib)?$/.exec(realpathSync(file))?.[1];
}

// --- output ----------------------------------------------------------------------------------------------

/**
 * Sets what TensorFlow reads when its library loads (Node's process.env reaches getenv): call it before that.
 * Level 2 leaves out notices and warnings, such as the one about the CPU's instructions, but not errors.
 * A value that the user set stays. What is written before any level is read is `quietly`'s part (quiet.ts).
 */
export function quietEnvironment(): void {
  process.env["TF_CPP_MIN_LOG_LEVEL"] ??= "2";
}
