/** Masks over the patches of a view group, from the host into the step. */
import type { MaskHandle, PhaseHandle, SamplerContext } from "../contexts.ts";

export interface MaskDeclaration extends MaskHandle {
  readonly owner: string;
  /** N, of an image. */
  readonly patches: number;
  /** Before, nothing is masked. */
  readonly started: PhaseHandle<boolean>;
  /** [images * N], not 0 where masked. */
  readonly sample: (context: SamplerContext) => ArrayLike<number>;
}

/**
 * The masked cells' indices in order, then -1 up to the next size that a program is made for: what is computed on masked
 * patches alone costs little more than they need, and few programs are captured. The number of masked patches varies
 * by about 1 / sqrt(images) of its most, so the more images, the finer the sizes.
 *
 * @param cells [images * N], not 0 where masked
 * @param most masked patches of an image
 */
export function maskedRows(cells: ArrayLike<number>, images: number, most: number): Int32Array {
  const rows: number[] = [];
  for (let i = 0; i < cells.length; i++) if (cells[i]) rows.push(i);
  const sizes = Math.min(16, Math.max(4, Math.round(2 * Math.sqrt(images))));
  const unit = Math.ceil((images * most) / sizes);
  const size = Math.min(images * most, Math.max(1, Math.ceil(rows.length / unit)) * unit);
  const padded = new Int32Array(size).fill(-1);
  padded.set(rows);
  return padded;
}

/** The largest number of masked patches of an image. */
export function mostMaskedOf(cells: ArrayLike<number>, patches: number): number {
  const counts = new Int32Array(cells.length / patches);
  for (let i = 0; i < cells.length; i++) if (cells[i]) counts[Math.floor(i / patches)]!++;
  return Math.max(0, ...counts);
}
