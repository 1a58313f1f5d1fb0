import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { parseConfig } from "../../../core/config/parse.ts";
import { parseWeightsConfig } from "../../../core/config/weights-config.ts";
import { readMetrics } from "../../../core/report/metrics-log.ts";
import { evaluateRun } from "../../../core/run/evaluate.ts";
import { evaluateWeights } from "../../../core/run/evaluate-weights.ts";
import { RunFolder } from "../../../core/run/folder.ts";
import { previewViews } from "../../../core/run/preview.ts";
import { runTraining, type RunOptions } from "../../../core/run/run.ts";
import { silentLogger } from "../../../core/logger.ts";
import { resolvePlugins } from "../../../registry/resolve.ts";

describe("a run", () => {
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "relata-run-"));
    for (const [i, name] of ["a/0", "a/1", "b/2", "b/3"].entries()) {
      mkdirSync(join(folder, "images", name[0]!), { recursive: true });
      const background = { r: 60 * i, g: 255 - 60 * i, b: 128 };
      const image = sharp({ create: { width: 20, height: 20, channels: 3, background } });
      await image.png().toFile(join(folder, "images", `${name}.png`));
    }
  });
  after(() => rmSync(folder, { recursive: true }));

  const runs = () => readdirSync(folder).filter((name) => name !== "images");

  async function load(train: object = {}) {
    const config = parseConfig(
      {
        data: { path: "images", workers: 0 },
        backbone: { arch: "vit", embedDim: 8, depth: 1, numHeads: 2, patchSize: 8 },
        train: { epochs: 2, batchSize: 2, engine: "eager", backend: "cpu", ...train },
        checkpoint: { keepLast: 1 },
        evaluation: { knn: { k: 1 } },
        plugins: [
          { use: "dino", with: { outDim: 8, hiddenDim: 8, bottleneckDim: 4 } },
          { use: "multi-crop", with: { globalCrops: { size: 16 }, localCrops: { count: 1, size: 8 } } },
        ],
      },
      folder,
    );
    return { config, plugins: await resolvePlugins(config.plugins, folder) };
  }

  async function run(options: Partial<RunOptions>, train?: object) {
    const { config, plugins } = await load(train);
    return runTraining(config, plugins, { baseDir: folder, ...options });
  }

  it("that is stopped and gone on with is like one that was not", async () => {
    const whole = await run({ out: join(folder, "whole") });
    assert.equal(whole.status, "finished");
    assert.equal(RunFolder.open(whole.folder).readRun()?.status, "finished");

    const out = join(folder, "stopped");
    const stop = new AbortController();
    const observer = { step: ({ step }: { step: number }) => (step === 1 ? stop.abort() : undefined) };
    const stopped = await run({ out, signal: stop.signal, observer });
    assert.deepEqual([stopped.status, stopped.step], ["interrupted", 2]);
    assert.equal(RunFolder.open(out).readRun()?.status, "stopped");

    const resumed = await run({ resume: RunFolder.open(out) });
    assert.deepEqual([resumed.status, resumed.step], ["finished", 4]);
    const losses = (path: string) =>
      readMetrics(join(path, "metrics.jsonl")).map(({ step, loss }) => [step, loss]);
    assert.deepEqual(losses(out), losses(whole.folder));
    assert.deepEqual(resumed.evaluations, whole.evaluations);
    assert.ok(existsSync(resumed.report!));
  });

  it("has a config that is enough to repeat it", async () => {
    const { config, plugins } = await load();
    const written = RunFolder.open(join(folder, "whole")).readConfig();
    const parsed = parseConfig(written, "/elsewhere");
    assert.deepEqual({ ...parsed, plugins: [] }, { ...config, plugins: [] });
    assert.deepEqual(await resolvePlugins(parsed.plugins, "/elsewhere"), plugins);
  });

  it("can be evaluated again, with the same figures", async () => {
    const { config, plugins } = await load();
    const whole = RunFolder.open(join(folder, "whole"));
    const { evaluation, step } = await evaluateRun(whole, config, plugins, {
      baseDir: folder,
      logger: silentLogger,
    });
    assert.equal(step, 4);
    assert.deepEqual(evaluation.results, whole.readEvaluation());
  });

  it("that is dry keeps nothing", async () => {
    const before = runs();
    const cwd = process.cwd();
    process.chdir(folder);
    try {
      const { step, report } = await run({ dryRun: true });
      assert.deepEqual([step, report], [1, undefined]);
      assert.deepEqual(readdirSync("runs"), []);
    } finally {
      process.chdir(cwd);
      rmSync(join(folder, "runs"), { recursive: true, force: true });
    }
    assert.deepEqual(runs(), before);
  });

  it("that cannot start leaves no folder", async () => {
    const out = join(folder, "never");
    await assert.rejects(run({ out }, { batchSize: 64 }), { code: "BATCH_TOO_LARGE" });
    assert.ok(!existsSync(out));
  });

  it("that fails after it began keeps what there is, and says why", async () => {
    const out = join(folder, "failed");
    const observer = {
      step: () => {
        throw new Error("the observer broke");
      },
    };
    await assert.rejects(run({ out, observer }), { message: "the observer broke" });
    const failed = RunFolder.open(out);
    assert.deepEqual(
      [failed.readRun()?.status, failed.readRun()?.error],
      ["failed", "Error: the observer broke"],
    );
    assert.equal(readMetrics(failed.metricsFile).length, 1);
    assert.ok(existsSync(failed.reportFile));
  });

  it("can be seen before it is started", async () => {
    const { config, plugins } = await load();
    const samples = await previewViews(config, plugins, { baseDir: folder, samples: 2 });
    assert.equal(samples.length, 2);
    for (const { source, views } of samples) {
      assert.deepEqual(
        views.map(({ name }) => name),
        ["global 1", "global 2", "local 1"],
      );
      assert.deepEqual(
        views.map(({ image }) => image.width),
        [16, 16, 8],
      );
      const kinds = source.boxes!.map(({ kind }) => kind);
      assert.deepEqual(
        kinds.filter((kind) => kind !== "overlap"),
        ["global", "global", "local"],
      );
    }
  });

  it("that begins with given weights says so in run.json, also when it was gone on with", async () => {
    const first = await run({ out: join(folder, "given") }, { maxSteps: 1 });
    const { folder: path } = await run({ out: join(folder, "begun"), init: first.folder }, { maxSteps: 1 });
    const { init } = RunFolder.open(path).readRun()!;
    const [student, teacher] = init!.networks;
    assert.equal(init!.label, "given after 1 step");
    assert.deepEqual([student!.from, student!.missing, student!.unexpected], ["student", [], []]);
    assert.deepEqual([teacher!.from, teacher!.missing, teacher!.unexpected], ["teacher", [], []]);
    const resume = RunFolder.open(path);
    await assert.rejects(run({ resume, init: first.folder }), { code: "USAGE" });
    await run({ resume });
    assert.deepEqual(RunFolder.open(path).readRun()!.init, init);
    assert.equal(RunFolder.open(first.folder).readRun()!.init, undefined);
  });

  it("is evaluated as its weights alone are: the same figures, trained and untrained", async () => {
    const { folder: path } = await run({ out: join(folder, "weighed") }, { maxSteps: 1 });
    const { config, plugins } = await load();
    const options = { baseDir: folder, logger: silentLogger };
    const { evaluation } = await evaluateRun(RunFolder.open(path), config, plugins, options);
    const written = {
      data: { path: "images" },
      evaluation: { knn: { k: 1 } },
      train: { engine: "eager", backend: "cpu" },
    };
    const byWeights = await evaluateWeights(path, parseWeightsConfig(written), options);
    assert.deepEqual(byWeights.evaluation.scalars, evaluation.scalars);
    assert.deepEqual(byWeights.evaluation.results[0]!.figures, evaluation.results[0]!.figures);
    assert.equal(byWeights.evaluation.results[0]!.card.network, "teacher of weighed after 1 step");
    assert.throws(() => parseWeightsConfig({ ...written, plugins: ["dino"] }), {
      code: "CONFIG_UNKNOWN_KEY",
    });
    assert.throws(() => parseWeightsConfig([]), { code: "CONFIG_INVALID" });
  });
});
