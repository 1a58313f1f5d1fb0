/** The constants that tfjs's kernel layer reads from a binding, and the attribute helpers of our own kernels. */
import { AttrKind, DataType } from "./c-api.ts";
import type { OpAttribute } from "./kernel-layer.ts";

export const bindingConstants = {
  TF_FLOAT: DataType.FLOAT,
  TF_INT32: DataType.INT32,
  TF_INT64: DataType.INT64,
  TF_BOOL: DataType.BOOL,
  TF_COMPLEX64: DataType.COMPLEX64,
  TF_STRING: DataType.STRING,
  TF_RESOURCE: DataType.RESOURCE,
  TF_UINT8: DataType.UINT8,
  TF_ATTR_STRING: AttrKind.STRING,
  TF_ATTR_INT: AttrKind.INT,
  TF_ATTR_FLOAT: AttrKind.FLOAT,
  TF_ATTR_BOOL: AttrKind.BOOL,
  TF_ATTR_TYPE: AttrKind.TYPE,
  TF_ATTR_SHAPE: AttrKind.SHAPE,
  TF_ATTR_RESOURCE: DataType.RESOURCE,
} as const;

export const attr = {
  type: (name: string, value: number): OpAttribute => ({ name, type: AttrKind.TYPE, value }),
  int: (name: string, value: number): OpAttribute => ({ name, type: AttrKind.INT, value }),
  bool: (name: string, value: boolean): OpAttribute => ({ name, type: AttrKind.BOOL, value }),
  float: (name: string, value: number): OpAttribute => ({ name, type: AttrKind.FLOAT, value }),
  string: (name: string, value: string): OpAttribute => ({ name, type: AttrKind.STRING, value }),
  strings: (name: string, value: readonly string[]): OpAttribute => ({
    name,
    type: AttrKind.STRING_LIST,
    value,
  }),
  shape: (name: string, value: readonly number[]): OpAttribute => ({ name, type: AttrKind.SHAPE, value }),
};

/** Values as the element type that a TensorFlow dtype is stored in. */
export function asHostArray(
  dtype: number,
  values: ArrayLike<number>,
): Float32Array | Int32Array | Uint8Array {
  switch (dtype) {
    case DataType.FLOAT:
      return values instanceof Float32Array ? values : Float32Array.from(values);
    case DataType.INT32:
      return values instanceof Int32Array ? values : Int32Array.from(values);
    case DataType.BOOL:
    case DataType.UINT8:
      return values instanceof Uint8Array ? values : Uint8Array.from(values);
    case DataType.INT64:
      // tfjs hands an int64 scalar over as the two int32 halves of its bytes.
      return values instanceof Int32Array ? values : Int32Array.from(values);
    default:
      throw new Error(`tensors of TensorFlow dtype ${dtype} cannot be made from JavaScript values`);
  }
}
