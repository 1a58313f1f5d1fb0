/** One run, one writer: a lock that the system takes back from a process that ends, however it ends. */
import koffi from "koffi";
import { closeSync, openSync } from "node:fs";
import { constants } from "node:os";
import { errors } from "../errors.ts";
import type { RunFolder } from "./folder.ts";

const LOCK_EXCLUSIVE = 2;
const LOCK_NOW_OR_NEVER = 4;

type Flock = (file: number, operation: number) => number;

/** flock(2): other processes are kept out, and so are other lockers of this one. Undefined where there is none. */
function systemLock(): Flock | undefined {
  try {
    const library = koffi.load(process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6");
    return library.func("int flock(int file, int operation)") as Flock;
  } catch {
    return undefined;
  }
}

/**
 * Locks a run folder; a file system without locks locks nothing.
 *
 * @returns what unlocks it
 * @throws RUN_BUSY while another run writes there, RUN_FOLDER_NOT_WRITABLE
 */
export function lockRun(folder: RunFolder): () => void {
  const file = opened(folder);
  const locked = systemLock()?.(file, LOCK_EXCLUSIVE | LOCK_NOW_OR_NEVER);
  if (locked === -1 && koffi.errno() === constants.errno.EWOULDBLOCK) {
    closeSync(file);
    throw errors.runBusy(folder.path, folder.readRun()?.process);
  }
  return () => closeSync(file);
}

function opened(folder: RunFolder): number {
  try {
    return openSync(folder.lockFile, "a");
  } catch (error) {
    throw folder.explain(error);
  }
}
