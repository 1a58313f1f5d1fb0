import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import type { Evaluation } from "../../../core/eval/evaluator.ts";
import { readMetrics } from "../../../core/report/metrics-log.ts";
import { RunFolder } from "../../../core/run/folder.ts";
import { Recorder } from "../../../core/run/recorder.ts";
import type { StepReport, TrainingStart } from "../../../core/trainer/train.ts";

describe("recorder", () => {
  let parent: string;
  let folder: RunFolder;
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), "relata-recorder-"));
    folder = RunFolder.create({ name: "test", parent });
    folder.writeConfig({ seed: 3 });
  });
  afterEach(() => rmSync(parent, { recursive: true }));

  const open = () =>
    new Recorder(folder, {
      title: "Test run",
      config: { seed: 3, train: { epochs: 2 } },
      seed: 3,
      command: "relata train test.yaml",
      baseDir: parent,
      keptCheckpoints: 2,
    });
  const info = (changes: Partial<TrainingStart> = {}): TrainingStart => ({
    folder: folder.path,
    totalSteps: 4,
    stepsPerEpoch: 2,
    fromStep: 0,
    epochs: 2,
    device: "/job:localhost/replica:0/task:0/device:CPU:0",
    precision: "fp32",
    engine: "graph",
    library: "2.21.0",
    parameters: 1000,
    plugins: ["multi-crop", "dino"],
    images: 8,
    ...changes,
  });
  const step = (index: number, loss: number): StepReport => ({
    step: index,
    epoch: index / 2,
    scalars: { loss, "loss/dino": loss, lr: 0.1 },
    imagesPerSecond: 50,
    totalSteps: 4,
    etaSeconds: 1,
    memoryBytes: 1e9,
    waitShare: 0,
    hostShare: 0,
  });
  const evaluation = (top1: number): Evaluation => ({
    results: [
      {
        card: {
          task: "category k-NN",
          network: "teacher",
          features: "cls",
          crop: "whole",
          seed: 3,
          bank: "a",
          queries: "b",
          n: 8,
        },
        figures: [{ name: "top-1", value: top1, baselines: [{ name: "raw pixels", value: 0.25 }] }],
      },
    ],
    scalars: { "knn/top1": top1 },
    found: [],
  });
  const logged = () =>
    readMetrics(folder.metricsFile).map(({ step, epoch, loss, "knn/top1": knn }) => [
      step,
      epoch,
      loss ?? knn,
    ]);
  const report = () => readFileSync(folder.reportFile, "utf8");

  it("writes the log, the events, the evaluation, run.json and the report", async () => {
    const recorder = open();
    recorder.start(info());
    assert.equal(folder.readRun()?.status, "running");
    assert.equal(folder.readRun()?.process?.pid, process.pid);
    recorder.step(step(0, 5));
    recorder.step(step(1, 4));
    recorder.evaluation(evaluation(0.5), { step: 2, epoch: 1 });
    recorder.warning("one image cannot be read");
    await recorder.close("finished");
    await recorder.writePage();

    assert.deepEqual(logged(), [
      [0, 0, 5],
      [1, 0.5, 4],
      [1, 1, 0.5], // under the last update that it comes after
    ]);
    assert.deepEqual(folder.readEvaluation(), evaluation(0.5).results);
    const run = folder.readRun()!;
    assert.deepEqual(
      { ...run, startedAt: "", finishedAt: "", versions: Object.keys(run.versions) },
      {
        status: "finished",
        startedAt: "",
        finishedAt: "",
        seed: 3,
        stepsPerEpoch: 2,
        device: "CPU:0",
        precision: "fp32",
        engine: "graph",
        plugins: ["multi-crop", "dino"],
        images: 8,
        parameters: 1000,
        versions: ["relata", "node", "libtensorflow", "tfjs-core"],
        command: "relata train test.yaml",
        baseDir: parent,
        warnings: ["one image cannot be read"],
      },
    );
    assert.match(report(), /Finished[^]*Test run[^]*one image cannot be read[^]*50\.0[^]*raw pixels/);
    assert.equal(readdirSync(folder.path).filter((name) => name.startsWith("events.out.tfevents")).length, 1);
  });

  it("has every step in the file at once, for a process that dies", () => {
    const recorder = open();
    recorder.start(info());
    recorder.step(step(0, 5));
    assert.deepEqual(logged(), [[0, 0, 5]]);
  });

  it("goes on after the step that a resumed run goes on with", async () => {
    const first = open();
    first.start(info());
    first.step(step(0, 5));
    first.step(step(1, 4));
    first.evaluation(evaluation(0.5), { step: 2, epoch: 1 });
    first.step(step(2, 3)); // after the last checkpoint: lost
    while (!existsSync(folder.reportFile)) await setImmediate(); // the page of the evaluation is on its way
    const { startedAt } = folder.readRun()!;

    const second = open();
    second.start(info({ fromStep: 2 }));
    second.step(step(2, 3.5));
    await second.close("stopped");
    await second.writePage();
    assert.deepEqual(logged(), [
      [0, 0, 5],
      [1, 0.5, 4],
      [1, 1, 0.5],
      [2, 1, 3.5],
    ]);
    const run = folder.readRun()!;
    assert.equal(run.startedAt, startedAt);
    assert.equal(run.resumedAt?.length, 1);
    assert.equal(run.status, "stopped");
    // The evaluation before the interruption is still that of the run.
    assert.match(report(), /category k-NN/i);
    assert.equal(readdirSync(folder.path).filter((name) => name.startsWith("events.out.tfevents")).length, 2);
  });

  it("notes figures of hooks without touching the evaluation", async () => {
    const recorder = open();
    recorder.start(info());
    recorder.step(step(0, 5));
    recorder.step(step(1, 4));
    recorder.evaluation({ results: [], scalars: { "probe/top1": 0.3 }, found: [] }, { step: 2, epoch: 1 });
    await recorder.close("finished");
    assert.equal(readMetrics(folder.metricsFile).at(-1)?.["probe/top1"], 0.3);
    assert.equal(folder.readEvaluation(), undefined);
  });

  it("says why a run failed", async () => {
    const recorder = open();
    recorder.start(info());
    await recorder.close("failed", { error: new Error("the disk broke") });
    await recorder.writePage();
    assert.equal(folder.readRun()?.error, "Error: the disk broke");
    assert.match(report(), /Failed[^]*the disk broke/);
  });

  it("refuses to start where the checkpoints do not fit", () => {
    const recorder = open();
    assert.throws(() => recorder.start(info({ parameters: 1e15 })), { code: "RUN_DISK_FULL" });
    assert.equal(recorder.started, false);
    assert.equal(folder.readRun(), undefined);
  });

  it("has nothing to end where training never began", async () => {
    const recorder = open();
    await recorder.close("failed", { error: new Error() });
    assert.deepEqual(readdirSync(folder.path), ["config.resolved.json"]);
  });
});
