/** The files that a dataset in shards is made of: of a folder, a pattern, or a list of both. */
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { errors } from "../errors.ts";

/** Of errors about a shard that cannot be read, and one that is damaged. */
export const READ_FIX = "check the path and the disk, and that this user may read it";
export const COPY_FIX = "copy or make it again, or leave it out of data.path";

export interface Shard {
  /** Relative to the folder that all shards lie in, with "/". */
  readonly name: string;
  readonly path: string;
}

export interface Shards {
  /** Of the folder that all lie in, or of the only shard. */
  readonly name: string;
  readonly shards: readonly Shard[];
}

/**
 * A folder stands for the files below it with this ending, in order of their paths. A pattern may have
 * `{000..009}` and `{a,b}` anywhere, `*` and `?` in the file's name; what is there under that very name comes first.
 *
 * @param extension such as ".tar"
 * @throws DATASET_SHARDS_MISSING where a path, or a pattern, gives none; DATASET_UNREADABLE; CONFIG_INVALID for a
 *   pattern that stands for too many
 */
export async function findShards(paths: string | readonly string[], extension: string): Promise<Shards> {
  const found = new Set<string>();
  for (const path of typeof paths === "string" ? [paths] : paths) {
    for (const file of await filesOf(resolve(path), extension)) found.add(file);
  }
  const files = [...found];
  if (files.length === 0) throw errors.datasetShardsMissing(String(paths), extension);
  const folder = commonFolder(files);
  return {
    name: basename(files.length === 1 ? files[0]! : folder),
    shards: files.map((path) => ({ name: relative(folder, path).split(sep).join("/"), path })),
  };
}

async function filesOf(path: string, extension: string): Promise<string[]> {
  const itself = await kindOf(path);
  if (itself === "folder") return filesBelow(path, extension);
  if (itself === "file") return [path];
  const files: string[] = [];
  for (const one of expandBraces(path)) files.push(...(await matching(one, extension)));
  return files;
}

/** Files of a path whose name may have * and ?, sorted. */
async function matching(path: string, extension: string): Promise<string[]> {
  const pattern = basename(path);
  if (!/[*?]/.test(pattern)) {
    if ((await kindOf(path)) === "file") return [path];
    throw errors.datasetShardsMissing(path, extension);
  }
  const expression = new RegExp(
    `^${pattern.replace(/[^*?]/gu, escaped).replace(/\*+/g, "[^]*").replace(/\?/g, "[^]")}$`,
    "u",
  );
  const names = await readdir(dirname(path)).catch(() => []);
  const files = names
    .filter((name) => expression.test(name) && !name.startsWith("."))
    .sort()
    .map((name) => join(dirname(path), name));
  const kinds = await Promise.all(files.map(kindOf));
  const matched = files.filter((_, i) => kinds[i] === "file");
  if (matched.length === 0) throw errors.datasetShardsMissing(path, extension);
  return matched;
}

async function filesBelow(folder: string, extension: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true }).catch((cause: unknown) => {
    throw errors.datasetUnreadable(folder).because(cause);
  });
  const hidden = (path: string) => path.split(sep).some((part) => part.startsWith("."));
  const files = entries.filter((path) => path.toLowerCase().endsWith(extension) && !hidden(path));
  if (files.length === 0) throw errors.datasetShardsMissing(folder, extension);
  return files.sort().map((path) => join(folder, path));
}

async function kindOf(path: string): Promise<"file" | "folder" | undefined> {
  // A name that no file can have, as a pattern may be, is one that is not there.
  const info = await stat(path).catch(() => undefined);
  if (info?.isDirectory()) return "folder";
  return info?.isFile() ? "file" : undefined;
}

/** Most files that braces may stand for. */
const MOST = 100_000;

/** `a{1..2}{b,c}` to a1b, a1c, a2b, a2c. Braces without ".." or "," are left as they are. */
export function expandBraces(pattern: string): string[] {
  let expanded = [""];
  const braces = /\{(?:(\d{1,9})\.\.(\d{1,9})|([^{},]*(?:,[^{},]*)+))\}/g;
  let end = 0;
  for (const match of pattern.matchAll(braces)) {
    const [whole, from, to, list] = match;
    const choices = list === undefined ? numbers(pattern, from!, to!) : list.split(",");
    if (expanded.length * choices.length > MOST) throw tooMany(pattern);
    const before = pattern.slice(end, match.index);
    expanded = expanded.flatMap((start) => choices.map((choice) => start + before + choice));
    end = match.index + whole.length;
  }
  return expanded.map((start) => start + pattern.slice(end));
}

/** As wide as the wider end, filled with zeros where one of them is. */
function numbers(pattern: string, from: string, to: string): string[] {
  const [first, last] = [Number(from), Number(to)];
  if (last - first >= MOST) throw tooMany(pattern);
  const filled = [from, to].some((end) => end.length > 1 && end.startsWith("0"));
  const width = filled ? Math.max(from.length, to.length) : 0;
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) =>
    String(first + i).padStart(width, "0"),
  );
}

const tooMany = (pattern: string) =>
  errors.configInvalid("data.path", `"${pattern}" stands for more than ${MOST} files`);

const escaped = (character: string) => character.replace(/[\\^$.|+()[\]{}/]/, "\\$&");

/** The deepest folder that has all of the files below it. */
function commonFolder(files: readonly string[]): string {
  let folder = dirname(files[0]!);
  while (files.some((file) => !file.startsWith(folder.endsWith(sep) ? folder : folder + sep)))
    folder = dirname(folder);
  return folder;
}
