/** Numbers as files of weights hold them, little-endian, by safetensors' names of their types. */

interface ElementType {
  /** Of one element. */
  readonly bytes: number;
  /** The nearest float32 of each; `buffer` holds whole elements. */
  readonly toFloat32: (buffer: ArrayBuffer) => Float32Array;
}

const types: Readonly<Record<string, ElementType>> = {
  F64: { bytes: 8, toFloat32: (buffer) => Float32Array.from(new Float64Array(buffer)) },
  F32: { bytes: 4, toFloat32: (buffer) => new Float32Array(buffer) },
  F16: { bytes: 2, toFloat32: (buffer) => Float32Array.from(new Uint16Array(buffer), halfToNumber) },
  BF16: {
    bytes: 2,
    // The upper half of a float32.
    toFloat32: (buffer) =>
      new Float32Array(Uint32Array.from(new Uint16Array(buffer), (bits) => bits << 16).buffer),
  },
  I64: { bytes: 8, toFloat32: (buffer) => Float32Array.from(Array.from(new BigInt64Array(buffer), Number)) },
  U64: { bytes: 8, toFloat32: (buffer) => Float32Array.from(Array.from(new BigUint64Array(buffer), Number)) },
  I32: { bytes: 4, toFloat32: (buffer) => Float32Array.from(new Int32Array(buffer)) },
  U32: { bytes: 4, toFloat32: (buffer) => Float32Array.from(new Uint32Array(buffer)) },
  I16: { bytes: 2, toFloat32: (buffer) => Float32Array.from(new Int16Array(buffer)) },
  U16: { bytes: 2, toFloat32: (buffer) => Float32Array.from(new Uint16Array(buffer)) },
  I8: { bytes: 1, toFloat32: (buffer) => Float32Array.from(new Int8Array(buffer)) },
  U8: { bytes: 1, toFloat32: (buffer) => Float32Array.from(new Uint8Array(buffer)) },
  BOOL: {
    bytes: 1,
    toFloat32: (buffer) => Float32Array.from(new Uint8Array(buffer), (byte) => +(byte !== 0)),
  },
};

/** Undefined for types that do not become float32: float8, complex, quantised. */
export function elementType(name: string): ElementType | undefined {
  return Object.hasOwn(types, name) ? types[name] : undefined;
}

/** IEEE 754 binary16: 1 bit of sign, 5 of exponent, 10 of fraction. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
