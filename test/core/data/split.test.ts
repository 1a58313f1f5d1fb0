import assert from "node:assert/strict";
import { join } from "node:path";
import { listDataset, type Dataset } from "../../../core/data/dataset.ts";
import { openEmoji } from "../../../core/data/emoji.ts";
import { openImageFolder } from "../../../core/data/image-folder.ts";
import { labelledSplit, type LabelledPart, type SplitOptions } from "../../../core/data/split.ts";
import { coded } from "../trainer/tiny.ts";
import { temporaryFolder, writeAt } from "./image-files.ts";

/** Images "a/0" … of each class. */
function classes(counts: Readonly<Record<string, number>>): Dataset {
  const classNames = Object.keys(counts);
  const ids = classNames.flatMap((name) => Array.from({ length: counts[name]! }, (_, i) => `${name}/${i}`));
  const labels = Int32Array.from(ids, (id) => classNames.indexOf(id.split("/")[0]!));
  return listDataset({ name: "photos", ids, pathOf: (id) => id, classNames, labels });
}

const options: SplitOptions = { seed: 1, testShare: 0.2 };
const ids = ({ dataset, indices }: LabelledPart) => indices.map((i) => dataset.item(i).id);

async function split(dataset: Dataset, changes: Partial<SplitOptions> = {}) {
  const found = await labelledSplit(dataset, { ...options, ...changes });
  assert.ok(found);
  return found;
}

describe("labelledSplit", () => {
  const folder = temporaryFolder();

  it("tests on a share of each class, at least one where there are two, and learns from the rest", async () => {
    const dataset = classes({ a: 50, b: 10, c: 2, d: 1 });
    const { train, test, classNames } = await split(dataset);
    const counts = (labels: Int32Array) => classNames.map((_, c) => labels.filter((l) => l === c).length);
    assert.deepEqual(counts(test.labels), [10, 2, 1, 0]);
    assert.deepEqual(counts(train.labels), [40, 8, 1, 1]);
    assert.deepEqual([...ids(train), ...ids(test)].sort(), ids(all(dataset)).sort());
    assert.equal(train.name, "80 % of each class of photos");
  });

  it("is the same for the same seed, and another for another", async () => {
    const dataset = classes({ a: 60, b: 60 });
    assert.deepEqual(ids((await split(dataset)).test), ids((await split(dataset)).test));
    assert.notDeepEqual(ids((await split(dataset)).test), ids((await split(dataset, { seed: 2 })).test));
  });

  it("keeps an image's part when others come, but for one at most", async () => {
    const before = new Set(ids((await split(classes({ a: 40, b: 20 }))).test));
    for (const b of [21, 22, 23, 24, 25]) {
      const after = ids((await split(classes({ a: 40, b }))).test);
      const moved = [...before].filter((id) => !after.includes(id));
      assert.ok(moved.length <= b - 20, `${moved.join(", ")} moved when ${b - 20} came`);
      assert.deepEqual(
        after.filter((id) => id.startsWith("a/")),
        [...before].filter((id) => id.startsWith("a/")),
      );
    }
  });

  it("tests on a folder's images, by the names of its classes", async () => {
    for (const file of ["dog/1.png", "emu/2.png"]) await writeAt(join(folder(), "test", file), "");
    const { train, test } = await split(classes({ cat: 2, dog: 3, emu: 1 }), {
      test: join(folder(), "test"),
    });
    assert.deepEqual(ids(test), ["dog/1.png", "emu/2.png"]);
    assert.deepEqual([...test.labels], [1, 2]);
    assert.equal(train.indices.length, 6);
  });

  it("refuses a folder whose classes are others, or that has none", async () => {
    for (const file of ["dog/1.png", "yak/2.png"]) await writeAt(join(folder(), "other", file), "");
    await writeAt(join(folder(), "loose", "1.png"), "");
    const dataset = classes({ cat: 2, dog: 3 });
    await assert.rejects(split(dataset, { test: join(folder(), "other") }), coded("SPLIT_CLASSES", "yak"));
    await assert.rejects(
      split(dataset, { test: join(folder(), "loose") }),
      coded("SPLIT_CLASSES", "no class folders"),
    );
    const unlabelled = await openImageFolder(join(folder(), "loose"));
    await assert.rejects(split(unlabelled, { test: join(folder(), "other") }), coded("SPLIT_CLASSES"));
    assert.equal(await labelledSplit(unlabelled, options), undefined);
  });

  it("refuses a folder whose images are learned from", async () => {
    for (const file of ["a/1.png", "b/2.png", "c/3.png"]) await writeAt(join(folder(), "both", file), "");
    const dataset = await openImageFolder(join(folder(), "both"));
    await assert.rejects(
      split(dataset, { test: join(folder(), "both") }),
      coded("SPLIT_OVERLAP", "3 images"),
    );
  });

  it("learns from Google's emoji and tests on Twitter's", async () => {
    const { train, test, classNames } = await split(await openEmoji({ limit: 40 }));
    assert.equal(train.indices.length, 20);
    assert.deepEqual(
      ids(train).map((id) => id.replace("google/", "twitter/")),
      ids(test),
    );
    assert.deepEqual(train.labels, test.labels);
    assert.ok(classNames.length > 2);
  });

  it("leaves images out of both parts in proportion", async () => {
    const { train, test } = await split(classes({ a: 50, b: 50 }), { limit: 20 });
    assert.deepEqual([train.indices.length, test.indices.length], [16, 4]);
    assert.deepEqual([train.labels.length, test.labels.length], [16, 4]);
  });
});

function all(dataset: Dataset): LabelledPart {
  const indices = Array.from({ length: dataset.size }, (_, i) => i);
  return { name: "", dataset, indices, labels: new Int32Array() };
}
