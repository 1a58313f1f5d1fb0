import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { decode } from "../../../core/data/decode.ts";
import { openWebDataset } from "../../../core/data/web-dataset.ts";
import { picture, temporaryFolder, writeAt } from "./image-files.ts";
import { tarOf, type TarFile } from "./shard-files.ts";

const fixture = (name: string) =>
  fileURLToPath(new URL(`../../fixtures/data/shards/${name}`, import.meta.url));

describe("openWebDataset", () => {
  const folder = temporaryFolder();
  const at = (name: string) => join(folder(), name);
  const save = (name: string, files: readonly TarFile[]) => writeAt(at(name), tarOf(files));

  for (const format of ["ustar", "pax", "gnu"]) {
    it(`reads what Python writes as ${format}: images, labels, long names`, async () => {
      const dataset = await openWebDataset(fixture(`${format}.tar`));
      const long = `animals/${"very-".repeat(24)}long/003.PNG`;
      const names = [0, 1, 2, 3, 4, 5].map((i) => (i === 3 ? long : `animals/00${i}.PNG`));
      assert.deepEqual(
        names.map((_, i) => dataset.item(i).id),
        names.map((name) => `${format}.tar/${name}`),
      );
      assert.deepEqual(dataset.classNames, ["0", "1", "2"]);
      for (let i = 0; i < 6; i++) {
        const { data, width } = await decode(dataset.item(i));
        assert.deepEqual([width, ...data.subarray(0, 3)], [4, 40 * i, 255 - 40 * i, 7]);
        assert.equal(dataset.item(i).label, i % 3);
      }
      assert.equal(dataset.size, 6, "links and folders are no images");
    });
  }

  it("groups neighbours by their paths up to the first dot; one image counts", async () => {
    await save("groups.tar", [
      { name: "a/1.seg.png", data: "a mask" },
      { name: "a/1.webp", data: "the image" },
      { name: "a/1.jpg", data: "another" },
      { name: "a/1.cls", data: "dog" },
      { name: "a.b/2.json", data: '{"label": "cat"}' },
      { name: "a.b/2.jpg", data: "the image" },
      { name: "3.cls", data: "7" },
      { name: "._4.jpg", data: "of macOS" },
      { name: "5.jpg", data: "the image" },
      { name: "5.json", data: "no JSON" },
      { name: "5.cls", data: " \n" },
    ]);
    const dataset = await openWebDataset(at("groups.tar"));
    const items = Array.from({ length: dataset.size }, (_, i) => dataset.item(i));
    assert.deepEqual(items.map(({ id, label }) => [id, label]), [
      ["groups.tar/a/1.webp", 1],
      ["groups.tar/a.b/2.jpg", 0],
      ["groups.tar/5.jpg", undefined],
    ]); // prettier-ignore
    assert.deepEqual(dataset.classNames, ["cat", "dog"]);
    assert.ok(
      items.every(({ within }) => within && "length" in within && within.length === "the image".length),
    );
  });

  it("puts numbers in their order, and has no classes where all are one", async () => {
    const labelled = (name: string, labels: readonly string[]) =>
      save(name, labels.flatMap((label, i) => [{ name: `${i}.cls`, data: label }, { name: `${i}.jpg`, data: "x" }])); // prettier-ignore
    await labelled("numbers.tar", ["10", "9", "100", "9"]);
    const dataset = await openWebDataset(at("numbers.tar"));
    assert.deepEqual(dataset.classNames, ["9", "10", "100"]);
    assert.deepEqual([0, 1, 2, 3].map((i) => dataset.item(i).label), [1, 0, 2, 0]); // prettier-ignore
    await labelled("alike.tar", ["1", "1"]);
    assert.equal((await openWebDataset(at("alike.tar"))).classNames, undefined);
  });

  it("has a block for each shard, and for each 1024 images of one", async () => {
    const images = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ name: `${i}.jpg`, data: "x" }));
    await save("blocks/0.tar", images(3));
    await save("blocks/1.tar", images(2050));
    await save("blocks/2.tar", [{ name: "note.txt", data: "no image" }]);
    const dataset = await openWebDataset(at("blocks"));
    assert.deepEqual([...dataset.blocks!.starts], [0, 3, 3 + 1024, 3 + 2048]);
    assert.equal(dataset.item(3).id, "1.tar/0.jpg");
    const some = await openWebDataset(at("blocks"), { limit: 5 });
    assert.deepEqual([0, 1, 2, 3, 4].map((i) => some.item(i).id), ["0.tar/0.jpg", "1.tar/407.jpg", "1.tar/818.jpg", "1.tar/1228.jpg", "1.tar/1639.jpg"]); // prettier-ignore
    assert.deepEqual([...some.blocks!.starts], [0, 1]);
  });

  it("has a fingerprint of names and labels, wherever the shards lie", async () => {
    const files = (first: string, second: string) => [
      { name: "1.cls", data: first },
      { name: "1.jpg", data: "x" },
      { name: "2.cls", data: second },
      { name: "2.jpg", data: "x" },
    ];
    await save("here/s.tar", files("3", "4"));
    await save("there/s.tar", files("3", "4"));
    await save("there/t.tar", files("3", "4"));
    await save("other/s.tar", files("4", "3"));
    const prints = await Promise.all(
      ["here", "there/s.tar", "there/t.tar", "other"].map(async (path) => (await openWebDataset(at(path))).fingerprint), // prettier-ignore
    );
    assert.equal(prints[0], prints[1]);
    assert.equal(new Set(prints).size, 3);
  });

  describe("refuses", () => {
    const refused = async (name: string, bytes: Uint8Array, message: RegExp) => {
      await writeAt(at(name), bytes);
      await assert.rejects(openWebDataset(at(name)), { code: "DATASET_SHARD", message });
    };
    let whole: Buffer;
    before(async () => {
      const image = await picture(20, 20).png().toBuffer();
      whole = tarOf([{ name: "1.png", data: image }, { name: "2.png", data: image }]); // prettier-ignore
    });

    it("a truncated archive, within a file and within a header", async () => {
      await refused("cut.tar", whole.subarray(0, 900), /cut\.tar: it is truncated: 1\.png would end/);
      await refused("cut2.tar", whole.subarray(0, Math.ceil(whole.length / 1024) * 512 - 200), /truncated|within the header/); // prettier-ignore
      await refused("cut3.tar", whole.subarray(0, 100), /within the header at byte 0/);
    });

    it("a damaged header, and what is no archive", async () => {
      const damaged = Buffer.from(whole);
      damaged[3]! ^= 1;
      await refused("first.tar", damaged, /it is no tar archive/);
      await refused("text.tar", Buffer.alloc(2048, "text"), /it is no tar archive/);
      const second = Buffer.from(whole);
      const at = second.indexOf("2.png");
      second[at]! ^= 1;
      await refused("second.tar", second, new RegExp(`the header at byte ${at} is damaged`));
    });

    it("a compressed archive, with the way out", async () => {
      await writeAt(at("packed.tar"), gzipSync(whole));
      await assert.rejects(openWebDataset(at("packed.tar")), {
        code: "DATASET_SHARD",
        message: /compressed with gzip/,
        fix: /unpack it to a plain \.tar/,
      });
    });

    it("shards without images, and a limit of nothing", async () => {
      await save("none.tar", [{ name: "1.txt", data: "no image" }]);
      await assert.rejects(openWebDataset(at("none.tar")), { code: "DATASET_EMPTY" });
      await writeAt(at("empty.tar"), "");
      await assert.rejects(openWebDataset(at("empty.tar")), { code: "DATASET_EMPTY" });
      await assert.rejects(openWebDataset(at("none.tar"), { limit: 0 }), { code: "DATASET_LIMIT" });
    });
  });
});
