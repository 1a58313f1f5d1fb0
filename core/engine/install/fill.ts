/** Fills a folder with libtensorflow from wheels that are given or downloaded. */
import { mkdir, rm, stat, statfs, writeFile } from "node:fs/promises";
import path from "node:path";
import { errors } from "../../errors.ts";
import { RECORD_FILE, type InstallRecord } from "../library.ts";
import { downloadWheels, findPip } from "./pip.ts";
import { cudaRequirements, isKept, openTensorFlow, wheelsBeside } from "./wheel-files.ts";
import { fileChecksum, openWheel, type Wheel } from "./wheel.ts";
import { TENSORFLOW_VERSION, WHEEL_PYTHON, wheelChecksums, type WheelSource } from "./wheels.ts";

export interface InstallProgress {
  /** `wait`: another process is installing the same library. */
  readonly stage: "wait" | "download" | "verify" | "unpack";
  /** A file's name. */
  readonly item: string;
  /** Done so far, of this item and stage. */
  readonly bytes: number;
  /** Undefined where it cannot be known. */
  readonly total: number | undefined;
}

export interface FillOptions {
  /** Holds what is downloaded; removed by the caller. */
  readonly staging: string;
  readonly gpu: boolean;
  /** Undefined on a platform for which there is only a given wheel. */
  readonly source: WheelSource | undefined;
  readonly given: Wheel | undefined;
  readonly onProgress?: (progress: InstallProgress) => void;
  readonly signal?: AbortSignal;
}

/** Makes `folder`, its record last. Throws what `installLibrary` throws, and file system errors. */
export async function fillFolder(folder: string, options: FillOptions): Promise<void> {
  const { given, gpu, source, staging } = options;
  if (source && !given) await requireSpace(staging, source.spaceBytes);
  const file = given?.file ?? (await download([`${source!.project}==${TENSORFLOW_VERSION}`], options))[0]!;
  const { sha256, verified } = await verify(file, options);
  const wheel = given ?? (await openTensorFlow(file, gpu));
  const files: Record<string, number> = {};
  try {
    await unpack(wheel, folder, files, options);
  } finally {
    if (!given) wheel.close();
  }
  if (!given) await rm(file);
  if (gpu) await addCuda(wheel, folder, files, options);
  const record: InstallRecord = {
    version: wheel.version,
    wheel: path.basename(file),
    sha256,
    verified,
    files,
  };
  await writeFile(path.join(folder, RECORD_FILE), `${JSON.stringify(record, null, 2)}\n`);
}

/** Unpacks the nvidia-* wheels that the TensorFlow wheel asks for: those beside a given wheel, then pip's. */
async function addCuda(
  wheel: Wheel,
  folder: string,
  files: Record<string, number>,
  options: FillOptions,
): Promise<void> {
  const wanted = cudaRequirements(wheel);
  const beside = options.given ? await wheelsBeside(wheel.file, wanted.keys()) : new Map<string, string>();
  const missing = [...wanted]
    .filter(([project]) => !beside.has(project))
    .map(([, requirement]) => requirement);
  const downloaded = missing.length > 0 ? await download(missing, options) : [];
  for (const file of [...beside.values(), ...downloaded]) {
    const part = await openWheel(file);
    try {
      await unpack(part, folder, files, options);
    } finally {
      part.close();
    }
    if (downloaded.includes(file)) await rm(file);
  }
}

async function download(
  requirements: string[],
  { staging, source, onProgress, signal }: FillOptions,
): Promise<string[]> {
  const pip = await findPip();
  if (!pip) throw errors.pipMissing();
  const directory = path.join(staging, "wheels");
  const temporary = path.join(staging, "temporary");
  await mkdir(directory, { recursive: true });
  await mkdir(temporary, { recursive: true });
  return downloadWheels(pip, {
    requirements,
    tags: source!.tags,
    python: WHEEL_PYTHON,
    directory,
    temporary,
    onProgress: ({ file, bytes, total }) => onProgress?.({ stage: "download", item: file, bytes, total }),
    signal,
  });
}

/** Compares a wheel's checksum with the published one, where relata knows it. Throws WHEEL_CHECKSUM. */
async function verify(
  file: string,
  { onProgress, signal }: FillOptions,
): Promise<{ sha256: string; verified: boolean }> {
  const item = path.basename(file);
  const total = (await stat(file)).size;
  const onBytes = (bytes: number): void => onProgress?.({ stage: "verify", item, bytes, total });
  const sha256 = await fileChecksum(file, { onBytes, signal });
  const published = wheelChecksums[item];
  if (published !== undefined && published !== sha256) throw errors.wheelChecksum(file, published, sha256);
  return { sha256, verified: Object.values(wheelChecksums).includes(sha256) };
}

/** Unpacks what is kept of one wheel, under its own paths, and notes the sizes in `files`. */
async function unpack(
  wheel: Wheel,
  folder: string,
  files: Record<string, number>,
  { onProgress, signal }: FillOptions,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const kept = wheel.entries.filter((entry) => isKept(entry.path));
  await requireSpace(
    folder,
    kept.reduce((sum, entry) => sum + entry.bytes, 0),
  );
  for (const entry of kept) {
    const item = path.posix.basename(entry.path);
    await wheel.extract(entry, path.join(folder, entry.path), {
      onBytes: (bytes) => onProgress?.({ stage: "unpack", item, bytes, total: entry.bytes }),
      signal,
    });
    files[entry.path] = entry.bytes;
  }
}

/** Throws DISK_FULL. */
async function requireSpace(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize < bytes) throw errors.diskFull(folder, bytes, bavail * bsize);
}
