/** Files that are replaced as a whole: a reader, or a crash, meets the old content or the new, never a part. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";

/** Writes and renames; the content is on the disk when this returns. */
export function writeFileAtomic(path: string, content: string): void {
  const part = `${path}.${process.pid}.part`;
  try {
    const file = openSync(part, "w");
    try {
      const data = Buffer.from(content);
      for (let at = 0; at < data.length;) at += writeSync(file, data, at);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(part, path);
  } catch (error) {
    rmSync(part, { force: true });
    throw error;
  }
}

export function writeJsonAtomic(path: string, value: unknown): void {
  writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`);
}
