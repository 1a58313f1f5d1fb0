/** Masks over the patches of one view (iBOT, arXiv 2111.07832, section 3.3; blocks of BEiT, arXiv 2106.08254). */
import type { TokenGrid } from "../backbone.ts";
import type { SamplerContext } from "../contexts.ts";
import type { Random } from "../random.ts";

/** Which masks are drawn. */
export interface MaskSpec {
  /** Each view takes one of these ratios, each as likely. */
  readonly ratios: readonly { readonly ratio: number; readonly variation: number }[];
  readonly shape: "block" | "random";
}

/** Range of a block's height over its width. */
const ASPECT = [0.3, 1 / 0.3] as const;
const TRIES = 10;

/** The most patches that a mask of `patches` can have. */
export function mostMasked({ ratios }: MaskSpec, patches: number): number {
  const largest = Math.max(...ratios.map(({ ratio, variation }) => ratio + variation));
  return Math.min(patches, Math.max(0, Math.floor(largest * patches)));
}

/**
 * One view's mask, [rows * columns], 1 where masked. The ratio is uniform in ratio -/+ variation; blocks stay at or
 * below it, single patches are exactly its whole part.
 */
export function drawMask(random: Random, rows: number, columns: number, spec: MaskSpec): Uint8Array {
  // Every ratio is drawn before one is picked, as in the official code.
  const drawn = spec.ratios.map(({ ratio, variation }) =>
    variation > 0 ? random.uniform(ratio - variation, ratio + variation) : ratio,
  );
  const target = drawn[random.integer(0, drawn.length - 1)]! * rows * columns;
  return spec.shape === "block"
    ? drawBlocks(random, rows, columns, target)
    : drawPatches(random, rows * columns, target);
}

/** For `setup.mask`: [count * B, N], view-major; each view of each sample draws its own mask. */
export function maskSampler(
  spec: MaskSpec,
  count: number,
  { rows, columns }: Pick<TokenGrid, "rows" | "columns">,
): (context: SamplerContext) => Uint8Array {
  const patches = rows * columns;
  return ({ indices, random }) => {
    const cells = new Uint8Array(count * indices.length * patches);
    for (let view = 0; view < count; view++) {
      indices.forEach((sample, b) => {
        const own = drawMask(random(sample, view), rows, columns, spec);
        cells.set(own, (view * indices.length + b) * patches);
      });
    }
    return cells;
  };
}

function drawPatches(random: Random, patches: number, target: number): Uint8Array {
  const mask = new Uint8Array(patches);
  const chosen = random.permutation(patches).subarray(0, Math.max(0, Math.floor(target)));
  for (const patch of chosen) mask[patch] = 1;
  return mask;
}

/** Rectangles until the target is reached, or none of ten fits into what is left of it. */
function drawBlocks(random: Random, rows: number, columns: number, target: number): Uint8Array {
  const mask = new Uint8Array(rows * columns);
  for (let count = 0; count < target;) {
    const added = addBlock(random, mask, rows, columns, target - count);
    if (added === 0) break;
    count += added;
  }
  return mask;
}

/** Masks one rectangle that covers at most `room` new patches; gives how many. */
function addBlock(random: Random, mask: Uint8Array, rows: number, columns: number, room: number): number {
  const smallest = Math.floor(rows / 3) * Math.floor(columns / 3);
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const area = random.uniform(smallest, room);
    const aspect = Math.exp(random.uniform(Math.log(ASPECT[0]), Math.log(ASPECT[1])));
    const height = roundHalfEven(Math.sqrt(area * aspect));
    const width = roundHalfEven(Math.sqrt(area / aspect));
    if (height >= rows || width >= columns) continue;
    const top = random.integer(0, rows - height);
    const left = random.integer(0, columns - width);
    const fresh: number[] = [];
    for (let y = top; y < top + height; y++) {
      for (let x = left; x < left + width; x++) if (!mask[y * columns + x]) fresh.push(y * columns + x);
    }
    if (fresh.length === 0 || fresh.length > room) continue;
    for (const patch of fresh) mask[patch] = 1;
    return fresh.length;
  }
  return 0;
}

/** Python's round: halves to the even neighbour. */
function roundHalfEven(x: number): number {
  const down = Math.floor(x);
  if (x - down !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
}
