/** What a program is fed with, checked: bytes of another type would be read as if they were the right ones. */
import { errors } from "../errors.ts";
import type { HostArray, InputType } from "./engine.ts";

const arrays = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array } as const;

export interface FeedSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: InputType;
}

/** Throws PROGRAM_FEED. */
export function checkedFeed(
  program: string,
  { name, shape, type }: FeedSpec,
  values: HostArray | undefined,
): HostArray {
  const size = shape.reduce((a, b) => a * b, 1);
  const array = arrays[type];
  if (values?.length === size && values instanceof array) return values;
  const got = values && `${values.length} of ${values.constructor.name}`;
  throw errors.programFeed(program, name, `${size} of ${array.name}`, got);
}
