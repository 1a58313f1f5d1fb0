/** The loops of assembly/resample.ts and the memory that they work in. */
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

/** Memory taken from the bottom up. Views of it are made anew for each use: growing takes the old ones away. */
export class ResampleKernels {
  readonly run: Loops;
  /** Whose image is at the bottom. */
  user: object | undefined;
  private readonly memory = new WebAssembly.Memory({ initial: 1 });
  private taken = 0;

  constructor() {
    const module = new WebAssembly.Module(Buffer.from(resampleModule, "base64"));
    const { exports } = new WebAssembly.Instance(module, { env: { memory: this.memory } });
    this.run = exports as Loops;
  }

  /** The address of that many bytes more, a multiple of 16. */
  take(bytes: number): number {
    const address = this.taken;
    this.taken = Math.ceil((address + bytes) / 16) * 16;
    const missing = this.taken - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / PAGE));
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
    return new Uint8Array(this.memory.buffer, address, length);
  }

  /** How much is taken; `release` with it gives back what was taken since. */
  get mark(): number {
    return this.taken;
  }

  release(mark: number): void {
    this.taken = mark;
  }
}
