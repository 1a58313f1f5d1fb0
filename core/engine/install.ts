/** Installs libtensorflow into the per-user cache: downloads a wheel and keeps the libraries in it. */
import path from "node:path";
import { errors } from "../errors.ts";
import { fillFolder, type InstallProgress } from "./install/fill.ts";
import { claimStaging } from "./install/staging.ts";
import { openTensorFlow } from "./install/wheel-files.ts";
import { supportedPlatforms, TENSORFLOW_VERSION, thisPlatform, wheelSource } from "./install/wheels.ts";
import {
  cacheDirectory,
  installedDirectory,
  locateLibrary,
  readInstalled,
  type LocateOptions,
  type TensorFlowLibrary,
} from "./library.ts";

export type { InstallProgress };

export interface InstallOptions {
  /** The GPU build, with CUDA's libraries. Linux x64 only. */
  readonly gpu?: boolean;
  /** A TensorFlow wheel to unpack instead of downloading one; nvidia-* wheels beside it are used as well. */
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
 * Installs the tested version, or the given wheel, unless it is there. Safe to call from several processes at
 * once; an interrupted call leaves nothing that counts as installed. The result's `verified` is false for a
 * wheel whose checksum is not among the published ones that relata knows (another version).
 * Throws PLATFORM_UNSUPPORTED, PIP_MISSING, DOWNLOAD_FAILED, WHEEL_INVALID, WHEEL_CHECKSUM, DISK_FULL,
 * CACHE_NOT_WRITABLE, or the signal's reason.
 */
export async function installLibrary(options: InstallOptions = {}): Promise<TensorFlowLibrary> {
  const { gpu = false, onProgress, signal } = options;
  const source = sourceForThisPlatform(gpu, options.wheel !== undefined);
  const given =
    options.wheel === undefined ? undefined : await openTensorFlow(path.resolve(options.wheel), gpu);
  const target = installedDirectory(given?.version ?? TENSORFLOW_VERSION, gpu);
  const item = path.basename(target);
  try {
    const staging = await claimStaging(path.dirname(target), item, {
      done: () => readInstalled(target, gpu) !== undefined,
      onWait: () => onProgress?.({ stage: "wait", item, bytes: 0, total: undefined }),
      signal,
    });
    if (!staging) return readInstalled(target, gpu)!;
    try {
      const files = path.join(staging.directory, "files");
      await fillFolder(files, { staging: staging.directory, gpu, source, given, onProgress, signal });
      await staging.publish(files, target);
    } finally {
      await staging.release();
    }
    return readInstalled(target, gpu)!;
  } catch (error) {
    signal?.throwIfAborted();
    // Another process may have taken over while this one was suspended.
    const library = readInstalled(target, gpu);
    if (library) return library;
    throw explained(error);
  } finally {
    given?.close();
  }
}

/** Throws PLATFORM_UNSUPPORTED where nothing can be downloaded and no wheel is given either. */
function sourceForThisPlatform(gpu: boolean, wheelGiven: boolean): ReturnType<typeof wheelSource> {
  const platform = thisPlatform();
  const source = wheelSource(platform, gpu);
  const musl = process.platform === "linux" && !usesGlibc();
  if (musl || (!source && (gpu || !wheelGiven))) {
    throw errors.platformUnsupported(musl ? `${platform} with musl` : platform, gpu, supportedPlatforms(gpu));
  }
  return source;
}

/** Alpine and others have musl instead, for which there are no TensorFlow wheels. */
function usesGlibc(): boolean {
  Object.assign(process.report, { excludeNetwork: true }); // looking up addresses can take seconds
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime !== undefined;
}

/** Turns the file system's errors into coded ones. */
function explained(error: unknown): unknown {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  if (code === "ENOSPC" || code === "EDQUOT") return errors.diskFull(cacheDirectory()).because(error);
  if (code && ["EACCES", "EPERM", "EROFS", "ENOTDIR", "EEXIST"].includes(code)) {
    return errors.cacheNotWritable(cacheDirectory(), error).because(error);
  }
  return error;
}
