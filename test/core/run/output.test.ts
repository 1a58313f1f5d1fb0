import assert from "node:assert/strict";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeOutputs } from "../../../core/run/output.ts";
import { temporaryFolder } from "../trainer/temporary-folder.ts";
import { coded } from "../trainer/tiny.ts";

describe("makeOutputs", () => {
  const folder = temporaryFolder();
  const at = (name: string) => join(folder(), name);

  it("shows files and folders when all of them are whole", async () => {
    await mkdir(at("b"));
    const made = await makeOutputs([at("sub/a.txt"), at("b")], async ([file, inFolder]) => {
      await writeFile(file!, "a");
      await mkdir(inFolder!);
      await writeFile(join(inFolder!, "c.txt"), "c");
      assert.deepEqual(
        [await readdir(at("sub")), await readdir(at("b"))],
        [[`a.txt.${process.pid}.part`], []],
      );
      return 7;
    });
    assert.equal(made, 7);
    assert.equal(await readFile(at("sub/a.txt"), "utf8"), "a");
    assert.equal(await readFile(at("b/c.txt"), "utf8"), "c");
    assert.deepEqual((await readdir(folder())).sort(), ["b", "sub"]);
  });

  it("leaves nothing after an error", async () => {
    const failing = makeOutputs([at("a"), at("b")], async ([a, b]) => {
      await writeFile(a!, "half");
      await mkdir(b!);
      throw new TypeError("broken");
    });
    await assert.rejects(failing, new TypeError("broken"));
    assert.deepEqual(await readdir(folder()), []);

    // The second is not there: the first has its name already.
    const half = makeOutputs([at("a"), at("b")], ([a]) => writeFile(a!, "whole"));
    await assert.rejects(half, { code: "ENOENT" });
    assert.deepEqual(await readdir(folder()), []);
  });

  it("never writes over something", async () => {
    await writeFile(at("file"), "mine");
    await mkdir(at("full/of"), { recursive: true });
    for (const name of ["file", "full"]) {
      const work = makeOutputs([at("new"), at(name)], () => assert.fail("was begun"));
      await assert.rejects(work, coded("OUTPUT_EXISTS", at(name)));
    }
    assert.equal(await readFile(at("file"), "utf8"), "mine");
  });

  it("tells what the disk refuses", async () => {
    await writeFile(at("file"), "");
    const below = makeOutputs([at("file/below/x")], () => Promise.resolve());
    await assert.rejects(below, coded("OUTPUT_WRITE", "ENOTDIR"));
    const full = Object.assign(new Error("ENOSPC: no space left"), { code: "ENOSPC" });
    await assert.rejects(
      makeOutputs([at("y")], () => Promise.reject(full)),
      coded("OUTPUT_WRITE", at("y"), "no space left"),
    );
  });
});
