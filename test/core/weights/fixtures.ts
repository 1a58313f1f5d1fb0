/** The files of test/fixtures/weights, and what timm computes from them. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = new URL("../../fixtures/weights/", import.meta.url);

export const fixturePath = (name: string): string => fileURLToPath(new URL(name, folder));

export interface GoldenFeatures {
  readonly size: number;
  /** [2, D] */
  readonly cls: readonly number[];
  /** [2, N, D] */
  readonly patches: readonly number[];
}

interface Golden {
  readonly features: Readonly<Record<string, GoldenFeatures>>;
  readonly positions: readonly {
    readonly from: number;
    readonly to: number;
    readonly positions: readonly number[];
    readonly resized: readonly number[];
  }[];
  readonly tensors: Readonly<
    Record<string, { readonly shape: readonly number[]; readonly values: readonly string[] }>
  >;
}

export const golden = JSON.parse(readFileSync(fixturePath("golden.json"), "utf8")) as Golden;

/** What timm was given: two images of (7919 i) mod 251. */
export function goldenImages(size: number) {
  const pixels = Uint8Array.from({ length: 2 * size * size * 3 }, (_, i) => (7919 * i) % 251);
  return { pixels, count: 2, size, channels: 3 };
}
