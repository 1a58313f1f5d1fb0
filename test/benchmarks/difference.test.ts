import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "../../benchmarks/command.ts";
import { changesOf, incomparable } from "../../benchmarks/difference.ts";
import { resultsIn } from "../../benchmarks/diff-report.ts";
import {
  figuresOf,
  FORMAT,
  parseResult,
  readResult,
  type BenchResult,
  type Figure,
  type Formula,
} from "../../benchmarks/result.ts";
import { mergeSittings } from "../../benchmarks/sittings.ts";
import { Random } from "../../core/random.ts";

const formulas: Record<string, Formula> = {
  shareOfPeak: { unit: "share", better: "higher", of: "peakSeconds", over: "stepSeconds", scale: 4 },
  peakMemoryBytes: { unit: "bytes", better: "lower", of: "peakMemoryBytes" },
  stepSeconds: { unit: "s", of: "stepSeconds" },
};

/** A sitting whose step takes `step` times what it should, on a machine whose speed swings by 5 %, with 1 % of noise. */
function sitting(seed: number, { step = 1, memory = 2e9 } = {}): BenchResult {
  const random = new Random(seed, "sitting");
  const noisy = (seconds: number) => seconds * (1 + 0.01 * random.normal());
  const pairs = Array.from({ length: 15 }, () => {
    const swing = random.uniform(1, 1.05);
    return [noisy(0.5 * swing), noisy(2.5 * swing * step)] as const;
  });
  const samples = {
    peakSeconds: [pairs.map(([peak]) => peak)],
    stepSeconds: [pairs.map(([, seconds]) => seconds)],
    peakMemoryBytes: [[memory]],
  };
  return {
    format: FORMAT,
    command: ["step", "--precision", "bf16"],
    subject: { plugins: "dino", batch: 4, precision: "bf16", device: "CPU:0" },
    conditions: {
      date: "2026-01-01T00:00:00.000Z",
      versions: { relata: "1.0.0", libtensorflow: "2.21.0" },
      machine: { cpu: "a processor", cores: 2, memoryBytes: 8e9 },
    },
    samples,
    figures: figuresOf(formulas, samples),
  };
}

const verdicts = (before: BenchResult, after: BenchResult) =>
  Object.fromEntries(changesOf(before, after, 0.02).map(({ figure, verdict }) => [figure, verdict]));

describe("the difference of two results", () => {
  it("is none between two sittings of the same speed", () => {
    assert.deepEqual(verdicts(sitting(1), sitting(2)), { shareOfPeak: "same", peakMemoryBytes: "same" });
  });

  it("goes the way in which a figure is better", () => {
    const slower = sitting(2, { step: 1.1, memory: 1.8e9 });
    assert.deepEqual(verdicts(sitting(1), slower), { shareOfPeak: "worse", peakMemoryBytes: "better" });
    assert.deepEqual(verdicts(slower, sitting(1)), { shareOfPeak: "better", peakMemoryBytes: "worse" });
  });

  it("has an interval around the true change", () => {
    const [share] = changesOf(sitting(1), sitting(2, { step: 1.1 }), 0.02);
    const { value, low, high } = share!.change;
    assert.ok(low < 1 / 1.1 - 1 && 1 / 1.1 - 1 < high && high - low < 0.05, JSON.stringify(share));
    assert.ok(low <= value && value <= high, JSON.stringify(share));
  });

  it("counts from the threshold, or a figure's own tolerance", () => {
    const [before, after] = [sitting(1), sitting(2, { memory: 2.05e9 })];
    assert.equal(verdicts(before, after)["peakMemoryBytes"], "worse");
    before.figures["peakMemoryBytes"]!.tolerance = 0.03;
    assert.equal(verdicts(before, after)["peakMemoryBytes"], "same");
  });

  it("is none where sittings of one commit differ by as much", () => {
    const before = mergeSittings([1, 1.15, 0.9].map((step, i) => sitting(i, { step })));
    const after = mergeSittings([1.05, 1.2, 0.95].map((step, i) => sitting(i + 3, { step })));
    assert.equal(verdicts(before, after)["shareOfPeak"], "same");
    const alone = verdicts(sitting(0, { step: 1 }), sitting(3, { step: 1.05 }));
    assert.equal(alone["shareOfPeak"], "worse");
  });

  it("is told of equal measurements only", () => {
    const before = sitting(1);
    const other = { ...before, subject: { ...before.subject, precision: "fp32", device: "GPU:0" } };
    assert.equal(incomparable(before, sitting(2)), undefined);
    assert.equal(
      incomparable(before, other),
      "precision bf16 before and fp32 after, device CPU:0 before and GPU:0 after",
    );
    const machine = { ...before.conditions.machine, cores: 8 };
    const elsewhere = { ...before, conditions: { ...before.conditions, machine } };
    assert.equal(incomparable(before, elsewhere), "cores 2 before and 8 after");
    assert.equal(
      incomparable(before, { ...before, figures: {} }),
      "there is no shareOfPeak, peakMemoryBytes after",
    );
  });
});

