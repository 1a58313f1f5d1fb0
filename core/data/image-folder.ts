/** A folder of images, with class folders or without. */
import type { Dirent } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { basename, extname, join, resolve } from "node:path";
import { errors } from "../errors.ts";
import { checkLimit, evenlySpaced, listDataset, type Dataset } from "./dataset.ts";

/** File name endings that count as images, in lower case. */
export const IMAGE_EXTENSIONS: readonly string[] = [
  ".jpg",
  ".jpeg",
  ".jpe",
  ".jfif",
  ".png",
  ".webp",
  ".avif",
  ".gif",
  ".tif",
  ".tiff",
];

/**
 * Opens a folder and everything below it, sorted by path. Hidden files and folders are left out, links are
 * followed. Only names are read, so a corrupt image shows when it is decoded.
 *
 * Labels: where no image lies at the top and at least two top-level sub-folders have images, each such
 * sub-folder is a class.
 *
 * @param options.limit use at most this many images, evenly spaced over the sorted list.
 * @throws DATASET_MISSING, DATASET_NOT_FOLDER, DATASET_UNREADABLE, DATASET_EMPTY, DATASET_LIMIT.
 */
export async function openImageFolder(path: string, { limit }: { limit?: number } = {}): Promise<Dataset> {
  checkLimit(limit);
  const root = resolve(path);
  const info = await stat(root).catch((cause: unknown) => {
    throw errors.datasetMissing(root).because(cause);
  });
  if (!info.isDirectory()) throw errors.datasetNotFolder(root);

  const found: string[] = [];
  await collect(root, "", new Set([await realpath(root)]), found);
  if (found.length === 0) throw errors.datasetEmpty(root, IMAGE_EXTENSIONS);
  // Code units, not the machine's language: the order is part of what a seed means.
  found.sort();

  const ids = evenlySpaced(found, limit ?? found.length);
  return listDataset({
    name: basename(root),
    ids,
    pathOf: (id) => join(root, id),
    ...classFolders(found, ids),
  });
}

/** Appends the images below root/folder, as paths relative to the root with "/". */
async function collect(
  root: string,
  folder: string,
  above: ReadonlySet<string>,
  found: string[],
): Promise<void> {
  const absolute = join(root, folder);
  const entries = await readdir(absolute, { withFileTypes: true }).catch((cause: unknown) => {
    throw errors.datasetUnreadable(absolute).because(cause);
  });
  for (const entry of entries) {
    if (entry.name.startsWith(".")) continue;
    const relative = folder === "" ? entry.name : `${folder}/${entry.name}`;
    const kind = await kindOf(entry, join(root, relative));
    if (kind === "folder") {
      const real = await realpath(join(root, relative));
      // A link to a folder that we are in would never end.
      if (!above.has(real)) await collect(root, relative, new Set([...above, real]), found);
    } else if (kind === "file" && IMAGE_EXTENSIONS.includes(extname(entry.name).toLowerCase())) {
      found.push(relative);
    }
  }
}

async function kindOf(entry: Dirent, path: string): Promise<"file" | "folder" | "other"> {
  // A broken link is left out, like any other file that is no image.
  const info = entry.isSymbolicLink() ? await stat(path).catch(() => undefined) : entry;
  if (info?.isDirectory()) return "folder";
  return info?.isFile() ? "file" : "other";
}

function classFolders(
  found: readonly string[],
  ids: readonly string[],
): { classNames?: string[]; labels?: Int32Array } {
  if (found.some((id) => !id.includes("/"))) return {};
  const top = (id: string) => id.slice(0, id.indexOf("/"));
  // All images count, so that a limit does not renumber the classes.
  const classNames = [...new Set(found.map(top))].sort();
  if (classNames.length < 2) return {};
  const byName = new Map(classNames.map((name, label) => [name, label]));
  return { classNames, labels: Int32Array.from(ids, (id) => byName.get(top(id))!) };
}
