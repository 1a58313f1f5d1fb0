import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { asyncBufferFromFile, parquetMetadataAsync } from "hyparquet";
import type { EmbeddingCard, FeatureRow } from "../../../core/embeddings/feature-writer.ts";
import { featureFormat } from "../../../core/embeddings/formats.ts";
import { Random } from "../../../core/random.ts";
import { temporaryFolder } from "../trainer/temporary-folder.ts";
import { coded } from "../trainer/tiny.ts";
import { readBack } from "./read-back.ts";

const card: EmbeddingCard = {
  features: "cls token after the final norm",
  shape: [3],
  network: "teacher of a run",
  step: 10,
  crop: "centre at 32 px",
  size: 32,
  mean: [0.5, 0.5, 0.5],
  std: [0.25, 0.25, 0.25],
  images: "photos",
  classNames: ["cats", "dogs"],
  producer: "relata",
};

const rowsFrom = (first: number, count: number, labelled = true): FeatureRow[] =>
  Array.from({ length: count }, (_, i) => ({
    // Names that a format without quotes would break at.
    path: `cats/"${first + i}"\n, ä.png`,
    label: labelled ? (first + i) % 2 : undefined,
  }));

function featuresOf(rows: readonly FeatureRow[], shape: readonly number[]): Float32Array {
  const size = shape.reduce((a, b) => a * b, 1);
  return Float32Array.from(
    rows.flatMap(({ path }) => {
      const random = new Random(1, path);
      return Array.from({ length: size }, () => random.normal());
    }),
  );
}

/** Writes batches of these sizes, of a set of which three images could not be read. */
async function written(out: string, batches: readonly number[], changes: Partial<EmbeddingCard> = {}) {
  const told = { ...card, ...changes };
  const labelled = told.classNames !== undefined;
  const count = batches.reduce((a, b) => a + b, 0);
  const rows = rowsFrom(0, count, labelled);
  const format = await featureFormat(out);
  const writer = await format.open(format.paths(out), told, count + 3);
  let first = 0;
  for (const size of batches) {
    const batch = rows.slice(first, first + size);
    await writer.write(batch, featuresOf(batch, told.shape));
    first += size;
  }
  await writer.finish({ ...told, count, skipped: 3 });
  await writer.close();
  return { rows, features: featuresOf(rows, told.shape), finished: { ...told, count, skipped: 3 } };
}

describe("files of features", () => {
  const folder = temporaryFolder();

  for (const ending of ["parquet", "npy", "safetensors"]) {
    describe(`.${ending}`, () => {
      const out = () => join(folder(), `x.${ending}`);

      it("hold every row in its order, and what the rows are", async () => {
        const { rows, features, finished } = await written(out(), [4, 4, 1]);
        const read = await readBack(out());
        assert.deepEqual(
          read.paths,
          rows.map(({ path }) => path),
        );
        assert.deepEqual(read.labels, [0, 1, 0, 1, 0, 1, 0, 1, 0]);
        assert.deepEqual(read.shape, [9, 3]);
        assert.deepEqual(read.features, features);
        assert.deepEqual(read.card, JSON.parse(JSON.stringify(finished)));
      });

      it("hold patch tokens, and no labels where there are none", async () => {
        const changes = { shape: [2, 3], classNames: undefined };
        const { features } = await written(out(), [2, 1], changes);
        const read = await readBack(out());
        assert.deepEqual(read.shape, [3, 2, 3]);
        assert.deepEqual(read.features, features);
        assert.deepEqual(read.labels, [undefined, undefined, undefined]);
      });

      it("leave room for any number of rows in the header", async () => {
        const format = await featureFormat(out());
        const most = 999_999_999_999;
        const writer = await format.open(format.paths(out()), card, most);
        await writer.finish({ ...card, count: 0, skipped: most });
        await writer.close();
        assert.equal((await readBack(out())).card.skipped, most);
      });

      it("are all named before they are made", async () => {
        await written(out(), [1]);
        const format = await featureFormat(out());
        const names = format.paths(out()).map((path) => basename(path));
        assert.deepEqual((await readdir(folder())).sort(), [...names].sort());
        assert.equal(names.at(-1), `x.${ending}`);
      });
    });
  }

  it("gather a row group of parquet at most", async () => {
    // 2^18 values are 64 rows of 4096.
    const { features } = await written(join(folder(), "x.parquet"), [50, 50, 50], { shape: [4096] });
    const file = await asyncBufferFromFile(join(folder(), "x.parquet"));
    const { row_groups: groups } = await parquetMetadataAsync(file);
    assert.deepEqual(
      groups.map(({ num_rows }) => Number(num_rows)),
      [64, 64, 22],
    );
    assert.deepEqual((await readBack(join(folder(), "x.parquet"))).features, features);
  });

  it("are of a known format", async () => {
    for (const name of ["x", "x.csv", "parquet"])
      await assert.rejects(featureFormat(name), coded("OUTPUT_FORMAT", name, ".parquet, .npy, .safetensors"));
  });
});
