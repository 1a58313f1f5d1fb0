/** NumPy, safetensors and pyarrow read the files of `relata embed`. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { embed } from "../../index.ts";
import { readBack } from "../core/embeddings/read-back.ts";
import { tinyCheckpoint } from "../core/run/tiny-checkpoint.ts";
import { pictureFolder } from "../core/trainer/runs.ts";
import { temporaryFolder } from "../core/trainer/temporary-folder.ts";
import { pythonWith } from "./python-with.ts";

const program = fileURLToPath(new URL("read_features.py", import.meta.url));

describe("files of features", function () {
  this.timeout(120_000);
  const pictures = pictureFolder();
  const base = temporaryFolder();
  const python = pythonWith("numpy, safetensors, pyarrow");

  it("are read by Python's libraries", async () => {
    const run = await tinyCheckpoint(base());
    const files = ["parquet", "npy", "safetensors"].map((ending) => join(base(), `x.${ending}`));
    for (const out of files) {
      const set = ["train.engine=eager", "train.backend=cpu"];
      await embed(run.path, join(pictures(), "images"), { out, batchSize: 4, set });
    }
    const { status, stdout, stderr } = spawnSync(python(), [program, ...files], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
    const read = JSON.parse(stdout) as Record<string, unknown>[];
    for (const [i, file] of files.entries()) {
      const { features, ...rest } = await readBack(file);
      assert.deepEqual(read[i], { dtype: "float32", features: Array.from(features), ...rest }, file);
    }
  });
});
