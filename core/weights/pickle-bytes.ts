/** The bytes of a pickle, read one after the other. What ends too early is a RangeError. */

/** Of an integer of any length. */
const INTEGER_BYTES = 255;
const NEWLINE = 0x0a;

export class PickleBytes {
  private readonly view: DataView;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Of the next byte. */
  get position(): number {
    return this.at;
  }

  byte(): number {
    return this.view.getUint8(this.skip(1));
  }

  uint16(): number {
    return this.view.getUint16(this.skip(2), true);
  }

  int32(): number {
    return this.view.getInt32(this.skip(4), true);
  }

  uint32(): number {
    return this.view.getUint32(this.skip(4), true);
  }

  uint64(): number {
    return Number(this.view.getBigUint64(this.skip(8), true));
  }

  /** Big-endian, unlike the integers. */
  float64(): number {
    return this.view.getFloat64(this.skip(8));
  }

  /** Two's complement, little-endian; a bigint beyond 2^53. */
  integer(length: number): number | bigint {
    if (length > INTEGER_BYTES) throw new RangeError(`the pickle has an integer of ${length} bytes`);
    const digits = Buffer.from(this.take(length)).reverse().toString("hex");
    const value = BigInt.asIntN(8 * length, BigInt(`0x0${digits}`));
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  text(length: number, encoding: "utf8" | "latin1" = "utf8"): string {
    const { buffer, byteOffset, byteLength } = this.take(length);
    return Buffer.from(buffer, byteOffset, byteLength).toString(encoding);
  }

  /** Up to the next newline, without it. */
  line(): string {
    const { at } = this;
    while (this.byte() !== NEWLINE);
    return new TextDecoder().decode(this.bytes(at, this.at - 1));
  }

  take(length: number): Uint8Array {
    const from = this.skip(length);
    return this.bytes(from, from + length);
  }

  private bytes(from: number, to: number): Uint8Array {
    return new Uint8Array(this.view.buffer, this.view.byteOffset + from, to - from);
  }

  /** Where the next `length` bytes begin. */
  private skip(length: number): number {
    const from = this.at;
    if (!(from + length <= this.view.byteLength)) throw new RangeError("the pickle ends too early");
    this.at += length;
    return from;
  }
}
