import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { loadCuda } from "../../../core/engine/c-api.ts";

describe("loadCuda", () => {
  before(function () {
    if (process.platform !== "linux") this.skip();
  });

  it("loads files and what the system's loader knows by name", () => {
    loadCuda([]);
    loadCuda(["libc.so.6", "libm.so.6"]);
  });

  it("names the library that the loader does not find, the first in their order", () => {
    assert.throws(() => loadCuda(["libm.so.6", "libcublas.so.0", "libcudnn.so.0"]), {
      code: "CUDA_LIBRARY",
      message: /^libcublas\.so\.0, which TensorFlow needs.*cannot open shared object file/,
      fix: /relata setup --gpu/,
    });
  });

  it("keeps them in the process", async () => {
    const maps = () => readFileSync("/proc/self/maps", "utf8");
    const folder = mkdtempSync(path.join(tmpdir(), "relata-cuda-"));
    const file = path.join(folder, "libcufft.so.11");
    copyFileSync(/\S+\/libm[.-]\S+/.exec(maps())![0], file); // any library will do
    try {
      loadCuda([file]);
      setFlagsFromString("--expose-gc");
      (runInNewContext("gc") as () => void)();
      await new Promise((done) => setImmediate(done));
      assert.ok(maps().includes(file));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("names the file that is damaged", () => {
    const folder = mkdtempSync(path.join(tmpdir(), "relata-cuda-"));
    const file = path.join(folder, "libcufft.so.11");
    writeFileSync(file, "cut short");
    try {
      assert.throws(() => loadCuda([file]), { code: "CUDA_LIBRARY", message: /libcufft\.so\.11, which/ });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
