import assert from "node:assert/strict";
import { join } from "node:path";
import { expandBraces, findShards } from "../../../core/data/shards.ts";
import { temporaryFolder, writeAt } from "./image-files.ts";

describe("shards", () => {
  const folder = temporaryFolder();
  before(async () => {
    for (const name of ["b-001.tar", "b-000.tar", "deep/c.TAR", ".hidden.tar", "note.txt", "{odd}.tar"])
      await writeAt(join(folder(), name), "");
  });
  const found = async (...paths: string[]) => {
    const { shards } = await findShards(
      paths.map((path) => join(folder(), path)),
      ".tar",
    );
    return shards.map(({ name }) => name);
  };

  it("are those of a folder, in order of their paths", async () => {
    assert.deepEqual(await found(""), ["b-000.tar", "b-001.tar", "deep/c.TAR", "{odd}.tar"]);
  });

  it("are those of a pattern, or of a list, each once, in its order", async () => {
    assert.deepEqual(await found("b-{000..001}.tar"), ["b-000.tar", "b-001.tar"]);
    assert.deepEqual(await found("b-*.tar"), ["b-000.tar", "b-001.tar"]);
    assert.deepEqual(await found("b-00?.tar", "b-000.tar"), ["b-000.tar", "b-001.tar"]);
    assert.deepEqual(await found("deep/*.TAR", "b-001.tar"), ["deep/c.TAR", "b-001.tar"]);
    assert.deepEqual(await found("{odd}.tar"), ["{odd}.tar"], "a file of that very name");
  });

  it("have names without the folder that all lie in", async () => {
    const { name, shards } = await findShards(join(folder(), "deep"), ".tar");
    assert.deepEqual([name, shards], ["c.TAR", [{ name: "c.TAR", path: join(folder(), "deep", "c.TAR") }]]);
    assert.equal((await findShards(join(folder(), "b-*.tar"), ".tar")).name, folder().split("/").at(-1));
  });

  it("that are not there are refused, by name", async () => {
    for (const path of ["b-{000..002}.tar", "x*.tar", "nowhere", "nowhere/*.tar", "deep/x/"])
      await assert.rejects(found(path), { code: "DATASET_SHARDS_MISSING", message: /b-002|x|nowhere/ });
    await assert.rejects(found("b-{0..999999}.tar"), { code: "CONFIG_INVALID", message: /more than 100000/ });
    await assert.rejects(found("{0..999}{0..999}.tar"), { code: "CONFIG_INVALID" });
  });

  it("of braces are as wide as they are written", () => {
    assert.deepEqual(expandBraces("a{08..11}"), ["a08", "a09", "a10", "a11"]);
    assert.deepEqual(expandBraces("{8..10}"), ["8", "9", "10"]);
    assert.deepEqual(expandBraces("{a,bc,}-{1..2}.tar"), ["a-1.tar", "a-2.tar", "bc-1.tar", "bc-2.tar", "-1.tar", "-2.tar"]); // prettier-ignore
    assert.deepEqual(expandBraces("{one}{2..1}"), []);
    assert.deepEqual(expandBraces("{one}{x..y}{"), ["{one}{x..y}{"]);
  });
});
