import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { examine, type Check } from "../../../core/engine/doctor.ts";
import { installLibrary } from "../../../core/engine/install.ts";
import { supportedPlatforms, thisPlatform } from "../../../core/engine/install/wheels.ts";
import { Machine, writeWheel } from "./fake-wheels.ts";

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

  it("adds the checks of other parts", async () => {
    const check: Check = { name: "devices", ok: true, value: "CPU:0" };
    const checks = await examine({ extra: [() => Promise.resolve(check)] });
    assert.deepEqual(checks.at(-1), check);
  });
});
