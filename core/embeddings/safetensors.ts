/** Safetensors: one tensor "features", [rows, ...shape] of float32; the card is JSON in the metadata, under "relata". */
import type { EmbeddingCard, FeatureFormat, FinishedCard } from "./feature-writer.ts";
import { itemsPath, padded, RowsFile } from "./rows-file.ts";

const LENGTH_BYTES = 8;
/** Values begin at a multiple of it. */
const ALIGNMENT = 8;

export const safetensors: FeatureFormat = {
  paths: (out) => [itemsPath(out), out],
  open: ([items, rows], card, most) => {
    // The longest that it can become: more rows, or more left out, have more digits.
    const longest = Buffer.byteLength(headerText({ ...card, count: most, skipped: most }));
    const bytes = LENGTH_BYTES + Math.ceil(longest / ALIGNMENT) * ALIGNMENT;
    return RowsFile.create(rows!, items!, (finished) => header(finished, bytes), bytes);
  },
};

function headerText(card: FinishedCard): string {
  const shape = [card.count, ...card.shape];
  const end = 4 * shape.reduce((product, size) => product * size, 1);
  return JSON.stringify({
    __metadata__: { format: "pt", relata: JSON.stringify(card satisfies EmbeddingCard) },
    features: { dtype: "F32", shape, data_offsets: [0, end] },
  });
}

function header(card: FinishedCard, bytes: number): Buffer {
  const text = padded(headerText(card), bytes - LENGTH_BYTES);
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text]);
}
