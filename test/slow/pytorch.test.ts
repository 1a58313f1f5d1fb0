/** The PyTorch step that bench:compare measures against computes what the official code does, and what we do. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findPython, pytorchFolder } from "../../benchmarks/baselines/python.ts";
import { styles } from "../../benchmarks/baselines/pytorch-side.ts";
import { parseResult } from "../../benchmarks/result.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const fixtures = join(root, "test/fixtures/parity");

describe("the PyTorch baseline", function () {
  this.timeout(600_000);
  let python: string;

  before(function () {
    const found = findPython();
    if (found !== undefined) {
      python = found;
      return;
    }
    process.stderr.write(
      "skipped: no Python has torch; name one by RELATA_PYTHON, or run bench:compare once\n",
    );
    this.skip();
  });

  const check = (folder: string) =>
    spawnSync(python, ["-m", "baseline", "check", folder], {
      encoding: "utf8",
      env: { ...process.env, PYTHONPATH: pytorchFolder, PYTHONDONTWRITEBYTECODE: "1" },
    });

  it("agrees with the golden values of the official code", () => {
    const { status, stdout, stderr } = check(fixtures);
    assert.equal(status, 0, stdout + stderr);
    for (const style of styles) assert.match(stdout, new RegExp(`${style} sere: gradients`));
  });

  it("says which golden value is off", () => {
    const folder = mkdtempSync(join(tmpdir(), "relata-fixtures-"));
    try {
      for (const file of readdirSync(fixtures)) copyFileSync(join(fixtures, file), join(folder, file));
      const facts = JSON.parse(readFileSync(join(folder, "sere.json"), "utf8")) as {
        step: { pixel: number };
      };
      facts.step.pixel *= 1.001;
      writeFileSync(join(folder, "sere.json"), JSON.stringify(facts));
      const { status, stdout, stderr } = check(folder);
      assert.equal(status, 1, stderr);
      for (const style of styles) assert.match(stdout, new RegExp(`${style} sere: losses .* pixel {2}OFF`));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  for (const [style, precision] of styles.flatMap((style) => [
    [style, "fp32"] as const,
    [style, "bf16"] as const,
  ]))
    it(`makes relata's steps in ${precision}, ${style}`, () => {
      const sizes = "--arch vit-tiny --depth 2 --batch 2 --locals 3 --out-dim 256 --steps 2".split(" ");
      const script = ["--import", "tsx", "--conditions=relata-source", "benchmarks/compare.ts"];
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [...script, ...sizes, "--precision", precision, "--style", style, "--python", python],
        { cwd: root, encoding: "utf8" },
      );
      assert.equal(status, 0, stderr);
      const { samples, figures, subject } = parseResult(stdout, "bench:compare");
      assert.equal(subject["style"], style);
      for (const phase of ["forward", "gradients", "step"])
        for (const side of ["relata", "pytorch"])
          assert.equal(
            samples[`${side} ${phase}Seconds`]?.[0]?.length,
            2,
            `${side}'s ${phase} was not timed`,
          );
      const compared = ["total", "dino", "ibot", "pixel", "channel", "gradNorm"];
      const missing = compared.filter((name) => figures[`${name} difference`] === undefined);
      assert.deepEqual(missing, [], "not compared");
    });
});
