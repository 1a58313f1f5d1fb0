/**
 * The CHECKPOINTS service. A checkpoint is two files in one folder: `step-N.safetensors` with every variable and
 * `step-N.json` with the rest and the tensors' checksum. The JSON is renamed into place last: a checkpoint
 * exists when it does. `best.json` names the one that did best, where the run looks for it.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { errors, RelataError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { readSafetensors, writeSafetensors, type NamedTensor } from "./safetensors.ts";

/** What a run was told, as JSON with every default. */
export interface RunSettings {
  /** All of the config but its plugins. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Options by the plugin's name. */
  readonly plugins: Readonly<Record<string, unknown>>;
}

/** What a checkpoint says besides its tensors. */
export interface CheckpointInfo {
  /** Updates done. */
  readonly step: number;
  readonly epoch: number;
  /** A resumed run is held to them. */
  readonly settings: RunSettings;
  /** Of the dataset's item list. */
  readonly dataset: string;
  /** Figures that a resumed run cannot compute again, such as the untrained backbone's. */
  readonly notes: Readonly<Record<string, unknown>>;
}

/** The whole state of a run. */
export interface Checkpoint extends CheckpointInfo {
  readonly tensors: readonly NamedTensor[];
}

/** The checkpoint with the highest value of a figure so far. */
export interface BestCheckpoint {
  readonly step: number;
  /** Name in the log, such as "knn/top1". */
  readonly figure: string;
  readonly value: number;
}

/** What CHECKPOINTS is bound to. */
export interface CheckpointStore {
  /** Gives the path of what was saved. Throws CHECKPOINT_WRITE; what was there before stays. */
  save(checkpoint: Checkpoint): Promise<string>;
  /** The newest whole checkpoint, of the step `upTo` at most (default: any); damaged ones are told, and passed over. */
  latest(onDamaged: (error: Error) => void, upTo?: number): Promise<Checkpoint | undefined>;
  /** The saved checkpoint that did best, by `markBest`. Throws CHECKPOINT_DAMAGED where that cannot be read. */
  best(): Promise<BestCheckpoint | undefined>;
  /** From now on the checkpoint of that step is the best, and stays. Throws CHECKPOINT_WRITE. */
  markBest(best: BestCheckpoint): Promise<void>;
}

/** Which checkpoints stay when newer ones are saved; the best one always does. */
export interface Retention {
  readonly keepLast: number;
  /** Those of whole multiples of this stay. */
  readonly keepEverySteps?: number;
}

const FORMAT = 2;
const BEST = "best.json";

interface Manifest extends CheckpointInfo {
  /** Of the tensors' file. */
  readonly sha256: string;
}

/** Of a checkpoint's files, without their endings. */
export const checkpointName = (step: number): string => `step-${String(step).padStart(8, "0")}`;

export class FolderCheckpoints implements CheckpointStore {
  private readonly folder: string;
  private readonly retention: Retention;

  constructor(folder: string, retention: Retention) {
    this.folder = folder;
    this.retention = retention;
  }

  async save({ tensors, ...info }: Checkpoint): Promise<string> {
    const name = checkpointName(info.step);
    const path = join(this.folder, `${name}.json`);
    await this.writing(path, async () => {
      const part = join(this.folder, `${name}.safetensors.part`);
      const sha256 = await writeSafetensors(part, tensors, { format: "relata" });
      await rename(part, join(this.folder, `${name}.safetensors`));
      await this.writeJson(path, { ...info, sha256 } satisfies Manifest);
    });
    // What cannot be removed now is removed after the next one.
    await this.removeOthers(info.step).catch(() => undefined);
    return path;
  }

  async latest(onDamaged: (error: Error) => void, upTo = Infinity): Promise<Checkpoint | undefined> {
    for (const step of (await this.steps()).filter((step) => step <= upTo).reverse()) {
      try {
        return await readCheckpoint(join(this.folder, `${checkpointName(step)}.json`));
      } catch (error) {
        if (!(error instanceof RelataError && error.code === "CHECKPOINT_DAMAGED")) throw error;
        onDamaged(error);
      }
    }
    return undefined;
  }

  async best(): Promise<BestCheckpoint | undefined> {
    const path = join(this.folder, BEST);
    if (!existsSync(path)) return undefined;
    const best = await readJson<BestCheckpoint>(path).catch((error: unknown) => {
      throw errors.checkpointDamaged(path, error).because(error);
    });
    return (await this.steps()).includes(best.step) ? best : undefined;
  }

  async markBest(best: BestCheckpoint): Promise<void> {
    const path = join(this.folder, BEST);
    await this.writing(path, () => this.writeJson(path, best));
  }

