/** The pages of the documentation, and the code in them. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** Paths from the root of all pages that a reader of the repository has. */
export const pages: readonly string[] = [
  "README.md",
  "CONTRIBUTING.md",
  "benchmarks/README.md",
  ...readdirSync(`${root}docs`).flatMap((file) => (file.endsWith(".md") ? [`docs/${file}`] : [])),
  ...readdirSync(`${root}plugins`).map((plugin) => `plugins/${plugin}/README.md`),
];

export const textOf = (page: string): string => readFileSync(root + page, "utf8");

/** A fenced block of code. */
export interface Block {
  readonly page: string;
  /** Of its first line of code, from 1. */
  readonly line: number;
  readonly language: string;
  /** The file that it is, where the fence says `file=…`. */
  readonly file: string | undefined;
  readonly code: string;
}

export function blocksOf(page: string): Block[] {
  const text = textOf(page);
  return Array.from(text.matchAll(/^```(\w+)(?: file=(\S+))?\n([^]*?)^```$/gm), (match) => {
    const [, language = "", file, code = ""] = match;
    return { page, line: text.slice(0, match.index).split("\n").length + 1, language, file, code };
  });
}

/** The block that is this file. */
export function fileOf(page: string, file: string): string {
  const block = blocksOf(page).find((one) => one.file === file);
  if (!block) throw new Error(`${page} has no block of ${file}`);
  return block.code;
}
