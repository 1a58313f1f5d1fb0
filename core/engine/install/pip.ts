/** Finds pip (or uv's) and downloads wheels with it, for any platform and Python, into a folder. */
import { execFile, spawn } from "node:child_process";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { errors } from "../../errors.ts";

export interface Pip {
  readonly command: readonly [string, ...string[]];
  /** "pip 26.3 (python3 -m pip)". */
  readonly label: string;
  /** Whether `--progress-bar raw` exists (pip 24.1). */
  readonly rawProgress: boolean;
}

export interface DownloadProgress {
  /** The wheel's file name. */
  readonly file: string;
  readonly bytes: number;
  readonly total: number | undefined;
}

export interface DownloadOptions {
  /** "tensorflow-cpu==2.21.0". Their dependencies are not downloaded. */
  readonly requirements: readonly string[];
  /** Platform tags to accept. */
  readonly tags: readonly string[];
  /** "3.11" */
  readonly python: string;
  /** Where the wheels go. It must exist. */
  readonly directory: string;
  /** Where pip keeps unfinished files. It must exist. */
  readonly temporary: string;
  readonly onProgress?: (progress: DownloadProgress) => void;
  readonly signal?: AbortSignal;
}

// major * 100 + minor
const MULTIPLE_PLATFORM_TAGS = 2003;
const RAW_PROGRESS = 2401;
const PROBE_MS = 20_000;
const WATCH_MS = 250;
const LAST_LINES = 8;

/** The first pip that works: of the active Python, on the path, or the one that uv runs on its own. */
export async function findPip(): Promise<Pip | undefined> {
  const pips = [["python3", "-m", "pip"], ["python", "-m", "pip"], ["pip3"], ["pip"]] as const;
  for (const command of pips) {
    const answer = await probe([...command, "--version"]);
    const version = /^pip (\d+)\.(\d+)\S*/.exec(answer);
    if (!version) continue;
    const release = Number(version[1]) * 100 + Number(version[2]);
    if (release < MULTIPLE_PLATFORM_TAGS) continue;
    return {
      command: [...command],
      label: `${version[0]} (${command.join(" ")})`,
      rawProgress: release >= RAW_PROGRESS,
    };
  }
  // uv has no download command; it runs the newest pip in an environment of its own.
  const uv = /^uv\w* \S+/.exec(await probe(["uvx", "--version"]));
  return uv ? { command: ["uvx", "pip"], label: `pip of ${uv[0]} (uvx pip)`, rawProgress: true } : undefined;
}

function probe([program, ...args]: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(program!, args, { timeout: PROBE_MS }, (error, stdout) => resolve(error ? "" : stdout.trim()));
  });
}

/**
 * Downloads wheels; pip checks them against the index's hashes. Returns their paths.
 * Throws DOWNLOAD_FAILED with pip's last lines, DISK_FULL, or the signal's reason.
 */
export async function downloadWheels(pip: Pip, options: DownloadOptions): Promise<string[]> {
  const { requirements, tags, python, directory, temporary, onProgress, signal } = options;
  const [program, ...first] = pip.command;
  const args = [
    ...first,
    ...["download", "--no-deps", "--only-binary=:all:", "--implementation", "cp", "--python-version", python],
    ...tags.flatMap((tag) => ["--platform", tag]),
    ...(pip.rawProgress ? ["--progress-bar", "raw"] : ["--progress-bar", "off"]),
    ...["--dest", directory],
    ...requirements,
  ];
  // pip writes to TMPDIR while it downloads: on the cache's disk, and gone with the folder.
  const env = { ...process.env, TMPDIR: temporary, PYTHONUNBUFFERED: "1", PIP_NO_INPUT: "1" };
  const child = spawn(program, args, {
    env: { ...env, PIP_DISABLE_PIP_VERSION_CHECK: "1" },
    stdio: ["ignore", "pipe", "pipe"],
    signal,
  });
  const told: string[] = [];
  const reader = new ProgressReader(onProgress);
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      if (!reader.read(line) && line.trim() !== "") told.push(line.trim());
    });
  }
  const watch = pip.rawProgress ? undefined : watchFiles([temporary, directory], reader);
  child.on("error", (error) => told.push(error.message));
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  clearInterval(watch);
  signal?.throwIfAborted();
  if (code !== 0) {
    if (told.some((line) => /No space left on device|Errno 28\b/.test(line)))
      throw errors.diskFull(directory);
    throw errors.downloadFailed(requirements.join(" "), pip.label, told.slice(-LAST_LINES).join("\n  "));
  }
  return (await readdir(directory))
    .filter((name) => name.endsWith(".whl"))
    .map((name) => path.join(directory, name));
}

const UNITS: Record<string, number> = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 };

/** Understands pip's "Downloading x.whl (273.8 MB)" and raw "Progress 1024 of 2048" lines. */
class ProgressReader {
  file = "";
  #total: number | undefined;
  readonly #onProgress: ((progress: DownloadProgress) => void) | undefined;

  constructor(onProgress: ((progress: DownloadProgress) => void) | undefined) {
    this.#onProgress = onProgress;
  }

  /** Whether the line was only about progress. */
  read(line: string): boolean {
    const raw = /^Progress (\d+) of (\d+)$/.exec(line);
    if (raw) this.tell(Number(raw[1]), Number(raw[2]) || undefined);
    const started = /^\s*(?:Downloading|Using cached) (\S+\.whl)(?: \(([\d.]+) ([kMG]?B)\))?$/.exec(line);
    if (started) {
      this.file = path.posix.basename(started[1]!);
      this.#total = started[2] ? Number(started[2]) * UNITS[started[3]!]! : undefined;
      this.tell(0);
    }
    return raw !== null;
  }

  tell(bytes: number, total = this.#total): void {
    if (this.file !== "") this.#onProgress?.({ file: this.file, bytes, total });
  }
}

/** For a pip that cannot report its progress: the size of the file it is writing. */
function watchFiles(folders: readonly string[], reader: ProgressReader): NodeJS.Timeout {
  let busy = false;
  const look = async (): Promise<void> => {
    const sizes = await Promise.all(folders.map((folder) => sizeOf(folder, reader.file)));
    const bytes = Math.max(...sizes);
    if (bytes > 0) reader.tell(bytes);
  };
  return setInterval(() => {
    if (busy || reader.file === "") return;
    busy = true;
    void look().finally(() => (busy = false));
  }, WATCH_MS).unref();
}

/** The size of the file called `name` anywhere under `folder`; 0 where there is none. */
async function sizeOf(folder: string, name: string): Promise<number> {
  try {
    const found = (await readdir(folder, { recursive: true })).find((entry) => path.basename(entry) === name);
    return found ? (await stat(path.join(folder, found))).size : 0;
  } catch {
    return 0; // pip moves files while we look
  }
}
