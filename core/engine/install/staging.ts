/**
 * One folder in which an installation is prepared: it is also the lock between processes.
 *
 * `mkdir` is atomic, so one process owns `.partial-<name>`; the others wait. The owner touches the folder
 * while it works. A folder whose owner has died, or that was not touched for a minute, is taken over. The
 * finished files get their final name by one rename: a half-made folder never has it.
 */
import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isAlive } from "../../process-alive.ts";

const BEAT_MS = 5_000;
const STALE_MS = 60_000;
const POLL_MS = 250;

export interface Staging {
  /** Holds files on their way; everything in it goes away with `release`. */
  readonly directory: string;
  /** Gives `from` (a folder in `directory`) its final name, replacing what may be there. */
  publish(from: string, target: string): Promise<void>;
  release(): Promise<void>;
}

export interface ClaimOptions {
  /** Whether the installation exists by now: another process may have made it. */
  readonly done: () => boolean;
  readonly onWait?: () => void;
  readonly signal?: AbortSignal;
}

/** Waits until the staging folder of `name` is ours; undefined when the installation turned up meanwhile. */
export async function claimStaging(
  parent: string,
  name: string,
  { done, onWait, signal }: ClaimOptions,
): Promise<Staging | undefined> {
  await mkdir(parent, { recursive: true });
  const directory = path.join(parent, `.partial-${name}`);
  for (;;) {
    signal?.throwIfAborted();
    if (done()) return undefined;
    if (await tryMkdir(directory)) break;
    if (await isAbandoned(directory)) {
      await discard(directory);
    } else {
      onWait?.();
      await sleep(POLL_MS, undefined, { signal });
    }
  }
  const owner: Owner = { pid: process.pid, host: os.hostname(), token: randomUUID() };
  await writeFile(path.join(directory, OWNER), JSON.stringify(owner));
  const beat = setInterval(() => {
    utimes(directory, new Date(), new Date()).catch(() => clearInterval(beat));
  }, BEAT_MS).unref();
  const staging: Staging = {
    directory,
    async publish(from, target) {
      try {
        await rename(from, target);
      } catch (error) {
        if (!["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
        await discard(target);
        await rename(from, target);
      }
    },
    async release() {
      clearInterval(beat);
      if ((await readOwner(directory))?.token === owner.token) await discard(directory);
    },
  };
  if (!done()) return staging;
  await staging.release();
  return undefined;
}

const OWNER = "owner.json";

interface Owner {
  readonly pid: number;
  readonly host: string;
  readonly token: string;
}

async function tryMkdir(directory: string): Promise<boolean> {
  try {
    await mkdir(directory);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

async function readOwner(directory: string): Promise<Owner | undefined> {
  try {
    return JSON.parse(await readFile(path.join(directory, OWNER), "utf8")) as Owner;
  } catch {
    return undefined; // just made, or just removed
  }
}

async function isAbandoned(directory: string): Promise<boolean> {
  const owner = await readOwner(directory);
  if (owner?.host === os.hostname() && !isAlive(owner.pid)) return true;
  try {
    return Date.now() - (await stat(directory)).mtimeMs > STALE_MS;
  } catch {
    return false;
  }
}

/** Removes a folder; the rename first makes sure that two processes do not remove each other's. */
async function discard(directory: string): Promise<void> {
  const parent = path.dirname(directory);
  try {
    await rename(directory, path.join(parent, `${GONE}${randomUUID()}`));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const left = (await readdir(parent)).filter((name) => name.startsWith(GONE));
  await Promise.all(left.map((name) => rm(path.join(parent, name), { recursive: true, force: true })));
}

const GONE = ".gone-";