describe("a committed result", () => {
  const folder = fileURLToPath(new URL("../../benchmarks/results", import.meta.url));
  for (const file of resultsIn(folder))
    it(`is no different from itself: ${file}`, () => {
      const result = readResult(join(folder, file));
      assert.equal(incomparable(result, result), undefined);
      const changes = changesOf(result, result, 0.02);
      assert.ok(changes.length > 0, "nothing is judged");
      for (const { figure, change, verdict } of changes) {
        assert.equal(verdict, "same", figure);
        assert.ok(change.low <= 0 && change.value === 0 && change.high >= 0, figure);
      }
    });
});

describe("a result", () => {
  const withFigure = (figure: Figure) => JSON.stringify({ ...sitting(1), figures: { speed: figure } });

  it("has samples of every figure that is judged", () => {
    const told: Figure = { unit: "times", value: 2 };
    assert.deepEqual(parseResult(withFigure(told), "it").figures["speed"], told);
    assert.throws(
      () => parseResult(withFigure({ ...told, better: "higher" }), "it"),
      (error) =>
        error instanceof UsageError && /at figures\.speed: .*neither `of` nor `over`/.test(error.message),
    );
    assert.throws(
      () => parseResult(withFigure({ ...told, of: "stepSeconds", over: "hours" }), "it"),
      (error) =>
        error instanceof UsageError && /at figures\.speed: there are no samples hours/.test(error.message),
    );
  });
});

describe("bench:diff", function () {
  this.timeout(60_000);
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "relata-diff-"));
    const fp32 = { ...sitting(1), subject: { ...sitting(1).subject, precision: "fp32" } };
    const files = {
      "before/a.json": sitting(1),
      "before/only.json": sitting(1),
      "same/a.json": sitting(2),
      "worse/a.json": sitting(2, { step: 1.1 }),
      "fp32/a.json": fp32,
      "mixed/elsewhere.json": sitting(1),
      "old/a.json": { ...sitting(1), format: 0 },
    };
    for (const [name, result] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), JSON.stringify(result));
    }
  });
  after(() => rmSync(folder, { recursive: true }));

  function bench(name: string, ...args: string[]) {
    const script = fileURLToPath(new URL(`../../benchmarks/${name}.ts`, import.meta.url));
    const all = ["--import", "tsx", "--conditions=relata-source", script, ...args];
    const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: "utf8" });
    assert.ok(!stderr.includes("    at "), `a stack is no message: ${stderr}`);
    return { status, stdout, stderr };
  }
  const diff = (...paths: string[]) => bench("diff", ...paths.map((path) => join(folder, path)));

  it("ends with 1 where a figure got worse, and tells it", () => {
    const { status, stdout, stderr } = diff("before/a.json", "worse/a.json");
    assert.equal(status, 1, stderr);
    assert.match(stdout, /shareOfPeak +share .* -\d+\.\d % +-\d+\.\d % … -\d+\.\d % +WORSE/);
    assert.match(stdout, /peakMemoryBytes .* \+0\.0 % +one sample$/m);
  });

  it("compares folders by file name", () => {
    const { status, stdout, stderr } = diff("before", "same");
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^a +shareOfPeak/m);
    assert.match(stderr, /^only\.json is in .*before only$/m);
  });

  it("refuses what cannot be compared, and says why", () => {
    const reasons = [
      [
        ["before/a.json", "fp32/a.json"],
        /measured were different things: precision bf16 before and fp32 after/,
      ],
      [["before/a.json", "old/a.json"], /is no result of this version, at format: .*; measure it again/],
      [["before/a.json", "absent.json"], /absent\.json is not there/],
      [["before", "same/a.json"], /give two files, or two folders/],
      [["before/a.json"], /before and after/],
    ] as const;
    for (const [paths, reason] of reasons) {
      const { status, stderr } = diff(...paths);
      assert.equal(status, 2, stderr);
      assert.match(stderr, reason);
    }
  });

  it("is not begun by bench:guard for another machine's results", () => {
    const results = ["--results", join(folder, "before")];
    const elsewhere = bench("guard", "a", ...results);
    assert.equal(elsewhere.status, 2);
    assert.match(elsewhere.stderr, /^a was measured on 2 cores of a processor, and this machine has /);
    const unknown = bench("guard", "b", ...results);
    assert.equal(unknown.status, 2);
    assert.match(unknown.stderr, /^there is no result b: give some of a, only$/m);
  });

  it("is done by bench:guard of what is comparable, and the rest is told", () => {
    const results = join(folder, "mixed");
    const small = ["--arch", "vit-tiny", "--depth", "1", "--batch", "1", "--locals", "0", "--out-dim", "16"];
    const short = ["--method", "dino", "--steps", "1", "--warmup", "1"];
    const measured = bench("step", ...small, ...short, "--out", join(results, "here.json"));
    assert.equal(measured.status, 0, measured.stderr);
    // A step alone is noise.
    const { status, stdout, stderr } = bench("guard", "--results", results, "--threshold", "100000");
    assert.equal(status, 2, stderr);
    assert.match(stdout, /^here +shareOfPeak/m);
    assert.match(stderr, /^elsewhere was measured on 2 cores of a processor/m);
  });
});
