import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { examine, type Check } from "../../../core/engine/doctor.ts";
import { installLibrary } from "../../../core/engine/install.ts";
import { supportedPlatforms, thisPlatform } from "../../../core/engine/install/wheels.ts";
import { hasNvidiaDriver } from "../../../core/engine/nvidia.ts";
import { libraries as tensorFlowFiles, Machine, writeWheel } from "./fake-wheels.ts";

describe("examine", () => {
  let machine: Machine;
  beforeEach(() => (machine = new Machine()));
  afterEach(() => machine.dispose());

  const named = (checks: Check[], name: string): Check => {
    const check = checks.find((candidate) => candidate.name === name);
    assert.ok(check, name);
    return check;
  };

  before(function () {
    if (!supportedPlatforms(false).includes(thisPlatform())) this.skip();
  });

  it("says what is missing on an empty machine, and how to get it", async () => {
    const checks = await examine({ runDirectory: path.join(machine.folder, "runs") });
    assert.deepEqual(named(checks, "node"), { name: "node", ok: true, value: process.versions.node });
    assert.equal(named(checks, "platform").value, thisPlatform());
    const library = named(checks, "libtensorflow");
    assert.equal(library.ok, "warning");
    assert.match(library.value, /not installed; a download of \d+ MB/);
    assert.match(library.fix ?? "", /relata setup/);
    assert.match(named(checks, "pip").fix ?? "", /--wheel FILE/);
    assert.match(named(checks, "disk of the cache").value, /GB free, .*cache$/);
    assert.match(named(checks, "images").value, /libvips \d.*jpeg, png/);
    for (const check of checks.filter(({ ok }) => ok !== true)) assert.ok(check.fix, check.name);
  });

  it("names the library in use and warns about an untested version", async () => {
    await installLibrary({ wheel: writeWheel(machine.folder, { version: "2.19.1" }) });
    const untested = named(await examine(), "libtensorflow");
    assert.equal(untested.ok, "warning");
    assert.match(untested.value, /^2\.19\.1, cache, /);
    await installLibrary({ wheel: writeWheel(machine.folder, { version: "2.21.0" }) });
    const checks = await examine();
    assert.equal(named(checks, "libtensorflow").ok, true);
    assert.equal(named(checks, "pip").ok, true, "pip is no longer needed");
  });

  it("reports a wrong path as a failed check", async () => {
    writeFileSync(path.join(machine.folder, "empty"), "");
    const check = named(await examine({ path: path.join(machine.folder, "empty") }), "libtensorflow");
    assert.equal(check.ok, false);
    assert.match(check.value, /does not hold libtensorflow/);
    assert.ok(check.fix);
  });

  it("reads the driver from nvidia-smi, and fails for a GPU with an old one", async () => {
    const smi = (version: string): void =>
      machine.program("nvidia-smi", `console.log("${version}, NVIDIA T4\\n${version}, NVIDIA T4");`);
    smi("550.54.15");
    const fine = named(await examine({ gpu: true }), "nvidia driver");
    assert.deepEqual(fine, { name: "nvidia driver", ok: true, value: "550.54.15, NVIDIA T4, NVIDIA T4" });
    smi("470.82.01");
    assert.equal(named(await examine({ gpu: true }), "nvidia driver").ok, false);
    assert.equal(named(await examine(), "nvidia driver").ok, "warning");
  });

  describe("of what a GPU needs", () => {
    const driver = (): void => machine.program("nvidia-smi", `console.log("550.54.15, NVIDIA H100");`);
    const sonames =
      "cudart.so.12 cublasLt.so.12 cublas.so.12 cufft.so.11 cusparse.so.12 cusolver.so.11 cudnn.so.9".split(
        " ",
      );
    const install = (...libraries: string[]): Promise<unknown> => {
      const cuda = libraries.map((name) => [`nvidia/cuda/lib/lib${name}`, name]);
      const files = { ...tensorFlowFiles(), ...(Object.fromEntries(cuda) as Record<string, string>) };
      return installLibrary({ wheel: writeWheel(machine.folder, { name: "tensorflow", files }), gpu: true });
    };
    const cuda = async (gpu: boolean): Promise<Check | undefined> =>
      (await examine({ gpu })).find(({ name }) => name === "cuda libraries");

    before(function () {
      if (thisPlatform() !== "linux-x64" || hasNvidiaDriver()) this.skip();
    });

    it("says nothing where nothing speaks of one", async () => {
      assert.equal(await cuda(false), undefined);
    });

    it("tells that a GPU goes unused without the GPU build", async () => {
      driver();
      const check = await cuda(false);
      assert.equal(check?.ok, "warning");
      assert.match(check.value, /GPU build .* not installed/);
      assert.match(check.fix!, /relata setup --gpu/);
      assert.equal(await cuda(true), undefined, "the library's own check tells it");
      assert.match(named(await examine({ gpu: true }), "libtensorflow").fix!, /relata setup --gpu/);
    });

    it("counts the libraries that are there", async () => {
      driver();
      await install(...sonames);
      for (const gpu of [true, false]) {
        assert.deepEqual(await cuda(gpu), {
          name: "cuda libraries",
          ok: true,
          value: "7, of NVIDIA's wheels",
        });
      }
    });

    it("names those that no wheel brought", async () => {
      driver();
      await install(...sonames.filter((name) => !/cufft|cudnn/.test(name)));
      const check = await cuda(true);
      assert.equal(check?.ok, "warning");
      assert.equal(check.value, "not of NVIDIA's wheels: libcufft.so.11, libcudnn.so.9");
      assert.match(check.fix!, /LD_LIBRARY_PATH/);
    });

    it("tells of libraries without a driver, which fails where a GPU is asked for", async () => {
      await install(...sonames);
      assert.match((await cuda(false))!.value, /^7 in .*no NVIDIA driver: the CPU computes$/);
      assert.equal(named(await examine(), "nvidia driver").ok, true);
      const asked = named(await examine({ gpu: true }), "nvidia driver");
      assert.deepEqual([asked.ok, asked.value], [false, "none"]);
      assert.match(asked.fix!, /install NVIDIA's driver/);
    });
  });

  it("adds the checks of other parts", async () => {
    const check: Check = { name: "devices", ok: true, value: "CPU:0" };
    const checks = await examine({ extra: [() => Promise.resolve(check)] });
    assert.deepEqual(checks.at(-1), check);
  });
});
