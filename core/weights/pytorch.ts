/**
 * PyTorch's files (torch.save since 1.6): a zip of stored entries, `<name>/data.pkl` with the objects and
 * `<name>/data/<key>` with the values of one storage each.
 */
import yauzl from "yauzl";
import { errors } from "../errors.ts";
import { elementType } from "./element-types.ts";
import { Placeholder } from "./pickle.ts";
import {
  elementsOf,
  readBytes,
  readingWeights,
  type SkippedTensor,
  type StoredTensor,
  type StoredTensors,
} from "./stored-tensor.ts";
import { namedViews, unpickleTorch, type TensorView } from "./torch-pickle.ts";

/** Of the largest checkpoints it has a few MB. */
const PICKLE_BYTES = 16 * 2 ** 20;
const MOST_ENTRIES = 100_000;

/** Reads the objects; values later. Throws WEIGHTS_DAMAGED, and WEIGHTS_FORMAT for what torch.load reads and this not. */
export function openPyTorch(path: string): Promise<StoredTensors> {
  return readingWeights(path, async () => {
    const archive = await readArchive(path);
    if (!archive.entries.has("data.pkl"))
      throw errors.weightsFormat(
        path,
        "is a zip that torch.save did not write",
        "name a .pth or .safetensors file",
      );
    const pickle = await archive.read("data.pkl", PICKLE_BYTES);
    const order = archive.entries.has("byteorder") ? await archive.read("byteorder", 16) : undefined;
    if (order !== undefined && Buffer.from(order).toString() !== "little")
      throw errors.weightsFormat(path, "was saved on a big-endian machine", SAVE_SAFETENSORS);
    const root = unpickleTorch(pickle);
    if (root instanceof Placeholder) {
      const fix = 'save its weights instead: torch.save(model.state_dict(), "weights.pth")';
      throw errors.weightsFormat(path, `holds an object of ${root.path}, and not a state dict`, fix);
    }
    const { views, skipped } = namedViews(root);
    const tensors: StoredTensor[] = [];
    const left: SkippedTensor[] = [...skipped];
    for (const [name, view] of views) {
      if (!elementType(view.storage.dtype)) left.push({ name, reason: view.storage.dtype });
      else tensors.push(storedTensor(path, name, view, archive));
    }
    return { tensors, skipped: left };
  });
}

const SAVE_SAFETENSORS = "open it with PyTorch and save its state dict with safetensors.torch.save_file";

function storedTensor(path: string, name: string, view: TensorView, archive: Archive): StoredTensor {
  const { storage, offset, end, shape } = view;
  const type = elementType(storage.dtype)!;
  const entry = archive.entries.get(`data/${storage.key}`);
  if (!entry) throw new RangeError(`the values of "${name}" are missing`);
  if (entry.length < storage.elements * type.bytes) throw new RangeError(`"${name}" is not whole`);
  const read = async () => {
    const from = entry.position + offset * type.bytes;
    return inOrder(type.toFloat32(await readBytes(path, from, (end - offset) * type.bytes)), view);
  };
  return { name, shape, read: () => readingWeights(path, read) };
}

/** The view's elements, row-major, of those of the storage from its first to its last. */
function inOrder(values: Float32Array, { shape, strides }: TensorView): Float32Array {
  let contiguous = 1;
  const isContiguous = shape
    .map((size, i) => ({ size, stride: strides[i]! }))
    .reverse()
    .every(({ size, stride }) => {
      const isNext = size === 1 || stride === contiguous;
      contiguous *= size;
      return isNext;
    });
  const elements = elementsOf(shape);
  if (isContiguous || elements === 0) return values;
  const ordered = new Float32Array(elements);
  const index = shape.map(() => 0);
  let at = 0;
  for (let i = 0; i < elements; i++) {
    ordered[i] = values[at]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      at -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return ordered;
}

/** Where an entry's bytes lie in the file. */
interface ArchiveEntry {
  readonly position: number;
  readonly length: number;
}

interface Archive {
  /** Without the folder that all of them lie in. */
  readonly entries: ReadonlyMap<string, ArchiveEntry>;
  /** An entry whole. Throws RangeError where there is none, or it is longer. */
  read(name: string, most: number): Promise<Uint8Array>;
}

async function readArchive(path: string): Promise<Archive> {
  const entries = new Map<string, ArchiveEntry>();
  const zip = await yauzl.openPromise(path, { lazyEntries: true, autoClose: false });
  try {
    for await (const entry of zip.eachEntry()) {
      if (entries.size >= MOST_ENTRIES) throw new RangeError(`there are more than ${MOST_ENTRIES} entries`);
      const name = /^[^/]+\/(.*[^/])$/.exec(entry.fileName)?.[1];
      if (name === undefined) continue;
      if (entry.compressionMethod !== STORED || entry.isEncrypted())
        throw errors.weightsFormat(
          path,
          "is a zip of compressed files, as torch.save writes none",
          SAVE_SAFETENSORS,
        );
      const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
      if (!(fileDataStart + entry.uncompressedSize <= zip.fileSize))
        throw new RangeError(`${name} is not whole`);
      entries.set(name, { position: fileDataStart, length: entry.uncompressedSize });
    }
  } finally {
    zip.close();
  }
  return {
    entries,
    async read(name, most) {
      const entry = entries.get(name);
      if (!entry) throw new RangeError(`there is no ${name} in it`);
      if (entry.length > most) throw new RangeError(`${name} is longer than ${most} bytes`);
      return new Uint8Array(await readBytes(path, entry.position, entry.length));
    },
  };
}

const STORED = 0;
