import assert from "node:assert/strict";
import { mkdir, readdir, readFile, rename, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  FolderCheckpoints,
  readCheckpoint,
  valuesFor,
  type Checkpoint,
} from "../../../core/trainer/checkpoint.ts";
import { coded } from "./tiny.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const checkpoint = (step: number, fill = step): Checkpoint => ({
  step,
  epoch: step / 4,
  settings: { config: { seed: 3 }, plugins: { dino: { outDim: 8 }, own: {} } },
  dataset: "0123456789ab",
  notes: { untrained: { "knn/top1": 0.25 } },
  tensors: [
    { name: "student/a", shape: [2, 3], values: new Float32Array(6).fill(fill) },
    { name: "adam.step/main", shape: [], values: Float32Array.of(step) },
  ],
});

const nameOf = (step: number) => `step-${String(step).padStart(8, "0")}`;

describe("checkpoints in a folder", () => {
  const base = temporaryFolder();
  const folder = () => join(base(), "run", "checkpoints");
  const tensorsOf = (step: number) => join(folder(), `${nameOf(step)}.safetensors`);
  const files = () => readdir(folder());
  const refuse = (error: Error) => assert.fail(String(error));

  async function save(...steps: number[]): Promise<FolderCheckpoints> {
    const store = new FolderCheckpoints(folder(), { keepLast: 2 });
    for (const step of steps) await store.save(checkpoint(step));
    return store;
  }

  it("come back as they were, with folders made and the path told", async () => {
    const store = new FolderCheckpoints(folder(), { keepLast: 2 });
    const path = await store.save(checkpoint(5));
    assert.equal(path, join(folder(), "step-00000005.json"));
    assert.deepEqual(await store.latest(refuse), checkpoint(5));
    assert.deepEqual(await readCheckpoint(path), checkpoint(5));
    assert.deepEqual(await files(), ["step-00000005.json", "step-00000005.safetensors"]);
  });

  it("are none in a folder that is empty or not there", async () => {
    const store = new FolderCheckpoints(folder(), { keepLast: 2 });
    assert.equal(await store.latest(refuse), undefined);
    await mkdir(folder(), { recursive: true });
    assert.equal(await store.latest(refuse), undefined);
  });

  it("keep the last ones and the newest is found, in the order of steps", async () => {
    const store = await save(9, 10, 100);
    assert.deepEqual(
      await files(),
      [10, 100].flatMap((s) => [`${nameOf(s)}.json`, `${nameOf(s)}.safetensors`]),
    );
    assert.equal((await store.latest(refuse))!.step, 100);
  });

  it("are replaced when a step is saved again", async () => {
    const store = await save(4, 8);
    await store.save(checkpoint(8, -1));
    assert.deepEqual(await store.latest(refuse), checkpoint(8, -1));
    assert.equal((await files()).length, 4);
  });

  it("do not exist before the JSON is in its place: what a crash leaves behind is passed over", async () => {
    const store = await save(4);
    const dir = folder();
    await writeFile(join(dir, `${nameOf(8)}.safetensors.part`), "half");
    await writeFile(join(dir, `${nameOf(8)}.json.part`), "{");
    await writeFile(join(dir, `${nameOf(9)}.safetensors`), "whole, but without its JSON");
    assert.equal((await store.latest(refuse))!.step, 4);
    await store.save(checkpoint(8));
    assert.deepEqual(await store.latest(refuse), checkpoint(8));
  });

  for (const [damage, harm] of [
    ["cut off", (path: string) => truncate(path, 150)],
    ["empty", (path: string) => truncate(path, 0)],
    [
      "changed by one bit",
      async (path: string) => {
        const bytes = await readFile(path);
        bytes[bytes.length - 3]! ^= 1;
        await writeFile(path, bytes);
      },
    ],
    ["gone", (path: string) => rename(path, `${path}.away`)],
    [
      "of another save",
      async (path: string) => {
        const other = new FolderCheckpoints(join(base(), "other"), { keepLast: 1 });
        const json = await other.save(checkpoint(8, 99));
        await writeFile(path, await readFile(json.replace(".json", ".safetensors")));
      },
    ],
  ] as const) {
    it(`whose tensors are ${damage} are told, and the one before is taken`, async () => {
      const store = await save(4, 8);
      await harm(tensorsOf(8));
      const damaged: Error[] = [];
      assert.deepEqual(await store.latest((error) => damaged.push(error)), checkpoint(4));
      assert.equal(damaged.length, 1);
      assert.ok(coded("CHECKPOINT_DAMAGED", nameOf(8))(damaged[0]), String(damaged[0]));
    });
  }

  it("whose JSON is no JSON, or of a later format, are told as well", async () => {
    const store = await save(4, 8);
    const json = join(folder(), `${nameOf(8)}.json`);
    const manifest = JSON.parse(await readFile(json, "utf8")) as object;
    for (const content of ["{", "[]", JSON.stringify({ ...manifest, format: 3 })]) {
      await writeFile(json, content);
      const damaged: Error[] = [];
      assert.equal((await store.latest((error) => damaged.push(error)))!.step, 4);
      assert.ok(coded("CHECKPOINT_DAMAGED")(damaged[0]), content);
    }
  });

  it("are none where all are damaged", async () => {
    const store = await save(4, 8);
    for (const step of [4, 8]) await truncate(tensorsOf(step), 10);
    const damaged: Error[] = [];
    assert.equal(await store.latest((error) => damaged.push(error)), undefined);
    assert.equal(damaged.length, 2);
  });

  it("that were damaged and gone back from do not push out those of the steps trained again", async () => {
    for (const keepLast of [1, 2]) {
      const store = new FolderCheckpoints(folder(), { keepLast });
      await store.save(checkpoint(4));
      await new FolderCheckpoints(folder(), { keepLast: 9 }).save(checkpoint(100));
      await truncate(tensorsOf(100), 10);
      assert.equal((await store.latest(() => undefined))!.step, 4);
      await store.save(checkpoint(6));
      assert.deepEqual(await store.latest(refuse), checkpoint(6));
      const steps = keepLast === 1 ? [6] : [4, 6];
      assert.deepEqual(
        await files(),
        steps.flatMap((s) => [`${nameOf(s)}.json`, `${nameOf(s)}.safetensors`]),
      );
    }
  });

  it("that cannot be written are an error, with what was there before untouched and nothing half written left", async () => {
    const store = await save(4);
    const before = await files();
    await mkdir(tensorsOf(8)); // renaming onto a folder fails
    await assert.rejects(store.save(checkpoint(8)), coded("CHECKPOINT_WRITE", nameOf(8)));
    assert.deepEqual(await files(), [...before, `${nameOf(8)}.safetensors`]);
    assert.deepEqual(await store.latest(refuse), checkpoint(4));
  });

  it("below a file in the place of the folder are an error", async () => {
    await writeFile(join(base(), "run"), "no folder");
    const store = new FolderCheckpoints(folder(), { keepLast: 2 });
    await assert.rejects(store.save(checkpoint(4)), coded("CHECKPOINT_WRITE", folder()));
  });
});

describe("valuesFor", () => {
  const variables = (shapes: Record<string, number[]>) =>
    Object.entries(shapes).map(([name, shape]) => ({ name, shape }));

  it("gives the values by name", () => {
    const values = valuesFor(checkpoint(5), variables({ "adam.step/main": [], "student/a": [2, 3] }));
    assert.deepEqual([...values.get("student/a")!], [5, 5, 5, 5, 5, 5]);
    assert.deepEqual([...values.get("adam.step/main")!], [5]);
  });

  it("refuses another model, naming what is missing, too many and of another shape", () => {
    const other = variables({
      "student/a": [3, 2],
      "student/b": [1],
      "student/c": [1],
      "student/d": [1],
      "student/e": [1],
    });
    assert.throws(
      () => valuesFor(checkpoint(5), other),
      coded(
        "CHECKPOINT_MISMATCH",
        "of another shape: student/a [2, 3] here [3, 2]",
        "missing: student/b, student/c, student/d and 1 more",
        "not in this model: adam.step/main",
      ),
    );
  });
});
