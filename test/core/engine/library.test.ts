import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { installLibrary } from "../../../core/engine/install.ts";
import { thisPlatform } from "../../../core/engine/install/wheels.ts";
import { notInWheels } from "../../../core/engine/cuda.ts";
import { cacheDirectory, locateLibrary, quietEnvironment } from "../../../core/engine/library.ts";
import { CC, FRAMEWORK, Machine, writeWheel } from "./fake-wheels.ts";

describe("locateLibrary", () => {
  let machine: Machine;
  beforeEach(() => (machine = new Machine()));
  afterEach(() => machine.dispose());

  const write = (...parts: string[]): void => {
    const file = path.join(machine.folder, ...parts);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, "library");
  };
  const writeLibrary = (...folder: string[]): string => {
    write(...folder, CC);
    write(...folder, FRAMEWORK);
    return path.join(machine.folder, ...folder);
  };
  const install = (version: string): Promise<unknown> =>
    installLibrary({ wheel: writeWheel(machine.folder, { version }) });
  const python = (directory: string, name = "python3"): void =>
    machine.program(
      name,
      `require("node:fs").writeFileSync(${JSON.stringify(path.join(machine.folder, "asked"))}, "");
       console.log(${JSON.stringify(directory)});`,
    );

  it("finds nothing on an empty machine", () => {
    assert.equal(locateLibrary(), undefined);
    assert.equal(locateLibrary({ gpu: true }), undefined);
  });

  it("takes the given folder, then the environment's", () => {
    const mine = writeLibrary("mine");
    const other = writeLibrary("site-packages", "tensorflow");
    process.env["RELATA_TENSORFLOW"] = path.join(machine.folder, "site-packages");
    const option = locateLibrary({ path: mine });
    assert.equal(option?.origin, "option");
    assert.equal(option?.cc, path.join(mine, CC));
    assert.equal(option?.framework, path.join(mine, FRAMEWORK));
    assert.equal(option?.version, undefined);
    const environment = locateLibrary();
    assert.equal(environment?.origin, "environment");
    assert.equal(environment?.directory, other, "the package folder inside the given one");
  });

  it("refuses a given folder without a library instead of looking on", async () => {
    await install("2.21.0");
    const empty = path.join(machine.folder, "empty");
    mkdirSync(empty);
    assert.throws(() => locateLibrary({ path: empty }), {
      code: "LIBRARY_PATH",
      message: /the given path .*empty/,
    });
    process.env["RELATA_TENSORFLOW"] = empty;
    assert.throws(() => locateLibrary(), { code: "LIBRARY_PATH", message: /RELATA_TENSORFLOW .*empty/ });
  });

  it("knows the names of tfjs-node-gpu and reads the version from the file behind the link", function () {
    if (process.platform !== "linux") this.skip();
    write("deps", "lib", "libtensorflow.so.2");
    write("deps", "lib", "libtensorflow_framework.so.2.9.1");
    const folder = path.join(machine.folder, "deps", "lib");
    symlinkSync("libtensorflow_framework.so.2.9.1", path.join(folder, "libtensorflow_framework.so.2"));
    const library = locateLibrary({ path: folder });
    assert.equal(library?.cc, path.join(folder, "libtensorflow.so.2"));
    assert.equal(library?.version, "2.9.1");
  });

  describe("in the cache", () => {
    it("prefers the tested version, then the newest", async () => {
      await install("2.9.1");
      await install("2.22.0");
      assert.equal(locateLibrary()?.version, "2.22.0");
      await install("2.21.0");
      const library = locateLibrary();
      assert.equal(library?.version, "2.21.0");
      assert.equal(library?.origin, "cache");
      assert.equal(library?.directory.startsWith(machine.cache), true);
    });

    it("leaves out a folder that is cut short, incomplete or half made", async () => {
      await install("2.21.0");
      await install("2.9.1");
      const folder = path.join(machine.cache, "tensorflow", `2.21.0-cpu-${thisPlatform()}`);
      truncateSync(path.join(folder, "tensorflow", CC), 10);
      assert.equal(locateLibrary()?.version, "2.9.1");
      rmSync(path.join(machine.cache, "tensorflow", `2.9.1-cpu-${thisPlatform()}`, "library.json"));
      writeLibrary("cache", "tensorflow", `.partial-2.21.0-cpu-${thisPlatform()}`, "files", "tensorflow");
      assert.equal(locateLibrary(), undefined);
    });

    it("takes a GPU build for the CPU, but no CPU build for the GPU", async function () {
      if (thisPlatform() !== "linux-x64") this.skip();
      await install("2.21.0");
      assert.equal(locateLibrary({ gpu: true }), undefined);
      const wheel = writeWheel(machine.folder, { name: "tensorflow", version: "2.20.0" });
      await installLibrary({ wheel, gpu: true });
      assert.equal(locateLibrary({ gpu: true })?.version, "2.20.0");
      assert.equal(locateLibrary()?.version, "2.21.0");
      rmSync(path.join(machine.cache, "tensorflow", "2.21.0-cpu-linux-x64"), { recursive: true });
      assert.equal(locateLibrary()?.version, "2.20.0");
    });
  });

  describe("in Python", () => {
    it("asks for the package's folder and reads the version beside it", () => {
      const folder = writeLibrary("site", "tensorflow");
      mkdirSync(path.join(machine.folder, "site", "tensorflow_cpu-2.20.0.dist-info"));
      python(folder);
      const library = locateLibrary();
      assert.equal(library?.origin, "python");
      assert.equal(library?.directory, folder);
      assert.equal(library?.version, "2.20.0");
      assert.equal(locateLibrary({ gpu: true }), undefined, "tensorflow-cpu cannot use a GPU");
    });

    it("is not asked when something was found before", async () => {
      python(writeLibrary("site", "tensorflow"));
      await install("2.21.0");
      assert.equal(locateLibrary()?.origin, "cache");
      assert.equal(existsSync(path.join(machine.folder, "asked")), false);
    });

    it("may fail, or have a TensorFlow without the library", () => {
      machine.program("python3", "process.exit(1);");
      assert.equal(locateLibrary(), undefined);
      python(path.join(machine.folder, "elsewhere"), "python");
      assert.equal(locateLibrary(), undefined);
      assert.equal(existsSync(path.join(machine.folder, "asked")), true, "python is asked after python3");
    });

    it("finds an installed package without importing it, not a folder of that name", function () {
      machine.dispose();
      const real = spawnSync("python3", ["--version"]).status === 0;
      const found = process.env["PATH"];
      machine = new Machine();
      if (!real) this.skip();
      process.env["PATH"] = found;
      const site = path.join(machine.folder, "site");
      writeLibrary("site", "tensorflow");
      process.env["PYTHONPATH"] = site;
      assert.notEqual(
        locateLibrary()?.directory,
        path.join(site, "tensorflow"),
        "no __init__.py: not a package",
      );
      writeFileSync(path.join(site, "tensorflow", "__init__.py"), "raise SystemExit(1)");
      assert.equal(locateLibrary()?.directory, path.join(site, "tensorflow"));
    });
  });

  it("refuses a given tensorflow-cpu for a GPU", () => {
    const folder = writeLibrary("site", "tensorflow");
    mkdirSync(path.join(machine.folder, "site", "tensorflow_cpu-2.21.0.dist-info"));
    process.env["RELATA_TENSORFLOW"] = folder;
    assert.equal(locateLibrary()?.directory, folder);
    assert.throws(() => locateLibrary({ gpu: true }), { code: "CPU_BUILD", message: /RELATA_TENSORFLOW/ });
  });

  it("lists CUDA's libraries, each after those it links to", () => {
    const folder = writeLibrary("site", "tensorflow");
    write("site", "nvidia", "cublas", "lib", "libcublas.so.12");
    write("site", "nvidia", "cublas", "lib", "libcublasLt.so.12");
    write("site", "nvidia", "cublas", "lib", "libnvblas.so.12");
    write("site", "nvidia", "cuda_runtime", "lib", "libcudart.so.12");
    write("site", "nvidia", "cudnn", "lib", "libcudnn.so.9");
    write("site", "nvidia", "cudnn", "lib", "libcudnn_ops.so.9");
    write("site", "nvidia", "cusolver", "lib", "libcusolver.so.11");
    write("site", "nvidia", "cusparse", "lib", "libcusparse.so.12");
    write("site", "nvidia", "nvjitlink", "lib", "libnvJitLink.so.12");
    write("site", "nvidia", "cuda_nvcc", "bin", "ptxas");
    write("site", "nvidia", "cu13", "lib", "libcublas.so.13"); // another program's CUDA
    const libraries = locateLibrary({ path: folder, gpu: true })!.gpuLibraries;
    const names = libraries.map((file) => path.basename(file));
    assert.deepEqual(names, [
      "libcudart.so.12",
      "libnvJitLink.so.12",
      "libcublasLt.so.12",
      "libcublas.so.12",
      "libcufft.so.11",
      "libcusparse.so.12",
      "libcusolver.so.11",
      "libcudnn.so.9",
    ]);
    assert.deepEqual(notInWheels(libraries), ["libcufft.so.11"], "left to the system's loader");
    assert.deepEqual(locateLibrary({ path: folder })?.gpuLibraries, []);
  });

  it("has its cache in RELATA_CACHE, or where the platform keeps caches", () => {
    assert.equal(cacheDirectory(), machine.cache);
    delete process.env["RELATA_CACHE"];
    if (process.platform === "darwin") {
      assert.equal(cacheDirectory(), path.join(homedir(), "Library", "Caches", "relata"));
      return;
    }
    process.env["XDG_CACHE_HOME"] = "/caches";
    assert.equal(cacheDirectory(), path.join("/caches", "relata"));
    delete process.env["XDG_CACHE_HOME"];
    assert.equal(cacheDirectory(), path.join(homedir(), ".cache", "relata"));
  });

  it("quiets TensorFlow unless the user wants to hear it", () => {
    delete process.env["TF_CPP_MIN_LOG_LEVEL"];
    quietEnvironment();
    assert.equal(process.env["TF_CPP_MIN_LOG_LEVEL"], "2");
    process.env["TF_CPP_MIN_LOG_LEVEL"] = "0";
    quietEnvironment();
    assert.equal(process.env["TF_CPP_MIN_LOG_LEVEL"], "0");
  });
});
