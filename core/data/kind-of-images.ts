/** What kind of images lie at a path. */
import { readdir } from "node:fs/promises";
import { extname, join } from "node:path";
import { IMAGE_EXTENSIONS } from "./image-folder.ts";

const IMAGE_SETS = ["image-folder", "webdataset", "parquet"] as const;

/** What `data.dataset` calls them. */
export type ImageSet = (typeof IMAGE_SETS)[number];

export function isImageSet(name: string): name is ImageSet {
  return (IMAGE_SETS as readonly string[]).includes(name);
}

/** By the ending of the first path; of a folder, by the files nearest to its top: images come first. */
export async function kindOfImages(paths: string | readonly string[]): Promise<ImageSet> {
  const [path = ""] = [paths].flat();
  const folders = [path];
  for (const folder of folders) {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    const kind = kindOfNames(entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name));
    if (kind) return kind;
    const below = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith("."));
    folders.push(...below.map(({ name }) => join(folder, name)).sort());
  }
  return kindOfNames([path]) ?? "image-folder";
}

function kindOfNames(names: readonly string[]): ImageSet | undefined {
  const extensions = new Set(names.map((name) => extname(name).toLowerCase()));
  if (IMAGE_EXTENSIONS.some((extension) => extensions.has(extension))) return "image-folder";
  if (extensions.has(".tar")) return "webdataset";
  return extensions.has(".parquet") ? "parquet" : undefined;
}