  /** Of the whole checkpoints, ascending. */
  async steps(): Promise<number[]> {
    const files = await readdir(this.folder).catch(() => [] as string[]);
    return files
      .flatMap((file) => /^step-(\d+)\.json$/.exec(file)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  }

  private async writing(path: string, write: () => Promise<void>): Promise<void> {
    try {
      await mkdir(this.folder, { recursive: true });
      await write();
    } catch (error) {
      // What is half written would take up the space that is missing.
      await this.removeParts().catch(() => undefined);
      throw errors.checkpointWrite(path, error).because(error);
    }
  }

  /** With its format and checksum, on the disk, and in its place, when it returns. */
  private async writeJson(path: string, given: object): Promise<void> {
    const value = { format: FORMAT, ...given };
    const file = await open(`${path}.part`, "w");
    try {
      await file.writeFile(JSON.stringify({ ...value, checksum: checksumOf(value) }, null, 2));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.part`, path);
    await syncFolder(this.folder);
  }

  /**
   * All but those that are kept, and what a crash left half written. Checkpoints of later steps are what training went
   * back from: they were damaged. Where it cannot be read which is the best, nothing is removed.
   */
  private async removeOthers(step: number): Promise<void> {
    const { keepLast, keepEverySteps } = this.retention;
    const isMultiple = (saved: number) => keepEverySteps !== undefined && saved % keepEverySteps === 0;
    const best = await this.best();
    const steps = (await this.steps()).filter((saved) => saved <= step);
    const last = steps.slice(-keepLast);
    const kept = steps
      .filter((saved) => last.includes(saved) || isMultiple(saved) || saved === best?.step)
      .map(checkpointName);
    const files = (await readdir(this.folder)).filter((file) => /^step-\d+\./.test(file));
    // A checkpoint without its JSON is none: it goes first.
    for (const file of files.sort()) {
      if (!kept.some((name) => file === `${name}.json` || file === `${name}.safetensors`))
        await rm(join(this.folder, file), { force: true });
    }
  }

  private async removeParts(): Promise<void> {
    for (const file of await readdir(this.folder))
      if (/^(step-\d+|best)\..*part$/.test(file)) await rm(join(this.folder, file), { force: true });
  }
}

const checksumOf = (value: object): string =>
  createHash("sha256").update(JSON.stringify(value)).digest("hex");

type Stored<T> = T & { readonly format: number; readonly checksum: string };

/** What `writeJson` was given. Throws where it is no longer that. */
async function readJson<T extends object>(path: string): Promise<T> {
  const { checksum, ...value } = JSON.parse(await readFile(path, "utf8")) as Stored<T>;
  const { format, ...given } = value;
  if (format !== FORMAT) throw new Error(`format ${format} is not known`);
  if (checksum !== checksumOf(value)) throw new Error("its own checksum does not match");
  return given as unknown as T;
}

/** A rename is on the disk when its folder is. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * The newest whole checkpoint; those that are passed over are told. Undefined where none was saved: what is damaged is
 * never taken for nothing.
 *
 * @param upTo later ones are left out
 * @throws CHECKPOINT_DAMAGED where none is whole, CHECKPOINT_READ
 */
export async function newestCheckpoint(
  store: CheckpointStore,
  { warn }: Pick<Logger, "warn">,
  upTo?: number,
): Promise<Checkpoint | undefined> {
  let damaged: Error | undefined;
  const checkpoint = await store.latest((error) => {
    damaged ??= error;
    warn(String(error));
  }, upTo);
  if (!checkpoint && damaged) throw damaged;
  return checkpoint;
}

/** Reads one checkpoint by its JSON file. Throws CHECKPOINT_DAMAGED, and CHECKPOINT_READ where it may be whole. */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  try {
    const { sha256, ...info } = await readJson<Manifest>(path);
    const file = await readSafetensors(path.replace(/\.json$/, ".safetensors"));
    if (file.sha256 !== sha256) throw new Error("the checksum does not match");
    return { ...info, tensors: [...file.tensors.values()] };
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (syscall !== undefined && code !== "ENOENT" && code !== "EISDIR")
      throw errors.checkpointRead(path, error).because(error);
    throw errors.checkpointDamaged(path, error).because(error);
  }
}

/** A variable as far as a checkpoint tells it. */
interface NamedShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A checkpoint beside the variables of a model. */
export interface Fit {
  /** Values by variable name, of those that are the same in both. */
  readonly values: ReadonlyMap<string, Float32Array>;
  /** Variables of the model that the checkpoint does not have. */
  readonly missing: readonly string[];
  /** Tensors of the checkpoint that the model does not have. */
  readonly unexpected: readonly string[];
  /** "name [saved shape] here [shape]" */
  readonly reshaped: readonly string[];
}

export function fitOf(checkpoint: Pick<Checkpoint, "tensors">, variables: readonly NamedShape[]): Fit {
  const saved = new Map(checkpoint.tensors.map((tensor) => [tensor.name, tensor]));
  const wanted = new Set(variables.map(({ name }) => name));
  const values = new Map<string, Float32Array>();
  const reshaped: string[] = [];
  for (const { name, shape } of variables) {
    const tensor = saved.get(name);
    if (tensor?.shape.join() === shape.join()) values.set(name, tensor.values);
    else if (tensor) reshaped.push(`${name} [${tensor.shape.join(", ")}] here [${shape.join(", ")}]`);
  }
  return {
    values,
    missing: variables.flatMap(({ name }) => (saved.has(name) ? [] : name)),
    unexpected: [...saved.keys()].filter((name) => !wanted.has(name)),
    reshaped,
  };
}

/** The values by variable name, if they are this model's. Throws CHECKPOINT_MISMATCH listing the differences. */
export function valuesFor(
  checkpoint: Pick<Checkpoint, "tensors">,
  variables: readonly NamedShape[],
): Fit["values"] {
  const { values, missing, unexpected, reshaped } = fitOf(checkpoint, variables);
  if (missing.length + unexpected.length + reshaped.length > 0)
    throw errors.checkpointMismatch(missing, unexpected, reshaped);
  return values;
}
