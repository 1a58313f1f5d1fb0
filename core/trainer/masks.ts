/** Masks over the patches of a view group, from the host into the step. */
import type { MaskHandle, SamplerContext } from "../contexts.ts";

export interface MaskDeclaration extends MaskHandle {
  readonly owner: string;
  /** Images of a batch times patches of an image. */
  readonly patches: number;
  /** [images * N], not 0 where masked. */
  readonly sample: (context: SamplerContext) => ArrayLike<number>;
}

/**
 * Numbers of rows that a program is made for, as parts of the capacity: what is computed on masked patches alone
 * costs little more than they need, and few programs are captured.
 */
const SIZES = 4;

/**
 * The masked cells' indices in order, then -1 up to a quarter, half, three quarters or the whole of the capacity; longer
 * where more than the capacity is masked.
 */
export function maskedRows(cells: ArrayLike<number>, capacity: number): Int32Array {
  const rows: number[] = [];
  for (let i = 0; i < cells.length; i++) if (cells[i]) rows.push(i);
  const unit = Math.ceil(capacity / SIZES);
  const size = Math.min(capacity, Math.max(1, Math.ceil(rows.length / unit)) * unit);
  const padded = new Int32Array(Math.max(size, rows.length)).fill(-1);
  padded.set(rows);
  return padded;
}
