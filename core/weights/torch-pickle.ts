/** What torch.save puts into a pickle: dictionaries of tensors, whose values lie in storages outside of it. */
import { GlobalName, Placeholder, unpickle } from "./pickle.ts";
import { elementsOf, type SkippedTensor } from "./stored-tensor.ts";

/** A storage's type to safetensors' name of its elements. */
const STORAGES: Readonly<Record<string, string>> = {
  "torch.DoubleStorage": "F64",
  "torch.FloatStorage": "F32",
  "torch.HalfStorage": "F16",
  "torch.BFloat16Storage": "BF16",
  "torch.LongStorage": "I64",
  "torch.IntStorage": "I32",
  "torch.ShortStorage": "I16",
  "torch.CharStorage": "I8",
  "torch.ByteStorage": "U8",
  "torch.BoolStorage": "BOOL",
};

/** Values of one type in an entry of the zip. */
export class Storage {
  /** Of the entry: data/<key>. */
  readonly key: string;
  /** As safetensors calls it, or PyTorch's name where it does not become float32. */
  readonly dtype: string;
  readonly elements: number;

  constructor(key: string, dtype: string, elements: number) {
    this.key = key;
    this.dtype = dtype;
    this.elements = elements;
  }
}

/** A view of a storage; offset and strides count elements. */
export class TensorView {
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(storage: Storage, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }

  /** The first element after the last that it has. */
  get end(): number {
    if (this.shape.includes(0)) return this.offset;
    return this.shape.reduce((last, size, i) => last + (size - 1) * this.strides[i]!, this.offset) + 1;
  }
}

/** More dimensions than PyTorch's tensors have in any model. */
const MOST_DIMENSIONS = 16;

function makeTensor(storage: unknown, offset: unknown, shape: unknown, strides: unknown): TensorView {
  const sizes = (value: unknown): value is readonly number[] =>
    Array.isArray(value) && value.length <= MOST_DIMENSIONS && value.every(isSize);
  if (!(storage instanceof Storage) || !isSize(offset) || !sizes(shape) || !sizes(strides))
    throw new SyntaxError("a tensor is made of what makes no tensor");
  if (shape.length !== strides.length)
    throw new RangeError("a tensor has another number of strides than sizes");
  const view = new TensorView(storage, offset, shape, strides);
  if (!(view.end <= storage.elements)) throw new RangeError("a tensor reaches beyond its storage");
  return view;
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** Reads the pickle. Throws SyntaxError or RangeError. */
export function unpickleTorch(bytes: Uint8Array): unknown {
  return unpickle(bytes, {
    persistent(id) {
      const [kind, type, key, , elements] = Array.isArray(id) ? (id as unknown[]) : [];
      if (kind !== "storage" || !(type instanceof GlobalName) || typeof key !== "string" || !isSize(elements))
        throw new SyntaxError("the pickle refers to what is no storage");
      return new Storage(key, STORAGES[type.path] ?? type.path, elements);
    },
    call(path, args) {
      switch (path) {
        case "torch._utils._rebuild_tensor_v2":
          return makeTensor(args[0], args[1], args[2], args[3]);
        case "torch._utils._rebuild_parameter":
        case "torch._utils._rebuild_parameter_with_state":
          return args[0] ?? undefined;
        case "collections.OrderedDict":
          return new Map();
        default:
          return undefined;
      }
    },
  });
}

/** What a pickle holds under names. */
export interface NamedViews {
  readonly views: ReadonlyMap<string, TensorView>;
  readonly skipped: readonly SkippedTensor[];
}

/** Dictionaries in dictionaries: more than any checkpoint has. */
const MOST_DEPTH = 8;
const MOST_ENTRIES = 200_000;

/**
 * The tensors of nested dictionaries by their keys, joined by dots. What is no tensor, and what lies in lists or under
 * numbers as optimizers have it, is passed over.
 */
export function namedViews(root: unknown): NamedViews {
  const views = new Map<string, TensorView>();
  const skipped: SkippedTensor[] = [];
  let entries = 0;
  const visit = (dictionary: ReadonlyMap<unknown, unknown>, prefix: string, depth: number): void => {
    // A dictionary may hold itself.
    if (depth > MOST_DEPTH)
      throw new RangeError(`dictionaries lie more than ${MOST_DEPTH} deep in one another`);
    for (const [key, value] of dictionary) {
      if (++entries > MOST_ENTRIES) throw new RangeError(`there are more than ${MOST_ENTRIES} entries`);
      if (typeof key !== "string") continue;
      const name = prefix + key;
      if (value instanceof Map) visit(value, `${name}.`, depth + 1);
      else if (value instanceof TensorView) {
        if (elementsOf(value.shape) <= value.storage.elements) views.set(name, value);
        else skipped.push({ name, reason: "a view that repeats its values" });
      } else if (value instanceof Placeholder && value.path.startsWith("torch._utils._rebuild"))
        skipped.push({ name, reason: value.path });
    }
  };
  if (root instanceof Map) visit(root, "", 1);
  return { views, skipped };
}
