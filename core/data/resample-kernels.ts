/** The loops of assembly/resample.ts and the memory that they work in. */
import { errors } from "../errors.ts";
import type { Raster } from "./decode.ts";
import { resampleModule } from "./resample-module.ts";

/** See assembly/resample.ts; addresses and sizes in bytes. */
interface Loops {
  narrowColour: Narrow;
  narrowGrey: Narrow;
  shorten(
    source: number,
    sourceStride: number,
    starts: number,
    weights: number,
    pairs: number,
    width: number,
    outputs: number,
    out: number,
  ): void;
  halve(source: number, width: number, height: number, channels: number, out: number): void;
}

type Narrow = (
  source: number,
  sourceStride: number,
  rows: number,
  starts: number,
  weights: number,
  quads: number,
  outputs: number,
  out: number,
  outStride: number,
) => void;

/** What is used of it here: TypeScript has these types among the browser's only. */
declare const WebAssembly: {
  readonly Memory: new (size: { initial: number }) => Memory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: { env: { memory: Memory } }) => { exports: unknown };
};

interface Memory {
  readonly buffer: ArrayBuffer;
  /** By pages. Replaces the buffer. */
  grow(pages: number): number;
}

const PAGE = 65536;
/** Of memory that is kept however small the images become. */
const SMALL = 64 * 2 ** 20;

const module = new WebAssembly.Module(Buffer.from(resampleModule, "base64"));

/** An instance, whose memory cannot shrink. */
function instantiate(): { readonly run: Loops; readonly memory: Memory } {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  return { run: exports as Loops, memory };
}

/**
 * Memory taken from the bottom up, for one image at a time. Views of it are made anew for each use: growing takes the
 * old ones away.
 */
export class ResampleKernels {
  /** Whose image is at the bottom. */
  user: object | undefined;
  private image: Raster | undefined;
  private instance = instantiate();
  private taken = 0;

  get run(): Loops {
    return this.instance.run;
  }

  /** Bytes of memory, taken or not. */
  get size(): number {
    return this.instance.memory.buffer.byteLength;
  }

  /** Gives back all that is taken, and puts the image of a user at the bottom. Gives its address; throws as `take`. */
  open(user: object, image: Raster): number {
    this.user = undefined;
    this.image = image;
    this.taken = 0;
    // One large photo must not hold its room for good.
    if (this.size > SMALL && image.data.byteLength < this.size / 4) this.instance = instantiate();
    const address = this.put(image.data);
    this.user = user;
    return address;
  }

  /** The address of that many bytes more, a multiple of 16. Throws IMAGE_MEMORY where there is no room for them. */
  take(bytes: number): number {
    const address = this.taken;
    const end = Math.ceil((address + bytes) / 16) * 16;
    const missing = end - this.size;
    if (missing > 0) this.grow(Math.ceil(missing / PAGE));
    this.taken = end;
    return address;
  }

  /** As `take`, with these values. */
  put(values: Uint8Array | Int16Array | Int32Array): number {
    const address = this.take(values.byteLength);
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.bytes(address, values.byteLength).set(bytes);
    return address;
  }

  bytes(address: number, length: number): Uint8Array {
    return new Uint8Array(this.instance.memory.buffer, address, length);
  }

  /** How much is taken; `release` with it gives back what was taken since. */
  get mark(): number {
    return this.taken;
  }

  release(mark: number): void {
    this.taken = mark;
  }

  private grow(pages: number): void {
    try {
      this.instance.memory.grow(pages);
    } catch (cause) {
      const { width, height } = this.image!;
      throw errors.imageMemory({ width, height }, this.size + pages * PAGE).because(cause);
    }
  }
}
