import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openWeights } from "../../../core/weights/open.ts";
import { openPyTorch } from "../../../core/weights/pytorch.ts";
import { coded } from "../trainer/tiny.ts";
import { temporaryFolder } from "../trainer/temporary-folder.ts";
import { fixturePath, golden } from "./fixtures.ts";

describe("tensors of torch.save", () => {
  const folder = temporaryFolder();

  it("have their values, of every type, and through every offset and stride", async () => {
    const { tensors } = await openPyTorch(fixturePath("odd.pth"));
    const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    const numbers = { nan: NaN, inf: Infinity, "-inf": -Infinity } as Record<string, number>;
    for (const [name, { shape, values }] of Object.entries(golden.tensors)) {
      const tensor = byName.get(name)!;
      const wanted = Float32Array.from(values, (text) => numbers[text] ?? Number(text));
      assert.deepEqual(
        { name, shape: tensor.shape, values: await tensor.read() },
        { name, shape, values: wanted },
      );
    }
  });

  it("have the names of all dictionaries around them; lists and numbers have none", async () => {
    const { tensors } = await openPyTorch(fixturePath("odd.pth"));
    const others = tensors.map(({ name }) => name).filter((name) => !(name in golden.tensors));
    assert.deepEqual(others, ["nested.deeper.one"]);
    const { tensors: dino } = await openPyTorch(fixturePath("dino.pth"));
    const first = dino.map(({ name }) => name.split(".")[0]);
    assert.deepEqual([...new Set(first)], ["student", "teacher", "dino_loss"], "not the optimizer, not args");
  });

  it("that do not become float32, and views larger than their storage, are left out and told", async () => {
    const { skipped } = await openPyTorch(fixturePath("odd.pth"));
    assert.deepEqual(Object.fromEntries(skipped.map(({ name, reason }) => [name, reason])), {
      complex: "torch.ComplexFloatStorage",
      repeated: "a view that repeats its values",
      sparse: "torch._utils._rebuild_sparse_tensor",
      u16: "torch._utils._rebuild_tensor_v3",
    });
  });

  describe("are refused", () => {
    const refused = async (bytes: Uint8Array, ...expected: readonly [string, ...string[]]) => {
      const path = join(folder(), "weights.pth");
      await writeFile(path, bytes);
      await assert.rejects(openWeights(path), coded(...expected));
    };
    const changed = async (from: string, to: string) => {
      const bytes = await readFile(fixturePath("dino.pth"));
      const at = bytes.indexOf(from);
      assert.ok(at > 0);
      bytes.write(to, at, "latin1");
      return bytes;
    };

    it("in the form from before PyTorch 1.6, as a whole module, and without a transformer", async () => {
      await assert.rejects(
        openWeights(fixturePath("old.pth")),
        coded("WEIGHTS_FORMAT", "before PyTorch 1.6"),
      );
      await assert.rejects(
        openWeights(fixturePath("module.pth")),
        coded("WEIGHTS_FORMAT", "an object of torch.nn.modules.linear.Linear"),
      );
      await assert.rejects(
        openWeights(fixturePath("tensor.pth")),
        coded("WEIGHTS_FORMAT", "no vision transformer"),
      );
      await assert.rejects(openWeights(fixturePath("odd.pth")), coded("WEIGHTS_FORMAT", "but transposed"));
    });

    it("from a big-endian machine", async () => {
      await refused(await changed("little", "big   "), "WEIGHTS_FORMAT");
    });

    it("where the file ends early, or its storages are missing or too short", async () => {
      const bytes = await readFile(fixturePath("dino.pth"));
      for (const length of [4, 22, 1000, bytes.length - 1])
        await refused(bytes.subarray(0, length), "WEIGHTS_DAMAGED");
      // The last name in the zip's directory.
      const at = bytes.lastIndexOf("dino/data/3");
      bytes.write("x", at + 10, "latin1");
      await refused(bytes, "WEIGHTS_DAMAGED", "are missing");
    });

    it("where a zip is another's", async () => {
      const bytes = await changed("dino/data.pkl", "dino/data.txt");
      bytes.write("dino/data.txt", bytes.lastIndexOf("dino/data.pkl"), "latin1");
      await refused(bytes, "WEIGHTS_FORMAT", "torch.save did not write");
    });
  });
});
