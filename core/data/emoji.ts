/**
 * The built-in dataset `emoji`: two drawings, Google's and Twitter's, of each of 1,911 emoji, 64 x 64 pixels, from the
 * npm packages emoji-datasource-google and emoji-datasource-twitter. The drawings are transparent; they are
 * trained on and compared on white unless another background is asked for.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { errors } from "../errors.ts";
import { checkLimit, evenlySpaced, listDataset, type Dataset } from "./dataset.ts";

export interface EmojiDataset extends Dataset {
  /** [emoji] item index of Google's drawing. */
  readonly google: readonly number[];
  /** [emoji] item index of Twitter's drawing of the same emoji. */
  readonly twitter: readonly number[];
  /** The emoji's categories; an item's label is its emoji's category. */
  readonly classNames: readonly string[];
}

/** Whether a dataset is the built-in one, in its two drawings. */
export function isEmoji(dataset: Dataset): dataset is EmojiDataset {
  return "twitter" in dataset && "google" in dataset;
}

/** The part of emoji.json that is read. */
interface EmojiEntry {
  readonly image: string;
  readonly category: string;
  readonly has_img_google: boolean;
  readonly has_img_twitter: boolean;
}

const VENDORS = ["google", "twitter"] as const;
const packageOf = (vendor: string) => `emoji-datasource-${vendor}`;

/**
 * @param options.limit use at most this many images (half as many emoji), evenly spaced.
 * @param options.from folders that the packages are looked for from; relata's own and the working folder unless
 *   given.
 * @throws EMOJI_MISSING where a package is not installed, DATASET_LIMIT for a limit under 2.
 */
export async function openEmoji({
  limit,
  from,
}: { limit?: number; from?: readonly string[] } = {}): Promise<EmojiDataset> {
  checkLimit(limit, 2);
  const folders = packageFolders(from?.map(folderUrl) ?? [import.meta.url, folderUrl(process.cwd())]);
  const entries = JSON.parse(await readFile(join(folders.google, "emoji.json"), "utf8")) as EmojiEntry[];
  const both = entries
    .filter((entry) => entry.has_img_google && entry.has_img_twitter)
    .sort((a, b) => (a.image < b.image ? -1 : 1));
  const classNames = [...new Set(both.map((entry) => entry.category))].sort();

  const used = evenlySpaced(both, Math.floor((limit ?? Infinity) / 2));
  const ids = VENDORS.flatMap((vendor) => used.map((entry) => `${vendor}/${entry.image}`));
  const labels = used.map((entry) => classNames.indexOf(entry.category));
  const dataset = listDataset({
    name: "emoji",
    ids,
    pathOf: (id) => {
      const [vendor, image] = id.split("/") as [(typeof VENDORS)[number], string];
      return join(folders[vendor], "img", vendor, "64", image);
    },
    classNames,
    labels: Int32Array.from([...labels, ...labels]),
  });
  return {
    ...dataset,
    classNames,
    google: used.map((_, i) => i),
    twitter: used.map((_, i) => used.length + i),
  };
}

const folderUrl = (folder: string) => pathToFileURL(join(folder, "package.json")).href;

function packageFolders(from: readonly string[]): Record<(typeof VENDORS)[number], string> {
  const folderOf = (vendor: string) => {
    for (const base of from) {
      try {
        return dirname(createRequire(base).resolve(`${packageOf(vendor)}/package.json`));
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND") throw cause;
      }
    }
    return undefined;
  };
  const google = folderOf("google");
  const twitter = folderOf("twitter");
  if (google === undefined || twitter === undefined) throw errors.emojiMissing(VENDORS.map(packageOf));
  return { google, twitter };
}
