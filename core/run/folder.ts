/**
 * The folder of a run: where its files are, and how they are written.
 *
 *   config.resolved.json     every option, defaults filled in       run.json      status, versions, device …
 *   metrics.jsonl            one line per step                      eval.json     the last evaluation
 *   events.out.tfevents.*    the same for TensorBoard               report.html   the page of the run
 *   checkpoints/                                                    replay/       batches that were not finite
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import type { EvalResult } from "../eval/card.ts";
import { errors } from "../errors.ts";
import { RUN_FILES, type RunRecord } from "../report/runs.ts";
import type { WeightsOrigin } from "../trainer/initial-weights.ts";
import { writeJsonAtomic } from "./atomic-file.ts";
import { isAlive } from "../process-alive.ts";

/** Where runs go unless a folder is named. */
export const RUNS_FOLDER = "runs";

const PROBE = ".probe";

/** Content of `run.json`. Lists of runs read the part that is `RunRecord`. */
export interface RunFile extends RunRecord {
  readonly finishedAt?: string;
  /** When it was gone on with. */
  readonly resumedAt?: readonly string[];
  /** Whether the working copy had changes that are not in the commit. */
  readonly dirty?: boolean;
  readonly precision: string;
  readonly engine: string;
  readonly images: number;
  /** Trained weights. */
  readonly parameters: number;
  /** The weights that it began with, unless they were random. */
  readonly init?: WeightsOrigin;
  /** What was typed. */
  readonly command: string;
  /** The config's folder, which its paths start from. */
  readonly baseDir: string;
  /** Who writes here, while the run goes on. */
  readonly process?: { readonly pid: number; readonly host: string };
  /** What was wrong though it went on, each once: also before it was gone on with. */
  readonly warnings?: readonly string[];
  /** Why it failed. */
  readonly error?: string;
}

export interface CreateRunOptions {
  /** The first part of the folder's name. */
  readonly name: string;
  /** The folder itself; it must be empty or not exist yet. */
  readonly out?: string;
  /** Where a folder is made unless `out` names one (default: "runs"). */
  readonly parent?: string;
  readonly now?: Date;
}

export class RunFolder {
  readonly path: string;
  readonly name: string;

  private constructor(path: string) {
    this.path = path;
    this.name = basename(path);
  }

  /**
   * Makes the folder `<parent>/<name>-<date>`, or `out`. Nothing is ever overwritten.
   *
   * @throws RUN_FOLDER_EXISTS for an `out` that holds something, RUN_FOLDER_NOT_WRITABLE, RUN_DISK_FULL.
   */
  static create({ name, out, parent = RUNS_FOLDER, now = new Date() }: CreateRunOptions): RunFolder {
    const wanted = resolve(out ?? join(parent, `${slug(name)}-${timestamp(now)}`));
    try {
      mkdirSync(dirname(wanted), { recursive: true });
      if (out !== undefined) {
        mkdirSync(wanted, { recursive: true });
        if (readdirSync(wanted).some(isContent)) throw errors.runFolderExists(wanted);
        return RunFolder.checked(wanted);
      }
      for (let copy = 1; ; copy++) {
        const path = copy === 1 ? wanted : `${wanted}-${copy}`;
        if (makeNew(path)) return RunFolder.checked(path);
      }
    } catch (error) {
      throw explained(wanted, error);
    }
  }

  /**
   * The folder of an existing run, by its path or by its name in "runs".
   *
   * @throws RUN_MISSING where it holds no resolved config, with the runs in it or beside it.
   */
  static open(path: string): RunFolder {
    const run = RunFolder.find(path);
    if (run) return run;
    const missing = resolve(path);
    const known = [missing, dirname(missing)].flatMap((parent) =>
      existsSync(parent) ? readdirSync(parent).filter((name) => isRun(join(parent, name))) : [],
    );
    throw errors.runMissing(missing, known.slice(-5));
  }

  /** The run in exactly this folder, if there is one. */
  static at(path: string): RunFolder | undefined {
    return isRun(path) ? new RunFolder(resolve(path)) : undefined;
  }

  /** As `open`; undefined where there is no run. */
  static find(path: string): RunFolder | undefined {
    const named = [path, join(RUNS_FOLDER, path)].find(isRun);
    return named === undefined ? undefined : new RunFolder(resolve(named));
  }

