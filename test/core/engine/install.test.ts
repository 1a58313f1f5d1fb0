import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import path from "node:path";
import { ensureLibrary, installLibrary, type InstallProgress } from "../../../core/engine/install.ts";
import { supportedPlatforms, thisPlatform } from "../../../core/engine/install/wheels.ts";
import { locateLibrary } from "../../../core/engine/library.ts";
import { CC, FRAMEWORK, libraries, Machine, TAG, writeWheel } from "./fake-wheels.ts";

describe("installLibrary", () => {
  let machine: Machine;
  let wheel: string;
  const name = `2.21.0-cpu-${thisPlatform()}`;
  const project = thisPlatform() === "linux-x64" ? "tensorflow-cpu" : "tensorflow";
  const inCache = (...parts: string[]): string => path.join(machine.cache, "tensorflow", ...parts);
  const listCache = (): string[] => readdirSync(inCache());
  const onlyLinuxX64 = (context: Mocha.Context): void =>
    void (thisPlatform() === "linux-x64" || context.skip());

  before(function () {
    if (!supportedPlatforms(false).includes(thisPlatform())) this.skip();
  });
  beforeEach(() => {
    machine = new Machine();
    wheel = writeWheel(path.join(machine.folder, "index"), { name: project.replace("-", "_") });
  });
  afterEach(() => machine.dispose());

  describe("with pip", () => {
    it("downloads the pinned wheel for this platform and keeps only its two libraries", async () => {
      machine.pip({ wheels: { [project]: wheel } });
      const library = await installLibrary();
      assert.equal(library.origin, "cache");
      assert.equal(library.version, "2.21.0");
      assert.equal(library.directory, inCache(name, "tensorflow"));
      assert.deepEqual(readdirSync(library.directory).sort(), [CC, FRAMEWORK].sort());
      assert.equal(readFileSync(library.cc, "utf8"), "cc".repeat(5000));
      assert.deepEqual(listCache(), [name], "nothing is left beside it");
      assert.deepEqual(locateLibrary(), library);

      const [args] = machine.downloads();
      assert.equal(args?.at(-1), `${project}==2.21.0`);
      for (const arg of ["--no-deps", "--only-binary=:all:", "--platform", "--python-version"]) {
        assert.equal(args?.includes(arg), true, arg);
      }
    });

    it("does not download what is there", async () => {
      machine.pip({ wheels: { [project]: wheel } });
      const first = await ensureLibrary();
      assert.deepEqual(await ensureLibrary(), first);
      assert.deepEqual(await installLibrary(), first);
      assert.equal(machine.downloads().length, 1);
    });

    for (const [version, how, bytes, total] of [
      ["26.0", "raw", 512, 1024],
      ["23.2.1", "off", 700, 1_500_000],
    ] as const) {
      it(`reports progress with pip ${version}`, async () => {
        machine.pip({ version, wheels: { [project]: wheel }, milliseconds: 600 });
        const seen: InstallProgress[] = [];
        await installLibrary({ onProgress: (progress) => seen.push(progress) });
        const [args] = machine.downloads();
        assert.equal(args?.[args.indexOf("--progress-bar") + 1], how);
        const item = path.basename(wheel);
        const downloads = seen.filter((progress) => progress.stage === "download");
        assert.deepEqual(downloads[0], { stage: "download", item, bytes: 0, total: 1_500_000 });
        assert.deepEqual(downloads.at(-1), { stage: "download", item, bytes, total });
        assert.deepEqual(
          seen.filter((progress) => progress.stage === "unpack" && progress.item === CC),
          [{ stage: "unpack", item: CC, bytes: 10_000, total: 10_000 }],
        );
      });
    }

    it("tells pip's last lines when a download fails, and leaves nothing behind", async () => {
      machine.pip({ fails: ["ERROR: No matching distribution found"] });
      await assert.rejects(installLibrary(), {
        code: "DOWNLOAD_FAILED",
        message:
          /pip 26\.0 \(pip\) could not download .*==2\.21\.0:\n {2}ERROR: No matching distribution found/,
      });
      assert.deepEqual(listCache(), []);
      machine.pip({ wheels: { [project]: wheel } });
      assert.equal((await installLibrary()).version, "2.21.0");
    });

    it("says that the disk is full", async () => {
      machine.pip({ fails: ["ERROR: Could not install: [Errno 28] No space left on device"] });
      await assert.rejects(installLibrary(), { code: "DISK_FULL" });
    });

    it("uses uv's pip where pip is missing or too old", async () => {
      await assert.rejects(installLibrary(), { code: "PIP_MISSING" });
      machine.pip({ version: "19.3.1" });
      await assert.rejects(installLibrary(), { code: "PIP_MISSING" });
      machine.pip({ version: "0.9.0", wheels: { [project]: wheel } }, "uvx");
      assert.equal((await installLibrary()).version, "2.21.0");
    });

    it("refuses a wheel that is not TensorFlow", async () => {
      machine.pip({ wheels: { [project]: writeWheel(machine.folder, { name: "numpy" }) } });
      await assert.rejects(installLibrary(), { code: "WHEEL_INVALID", message: /a wheel of "numpy"/ });
      assert.deepEqual(listCache(), []);
    });
  });

  describe("with a given wheel", () => {
    it("needs no pip and marks a wheel whose checksum is not known", async () => {
      const library = await installLibrary({ wheel });
      assert.equal(library.verified, false);
      assert.equal(library.version, "2.21.0");
      assert.equal(locateLibrary()?.verified, false);
    });

    it("takes another version", async () => {
      const library = await installLibrary({ wheel: writeWheel(machine.folder, { version: "2.19.1" }) });
      assert.equal(library.version, "2.19.1");
      assert.equal(library.directory, inCache(`2.19.1-cpu-${thisPlatform()}`, "tensorflow"));
    });

    it("compares a published wheel with its checksum", async () => {
      const published = writeWheel(machine.folder, { name: project.replace("-", "_"), build: "" });
      await assert.rejects(installLibrary({ wheel: published }), { code: "WHEEL_CHECKSUM" });
      assert.deepEqual(listCache(), []);
    });

    const invalid: [string, (folder: string) => string, RegExp][] = [
      ["no such file", (folder) => path.join(folder, "none.whl"), /not a readable wheel: ENOENT/],
      ["not a zip", (folder) => path.join(folder, "text.whl"), /not a readable wheel/],
      ["another project", (folder) => writeWheel(folder, { name: "torch" }), /a wheel of "torch"/],
      [
        "another platform",
        (folder) => writeWheel(folder, { tag: "cp311-cp311-win_amd64" }),
        /built for .*win_amd64/,
      ],
      [
        "without libraries",
        (folder) => writeWheel(folder, { files: { "tensorflow/a.py": "" } }),
        /does not contain/,
      ],
      [
        "damaged",
        (folder) => writeWheel(folder, { damaged: [`tensorflow/${CC}`] }),
        /damaged: tensorflow\/libtensor/,
      ],
    ];
    for (const [what, make, message] of invalid) {
      it(`refuses: ${what}`, async () => {
        writeFileSync(
          path.join(machine.folder, "text.whl"),
          "not a zip, but long enough to hold the end of one",
        );
        const given = make(machine.folder);
        await assert.rejects(installLibrary({ wheel: given }), { code: "WHEEL_INVALID", message });
        assert.equal(locateLibrary(), undefined);
      });
    }
  });

  describe("for a GPU", () => {
    const requires = [
      "numpy>=1.26.0",
      'nvidia-cublas-cu12<13.0,>=12.5.3.2; extra == "and-cuda"',
      'nvidia-cuda-nvcc-cu12 (<13.0,>=12.5.82) ; extra == "and-cuda"',
      'tensorboard; extra == "other"',
    ];
    const nvidiaWheel = (folder: string, part: string, files: string[]): string =>
      writeWheel(folder, {
        name: `nvidia_${part}_cu12`,
        version: "12.9.1",
        tag: "py3-none-manylinux_2_17_x86_64",
        files: Object.fromEntries(files.map((file) => [`nvidia/${part}/${file}`, file])),
      });
    const make = (folder: string): Record<string, string> => ({
      tensorflow: writeWheel(folder, { name: "tensorflow", requires }),
      "nvidia-cublas-cu12": nvidiaWheel(folder, "cublas", [
        "lib/libcublas.so.12",
        "lib/libcublasLt.so.12",
        "lib/libnvblas.so.12",
        "include/cublas.h",
      ]),
      "nvidia-cuda-nvcc-cu12": nvidiaWheel(folder, "cuda_nvcc", [
        "bin/ptxas",
        "bin/crt/link.stub",
        "nvvm/libdevice/libdevice.10.bc",
      ]),
    });
    const kept = [
      "nvidia/cublas/lib/libcublas.so.12",
      "nvidia/cublas/lib/libcublasLt.so.12",
      "nvidia/cuda_nvcc/bin/ptxas",
      "nvidia/cuda_nvcc/nvvm/libdevice/libdevice.10.bc",
      `tensorflow/${CC}`,
      `tensorflow/${FRAMEWORK}`,
    ];
    const keptFiles = (): string[] =>
      readdirSync(inCache("2.21.0-gpu-linux-x64"), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && entry.name !== "library.json")
        .map((entry) =>
          path.relative(inCache("2.21.0-gpu-linux-x64"), path.join(entry.parentPath, entry.name)),
        )
        .sort();

    it("adds CUDA's libraries from the wheels that TensorFlow's wheel asks for", async function () {
      onlyLinuxX64(this);
      machine.pip({ wheels: make(path.join(machine.folder, "index")) });
      const library = await installLibrary({ gpu: true });
      const unpacked = library.gpuLibraries.filter((file) => path.isAbsolute(file));
      const names = unpacked.map((file) => path.basename(file));
      assert.deepEqual(names, ["libcublasLt.so.12", "libcublas.so.12"]);
      assert.deepEqual(keptFiles(), kept);
      const ptxas = inCache("2.21.0-gpu-linux-x64", "nvidia/cuda_nvcc/bin/ptxas");
      assert.equal(statSync(ptxas).mode & 0o100, 0o100, "ptxas can be run");
      const [first, second] = machine.downloads();
      assert.equal(first?.at(-1), "tensorflow==2.21.0");
      assert.deepEqual(second?.slice(-2), [
        "nvidia-cublas-cu12<13.0,>=12.5.3.2",
        "nvidia-cuda-nvcc-cu12<13.0,>=12.5.82",
      ]);
    });

    it("takes them from beside a given wheel, without pip", async function () {
      onlyLinuxX64(this);
      const wheels = make(path.join(machine.folder, "mine"));
      await installLibrary({ gpu: true, wheel: wheels["tensorflow"]! });
      assert.deepEqual(keptFiles(), kept);
    });

    it("refuses the wheel for CPUs", async function () {
      onlyLinuxX64(this);
      await assert.rejects(installLibrary({ gpu: true, wheel }), {
        code: "WHEEL_INVALID",
        message: /for CPUs/,
      });
    });

    it("is not to be had elsewhere", async function () {
      if (thisPlatform() === "linux-x64") this.skip();
      await assert.rejects(installLibrary({ gpu: true }), { code: "PLATFORM_UNSUPPORTED" });
    });
  });

  describe("in a shared cache", () => {
    it("lets one of two installations work and the other wait for it", async () => {
      machine.pip({ wheels: { [project]: wheel }, milliseconds: 400 });
      const stages: string[] = [];
      const onProgress = ({ stage }: InstallProgress): void => void stages.push(stage);
      const [first, second] = await Promise.all([
        installLibrary({ onProgress }),
        installLibrary({ onProgress }),
      ]);
      assert.deepEqual(first, second);
      assert.equal(machine.downloads().length, 1);
      assert.equal(stages.includes("wait"), true);
      assert.deepEqual(listCache(), [name]);
    });

    it("takes over from a process that died", async () => {
      const dead = spawnSync(process.execPath, ["--version"]).pid;
      mkdirSync(inCache(`.partial-${name}`, "files", "tensorflow"), { recursive: true });
      writeFileSync(inCache(`.partial-${name}`, "files", "tensorflow", CC), "half");
      writeFileSync(
        inCache(`.partial-${name}`, "owner.json"),
        JSON.stringify({ pid: dead, host: hostname() }),
      );
      const library = await installLibrary({ wheel });
      assert.equal(readFileSync(library.cc, "utf8").length, 10_000);
      assert.deepEqual(listCache(), [name]);
    });

    it("takes over from another machine that fell silent, not from one at work", async () => {
      const partial = inCache(`.partial-${name}`);
      mkdirSync(partial, { recursive: true });
      writeFileSync(path.join(partial, "owner.json"), JSON.stringify({ pid: 1, host: "another" }));
      const waiting = new AbortController();
      const blocked = installLibrary({ wheel, signal: waiting.signal, onProgress: () => waiting.abort() });
      await assert.rejects(blocked, { name: "AbortError" });
      assert.equal(existsSync(partial), true);
      const minutesAgo = new Date(Date.now() - 300_000);
      utimesSync(partial, minutesAgo, minutesAgo);
      await installLibrary({ wheel });
      assert.deepEqual(listCache(), [name]);
    });

    it("stops when asked to, and leaves nothing that counts", async () => {
      machine.pip({ wheels: { [project]: wheel }, milliseconds: 60_000 });
      const stop = new AbortController();
      const onProgress = ({ stage }: InstallProgress): void => {
        if (stage === "download") stop.abort(new Error("enough"));
      };
      await assert.rejects(installLibrary({ signal: stop.signal, onProgress }), { message: "enough" });
      assert.deepEqual(listCache(), []);
      assert.equal(locateLibrary(), undefined);
    });

    it("replaces an installation that lost a file", async () => {
      await installLibrary({ wheel });
      writeFileSync(inCache(name, "tensorflow", CC), "cut short");
      assert.equal(locateLibrary(), undefined);
      const library = await installLibrary({ wheel });
      assert.equal(readFileSync(library.cc, "utf8").length, 10_000);
      assert.deepEqual(listCache(), [name]);
    });

    it("says so when the cache cannot be written", async () => {
      writeFileSync(path.join(machine.folder, "file"), "");
      process.env["RELATA_CACHE"] = path.join(machine.folder, "file", "cache");
      await assert.rejects(installLibrary({ wheel }), { code: "CACHE_NOT_WRITABLE", fix: /RELATA_CACHE/ });
    });
  });

  it("unpacks entries of every size", async () => {
    const big = "0123456789abcdef".repeat(1 << 20);
    const files = { ...libraries(), [`tensorflow/${CC}`]: big };
    const seen: number[] = [];
    const library = await installLibrary({
      wheel: writeWheel(machine.folder, { files, tag: TAG }),
      onProgress: ({ stage, item, bytes }) => void (stage === "unpack" && item === CC && seen.push(bytes)),
    });
    assert.equal(statSync(library.cc).size, big.length);
    assert.equal(seen.length > 1 && seen.at(-1) === big.length, true);
  });
});
