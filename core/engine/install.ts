/** Installs libtensorflow into the per-user cache: downloads a wheel and keeps the libraries that are in it. */
import { mkdir, rm, statfs, writeFile } from "node:fs/promises";
import path from "node:path";
import { errors, RelataError } from "../errors.ts";
import { downloadWheels, findPip } from "./install/pip.ts";
import { claimStaging } from "./install/staging.ts";
import { fileChecksum, openWheel, type Wheel, type WheelEntry } from "./install/wheel.ts";
import { nvidiaProjects, nvidiaWheelsBeside, wantsFile } from "./install/wheel-files.ts";
import {
  acceptsTag,
  supportedPlatforms,
  TENSORFLOW_VERSION,
  thisPlatform,
  WHEEL_PYTHON,
  wheelChecksums,
  wheelSource,
} from "./install/wheels.ts";
import {
  cacheDirectory,
  installedDirectory,
  locateLibrary,
  readInstalled,
  RECORD_FILE,
  type InstallRecord,
  type LocateOptions,
  type TensorFlowLibrary,
} from "./library.ts";

export interface InstallProgress {
  /** `wait`: another process is installing the same library. */
  readonly stage: "wait" | "download" | "verify" | "unpack";
  /** A file's name. */
  readonly item: string;
  /** Done so far, of this item and stage. */
  readonly bytes: number;
  readonly total: number | undefined;
}

export interface InstallOptions {
  /** The GPU build, with CUDA's libraries. Linux x64. */
  readonly gpu?: boolean;
  /** A TensorFlow wheel to unpack instead of downloading one; nvidia-* wheels in the same folder are used as well. */
  readonly wheel?: string;
  readonly onProgress?: (progress: InstallProgress) => void;
  readonly signal?: AbortSignal;
}

/** Finds libtensorflow, or installs it. Throws what `locateLibrary` and `installLibrary` throw. */
export async function ensureLibrary(
  options: LocateOptions & Pick<InstallOptions, "onProgress" | "signal"> = {},
): Promise<TensorFlowLibrary> {
  return locateLibrary(options) ?? (await installLibrary(options));
}

/**
 * Installs the tested version, or the given wheel, unless it is there. Safe to call from several processes at once;
 * an interrupted call leaves nothing that counts as installed.
 * Throws PLATFORM_UNSUPPORTED, PIP_MISSING, DOWNLOAD_FAILED, WHEEL_INVALID, WHEEL_CHECKSUM, DISK_FULL,
 * CACHE_NOT_WRITABLE, or the signal's reason.
 */
export async function installLibrary(options: InstallOptions = {}): Promise<TensorFlowLibrary> {
  const { gpu = false, onProgress, signal } = options;
  const platform = platformToInstall(gpu, options.wheel !== undefined);
  const given = options.wheel === undefined ? undefined : await openTensorFlow(path.resolve(options.wheel), gpu);
  try {
    const target = installedDirectory(given?.version ?? TENSORFLOW_VERSION, gpu);
    const item = path.basename(target);
    const installed = (): TensorFlowLibrary | undefined => readInstalled(target, gpu);
    const staging = await claimStaging(path.dirname(target), item, {
      done: () => installed() !== undefined,
      onWait: () => onProgress?.({ stage: "wait", item, bytes: 0, total: undefined }),
      signal,
    });
    if (!staging) return installed()!;
    try {
      const files = path.join(staging.directory, "files");
      const job = new Installation(staging.directory, files, platform, options);
      await job.run(given);
      await staging.publish(files, target);
      return installed()!;
    } finally {
      await staging.release();
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw explainDisk(error);
  } finally {
    given?.close();
  }
}

/** The name of this platform, where something can be installed on it. Throws PLATFORM_UNSUPPORTED. */
function platformToInstall(gpu: boolean, wheelGiven: boolean): string {
  const platform = thisPlatform();
  const musl = process.platform === "linux" && !usesGlibc();
  const known = wheelSource(platform, gpu) !== undefined || (wheelGiven && !gpu);
  if (musl || !known) {
    throw errors.platformUnsupported(musl ? `${platform} with musl` : platform, gpu, supportedPlatforms(gpu));
  }
  return platform;
}

/** Alpine and others use musl, for which there are no TensorFlow wheels. */
function usesGlibc(): boolean {
  process.report.excludeNetwork = true; // looking up the machine's addresses takes seconds
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime !== undefined;
}

/** Opens a wheel and makes sure that it is a TensorFlow that this platform can load. Throws WHEEL_INVALID. */
async function openTensorFlow(file: string, gpu: boolean): Promise<Wheel> {
  const wheel = await openWheel(file);
  const platform = thisPlatform();
  const problem =
    wheel.project !== "tensorflow" && wheel.project !== "tensorflow-cpu"
      ? `is a wheel of "${wheel.project}", not of TensorFlow`
      : !wheel.tags.some((tag) => acceptsTag(platform, tag))
        ? `is built for ${wheel.tags.join(", ")}, not for ${platform}`
        : gpu && wheel.project === "tensorflow-cpu"
          ? "is the CPU's build: a GPU needs the `tensorflow` wheel"
          : wheel.entries.filter((entry) => wantsFile(entry.path, false)).length < 2
            ? "does not contain libtensorflow_cc and libtensorflow_framework"
            : undefined;
  if (problem === undefined) return wheel;
  wheel.close();
  throw errors.wheelInvalid(file, problem);
}

/** One installation at work in its staging folder. */
class Installation {
  readonly #staging: string;
  readonly #files: string;
  readonly #platform: string;
  readonly #options: InstallOptions;
  readonly #sizes: Record<string, number> = {};

  constructor(staging: string, files: string, platform: string, options: InstallOptions) {
    this.#staging = staging;
    this.#files = files;
    this.#platform = platform;
    this.#options = options;
  }

  /** Fills the folder `files`, its record last. */
  async run(given: Wheel | undefined): Promise<void> {
    const gpu = this.#options.gpu ?? false;
    const source = wheelSource(this.#platform, gpu);
    if (source && !given) await requireSpace(this.#staging, source.downloadBytes + source.keptBytes);
    const wheel = given ?? (await this.#download([`${source!.project}==${TENSORFLOW_VERSION}`]))[0]!;
    const { sha256, verified } = await this.#verify(wheel.file);
    await this.#unpack(given ? [given] : [await openTensorFlow(wheel.file, gpu)]);
    if (gpu) await this.#addCuda(wheel);
    const record: InstallRecord = {
      version: wheel.version,
      wheel: path.basename(wheel.file),
      sha256,
      verified,
      files: this.#sizes,
    };
    await writeFile(path.join(this.#files, RECORD_FILE), `${JSON.stringify(record, null, 2)}\n`);
  }
}

