/** Foreground and background, pixel by pixel: between patches and pixels, and intersection over union. */
import type { ImageSet } from "./extractor.ts";

/** Images whose foreground is known. */
export interface MaskedSet {
  readonly images: ImageSet;
  /** [count, size, size] 1 where there is foreground, 0 elsewhere */
  readonly masks: Uint8Array;
}

/** Some images of a set with the foreground found in them, for pictures. */
export interface Segmentation {
  readonly set: MaskedSet;
  readonly found: readonly FoundForeground[];
}

export interface FoundForeground {
  /** Of the image in the set. */
  readonly image: number;
  readonly maps: readonly {
    /** How: "linear probe", "PCA". */
    readonly by: string;
    /** [size, size] 1 where there is foreground, 0 elsewhere */
    readonly mask: Uint8Array;
  }[];
}

/** The mask of one image, [size, size]. */
export function maskOf({ images: { size }, masks }: MaskedSet, image: number): Uint8Array {
  return masks.subarray(image * size * size, (image + 1) * size * size);
}

/**
 * The share of each patch's pixels that is foreground.
 *
 * @param mask [size, size] 0 or 1
 * @param side patches along a side, a divisor of size
 * @returns [side * side] 0..1
 */
export function patchFractions(mask: Uint8Array, size: number, side: number): Float32Array {
  const P = size / side;
  const fractions = new Float32Array(side * side);
  for (let y = 0; y < size; y++) {
    const row = Math.floor(y / P) * side;
    for (let x = 0; x < size; x++) fractions[row + Math.floor(x / P)]! += mask[y * size + x]!;
  }
  return fractions.map((pixels) => pixels / (P * P));
}

/** Where a pixel lies between two patches: (1 - share) of the first, share of the second. */
interface Between {
  readonly first: Int32Array;
  readonly second: Int32Array;
  readonly share: Float64Array;
}

/** Patch scores to pixels, bilinearly, as PyTorch's interpolate(align_corners=False). */
export class Upsampler {
  private readonly side: number;
  private readonly size: number;
  private readonly places: Between;

  /** From a grid of side x side to size x size pixels. */
  constructor(side: number, size: number) {
    this.side = side;
    this.size = size;
    // Centres on centres; pixels outside the outermost centres take the outermost patch.
    const centre = (pixel: number) => Math.max(0, ((pixel + 0.5) * side) / size - 0.5);
    const first = Int32Array.from({ length: size }, (_, pixel) => Math.floor(centre(pixel)));
    this.places = {
      first,
      second: first.map((patch) => Math.min(side - 1, patch + 1)),
      share: Float64Array.from(first, (patch, pixel) => centre(pixel) - patch),
    };
  }

  /**
   * Writes 1 where the upsampled score is above 0, and 0 elsewhere.
   *
   * @param scores [side * side]
   * @param out [size, size]
   */
  foreground(scores: Float64Array, out: Uint8Array): Uint8Array {
    const { side, size, places } = this;
    const row = new Float64Array(side);
    for (let y = 0; y < size; y++) {
      const [above, below, down] = [places.first[y]!, places.second[y]!, places.share[y]!];
      for (let c = 0; c < side; c++) {
        row[c] = (1 - down) * scores[above * side + c]! + down * scores[below * side + c]!;
      }
      for (let x = 0; x < size; x++) {
        const right = places.share[x]!;
        const score = (1 - right) * row[places.first[x]!]! + right * row[places.second[x]!]!;
        out[y * size + x] = score > 0 ? 1 : 0;
      }
    }
    return out;
  }
}

/** Pixels counted over all images of a set. */
export class Overlap {
  /** By what is there (background, foreground) and what was found: counts[2 * truth + found]. */
  private readonly counts = new Float64Array(4);

  /** Masks of 0 and 1, of one length. */
  add(found: Uint8Array, truth: Uint8Array): void {
    for (let i = 0; i < truth.length; i++) this.counts[2 * truth[i]! + found[i]!]!++;
  }

  /** Intersection over union of the foreground, 0..1; NaN where there is none in either. */
  get foreground(): number {
    const [, onlyFound, onlyTrue, both] = this.counts as unknown as [number, number, number, number];
    return both / (both + onlyFound + onlyTrue);
  }

  /** Intersection over union of the background, 0..1. */
  get background(): number {
    const [neither, onlyFound, onlyTrue] = this.counts as unknown as [number, number, number, number];
    return neither / (neither + onlyFound + onlyTrue);
  }

  /** mIoU: the mean over the two classes. */
  get mean(): number {
    return (this.foreground + this.background) / 2;
  }
}
