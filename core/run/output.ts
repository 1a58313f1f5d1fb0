/** Files and folders that a command leaves where its user asks: whole or not at all, and never over something. */
import { lstat, mkdir, readdir, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { errors } from "../errors.ts";

/**
 * Lets `make` write under other names (PATH.PID.part), and renames in the order of `paths` when all is there; after an
 * error or an interruption nothing is left.
 *
 * @param paths files or folders; the last one is what a reader looks for
 * @throws OUTPUT_EXISTS, OUTPUT_WRITE, and what `make` throws
 */
export async function makeOutputs<T>(
  paths: readonly string[],
  make: (parts: readonly string[]) => Promise<T>,
): Promise<T> {
  await requireFree(paths);
  const parts = paths.map((path) => `${path}.${process.pid}.part`);
  const shown: string[] = [];
  try {
    for (const path of paths) await mkdir(dirname(path), { recursive: true });
    const made = await make(parts);
    for (const [i, path] of paths.entries()) {
      await rename(parts[i]!, path);
      shown.push(path);
    }
    return made;
  } catch (error) {
    // What is half written would take up the space that is missing.
    await Promise.allSettled([...parts, ...shown].map((path) => rm(path, { recursive: true, force: true })));
    throw explained(paths.at(-1)!, error);
  }
}

/** @throws OUTPUT_EXISTS */
export async function requireFree(paths: readonly string[]): Promise<void> {
  for (const path of paths) if (await isTaken(path)) throw errors.outputExists(path);
}

/** An empty folder may be filled. */
async function isTaken(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined);
  return found !== undefined && !(found.isDirectory() && (await readdir(path)).length === 0);
}

const OF_THE_DISK = [
  "ENOSPC",
  "EDQUOT",
  "EACCES",
  "EPERM",
  "EROFS",
  "ENOTDIR",
  "EEXIST",
  "EISDIR",
  "ENOTEMPTY",
  "EIO",
];

function explained(path: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  return code !== undefined && OF_THE_DISK.includes(code)
    ? errors.outputWrite(path, error).because(error)
    : error;
}