  /** The folder, after a file of it was written. */
  private static checked(path: string): RunFolder {
    const probe = join(path, PROBE);
    writeFileSync(probe, "relata", { flush: true });
    rmSync(probe);
    return new RunFolder(path);
  }

  get configFile(): string {
    return join(this.path, RUN_FILES.config);
  }
  get runFile(): string {
    return join(this.path, RUN_FILES.run);
  }
  get metricsFile(): string {
    return join(this.path, RUN_FILES.metrics);
  }
  get evaluationFile(): string {
    return join(this.path, RUN_FILES.evaluation);
  }
  get reportFile(): string {
    return join(this.path, "report.html");
  }
  /** Held by who writes to the run. */
  get lockFile(): string {
    return join(this.path, "lock");
  }
  get checkpoints(): string {
    return join(this.path, "checkpoints");
  }

  /** @throws RUN_DISK_FULL when the disk has less left. */
  requireSpace(bytes: number): void {
    const { bavail, bsize } = statfsSync(this.path);
    if (bavail * bsize < bytes) throw errors.runDiskFull(this.path, bytes, bavail * bsize);
  }

  /** @throws RUN_FILE_DAMAGED */
  readConfig(): unknown {
    return readJson(this.configFile);
  }

  /** Undefined where it was never written. Throws RUN_FILE_DAMAGED. */
  readRun(): RunFile | undefined {
    return existsSync(this.runFile) ? (readJson(this.runFile) as RunFile) : undefined;
  }

  /** Undefined where there was none. Throws RUN_FILE_DAMAGED. */
  readEvaluation(): EvalResult[] | undefined {
    return existsSync(this.evaluationFile) ? (readJson(this.evaluationFile) as EvalResult[]) : undefined;
  }

  writeConfig(config: unknown): void {
    this.write(this.configFile, config);
  }
  writeRun(run: RunFile): void {
    this.write(this.runFile, run);
  }
  writeEvaluation(results: readonly EvalResult[]): void {
    this.write(this.evaluationFile, results);
  }

  /** The process that the run, by its status, is going on in; undefined for a run that has ended. */
  get writer(): "alive" | "dead" | "on another machine" | undefined {
    const run = this.readRun();
    if (run?.status !== "running" || !run.process) return undefined;
    if (run.process.host !== hostname()) return "on another machine";
    return isAlive(run.process.pid) ? "alive" : "dead";
  }

  /** Removes the folder and all that is in it. */
  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  /**
   * RUN_DISK_FULL or RUN_FOLDER_NOT_WRITABLE in place of the file system's error about this folder; other errors, such as
   * those about images, as they are.
   */
  explain(error: unknown): unknown {
    const { path } = error as NodeJS.ErrnoException;
    const isElsewhere = path !== undefined && !resolve(path).startsWith(this.path);
    return isElsewhere ? error : explained(this.path, error);
  }

  private write(file: string, value: unknown): void {
    try {
      writeJsonAtomic(file, value);
    } catch (error) {
      throw this.explain(error);
    }
  }
}

/** False where there is something already: two runs that start together get two folders. */
function makeNew(path: string): boolean {
  try {
    mkdirSync(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** What a run leaves that is killed before it has a config is nothing. */
function isContent(name: string): boolean {
  return name !== "lock" && name !== PROBE && !name.endsWith(".part");
}

/** Every run begins with its config; no other folder has a file of that name. */
function isRun(folder: string): boolean {
  return existsSync(join(folder, RUN_FILES.config));
}

/** "SERE (small)" -> "sere-small" */
function slug(name: string): string {
  const words = name.toLowerCase().match(/[a-z0-9]+/g);
  return words?.join("-") ?? "run";
}

/** Local time: 2026-01-31-090501 */
function timestamp(date: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  return `${day}-${two(date.getHours())}${two(date.getMinutes())}${two(date.getSeconds())}`;
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw errors.runFileDamaged(file, error).because(error);
  }
}

/** Turns the file system's errors into coded ones. */
function explained(folder: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code !== undefined && ["ENOSPC", "EDQUOT", "EFBIG"].includes(code))
    return errors.runDiskFull(folder).because(error);
  if (code !== undefined && ["EACCES", "EPERM", "EROFS", "ENOTDIR", "EEXIST", "EISDIR"].includes(code)) {
    return errors.runFolderNotWritable(folder, error).because(error);
  }
  return error;
}
