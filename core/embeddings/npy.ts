/** NumPy's format, version 1.0 (numpy.lib.format): `numpy.load` gives [rows, ...shape] of float32, also memory-mapped. */
import { writeFile } from "node:fs/promises";
import type { FeatureFormat, FinishedCard } from "./feature-writer.ts";
import { itemsPath, padded, RowsFile } from "./rows-file.ts";

/** NumPy's headers are multiples of 64 bytes; two of them hold any shape of ours. */
const HEADER_BYTES = 128;
const MAGIC = Buffer.from("\x93NUMPY\x01\x00", "latin1");

/** The format has no room for the card. */
const cardPath = (path: string): string => `${path}.card.json`;

export const npy: FeatureFormat = {
  paths: (out) => [itemsPath(out), cardPath(out), out],
  open: async ([items, cardFile, rows]) => {
    const file = await RowsFile.create(rows!, items!, header, HEADER_BYTES);
    return {
      write: (rows, features) => file.write(rows, features),
      finish: async (card) => {
        await writeFile(cardFile!, `${JSON.stringify(card, null, 2)}\n`, { flush: true });
        await file.finish(card);
      },
      close: () => file.close(),
    };
  },
};

function header({ count, shape }: FinishedCard): Buffer {
  const dictionary = `{'descr': '<f4', 'fortran_order': False, 'shape': (${[count, ...shape].join(", ")}), }`;
  const text = padded(dictionary, HEADER_BYTES - MAGIC.length - 2, "\n");
  const length = Buffer.alloc(2);
  length.writeUInt16LE(text.length);
  return Buffer.concat([MAGIC, length, text]);
}
