import assert from "node:assert/strict";
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import type { Dataset } from "../../../core/data/dataset.ts";
import { openImageFolder } from "../../../core/data/image-folder.ts";
import { temporaryFolder, writeAt } from "./image-files.ts";

const ids = (dataset: Dataset) => Array.from({ length: dataset.size }, (_, i) => dataset.item(i).id);
const labels = (dataset: Dataset) => Array.from({ length: dataset.size }, (_, i) => dataset.item(i).label);

describe("openImageFolder", () => {
  const folder = temporaryFolder();
  /** Only names count when a folder is opened: the files are empty. */
  const fill = async (name: string, files: string[]) => {
    for (const file of files) await writeAt(join(folder(), name, file), "");
    return join(folder(), name);
  };

  it("finds images of every format below it, sorted by path, and nothing else", async () => {
    const files = ["b.JPG", "a.jpeg", "x/y/c.png", "x/d.webp", "e.avif", "f.gif", "g.tif", "h.TIFF"];
    const others = ["notes.txt", ".hidden.png", ".cache/a.png", "x/._d.webp", "noextension", "a.png.part"];
    const path = await fill("mixed", [...files, ...others]);
    const dataset = await openImageFolder(path);
    assert.deepEqual(ids(dataset), [...files].sort());
    assert.equal(dataset.item(0).path, join(path, "a.jpeg"));
    assert.equal(dataset.name, "mixed");
    assert.equal(dataset.classNames, undefined);
    assert.deepEqual(new Set(labels(dataset)), new Set([undefined]));
  });

  it("labels by top-level folder", async () => {
    const path = await fill("classes", ["dog/1.png", "cat/2.png", "cat/deep/3.png", "empty/readme.md"]);
    const dataset = await openImageFolder(path);
    assert.deepEqual(dataset.classNames, ["cat", "dog"]);
    assert.deepEqual(ids(dataset), ["cat/2.png", "cat/deep/3.png", "dog/1.png"]);
    assert.deepEqual(labels(dataset), [0, 0, 1]);
  });

  it("does not take one sub-folder, or folders beside loose images, for classes", async () => {
    assert.equal((await openImageFolder(await fill("single", ["images/1.png"]))).classNames, undefined);
    const loose = await openImageFolder(await fill("loose", ["1.png", "a/2.png", "b/3.png"]));
    assert.equal(loose.classNames, undefined);
  });

  it("limits evenly and keeps the classes' numbers", async () => {
    const files = ["a", "b", "c"].flatMap((name) => [1, 2, 3, 4].map((i) => `${name}/${i}.png`));
    const path = await fill("limited", files);
    const dataset = await openImageFolder(path, { limit: 3 });
    assert.deepEqual(ids(dataset), ["a/1.png", "b/1.png", "c/1.png"]);
    assert.deepEqual(labels(dataset), [0, 1, 2]);
    const two = await openImageFolder(path, { limit: 2 });
    assert.deepEqual(
      [two.classNames, labels(two)],
      [
        ["a", "b", "c"],
        [0, 1],
      ],
    );
    assert.equal((await openImageFolder(path, { limit: 99 })).size, 12);
    for (const limit of [0, -1, 1.5, NaN]) {
      await assert.rejects(openImageFolder(path, { limit }), { code: "DATASET_LIMIT" });
    }
  });

  it("has a fingerprint of names and labels", async () => {
    const print = async (name: string, files: string[]) =>
      (await openImageFolder(await fill(name, files))).fingerprint;
    const first = await print("print-a", ["a/1.png", "b/2.png"]);
    assert.match(first, /^[0-9a-f]{12}$/);
    assert.equal(await print("print-b", ["b/2.png", "a/1.png"]), first);
    assert.notEqual(await print("print-c", ["a/1.png", "b/3.png"]), first);
    assert.notEqual(await print("print-d", ["a/1.png", "b/2.png", "0.png"]), first);
  });

  it("follows links, but not in circles, and leaves broken ones out", async () => {
    const elsewhere = await fill("elsewhere", ["far.png"]);
    const path = await fill("links", ["here.png", "sub/near.png"]);
    await symlink(elsewhere, join(path, "linked"));
    await symlink(path, join(path, "sub", "up"));
    await symlink(join(path, "gone"), join(path, "broken.png"));
    await symlink(join(elsewhere, "far.png"), join(path, "file.png"));
    assert.deepEqual(ids(await openImageFolder(path)), [
      "file.png",
      "here.png",
      "linked/far.png",
      "sub/near.png",
    ]);
  });

  it("says what is wrong with the folder, and how to put it right", async () => {
    await assert.rejects(openImageFolder(join(folder(), "missing")), { code: "DATASET_MISSING" });
    const file = await writeAt(join(folder(), "file.zip"), "");
    await assert.rejects(openImageFolder(file), { code: "DATASET_NOT_FOLDER" });
    const empty = join(folder(), "nothing");
    await mkdir(empty);
    await assert.rejects(openImageFolder(empty), (error: { code?: string; fix?: string }) => {
      return (
        error.code === "DATASET_EMPTY" && [".jpg", ".avif", ".tiff"].every((e) => error.fix!.includes(e))
      );
    });
  });

  it("refuses items that do not exist", async () => {
    const dataset = await openImageFolder(await fill("short", ["1.png", "2.png"]));
    for (const index of [-1, 2, 0.5]) assert.throws(() => dataset.item(index), { code: "DATASET_INDEX" });
  });
});
