import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compareRuns, listRuns, readRun, type RunSummary } from "../../../core/report/runs.ts";

describe("runs", () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "relata-runs-"))));
  afterEach(() => rmSync(folder, { recursive: true }));

  function write(run: string, files: Record<string, unknown>): string {
    const path = join(folder, run);
    mkdirSync(path);
    for (const [file, content] of Object.entries(files)) {
      writeFileSync(join(path, file), typeof content === "string" ? content : JSON.stringify(content));
    }
    return path;
  }

  const config = (weight: number, extra: object[] = []) => ({
    seed: 0,
    train: { epochs: 3, lr: 5e-4 },
    plugins: [{ use: "multi-crop" }, ...extra, { use: "dino", with: { weight, scale: [0.4, 1] } }],
  });
  const info = (startedAt: string, status = "finished") => ({
    status,
    startedAt,
    seed: 7,
    stepsPerEpoch: 2,
    versions: { relata: "0.1.0" },
    device: "CPU",
  });
  const lines = (...records: object[]) => records.map((record) => `${JSON.stringify(record)}\n`).join("");

  it("reads a finished run", () => {
    const path = write("a", {
      "config.resolved.json": config(1),
      "run.json": info("2026-01-02T00:00:00Z"),
      "metrics.jsonl": lines(
        { step: 0, epoch: 0, time: 1, loss: 9, imagesPerSecond: 5 },
        { step: 1, epoch: 0.5, time: 2, loss: 8, imagesPerSecond: 70 },
        { step: 1, epoch: 1, time: 2, "knn/top1": 0.4 },
        { step: 2, epoch: 1, time: 3, loss: 7, imagesPerSecond: 80 },
        { step: 3, epoch: 1.5, time: 4, loss: 6, imagesPerSecond: 90 },
        { step: 3, epoch: 2, time: 4, "knn/top1": 0.6 },
        { step: 4, epoch: 2, time: 5, loss: 5.5, imagesPerSecond: 90 },
        { step: 5, epoch: 2.5, time: 6, loss: 5, imagesPerSecond: 60 },
        { step: 5, epoch: 3, time: 6, "knn/top1": 0.5 },
      ),
    });
    assert.deepEqual(readRun(path), {
      name: "a",
      folder: path,
      status: "finished",
      startedAt: "2026-01-02T00:00:00Z",
      seed: 7,
      device: "CPU",
      epochsDone: 3,
      epochs: 3,
      loss: 5,
      bestKnn: 0.6,
      lastKnn: 0.5,
      classification: undefined,
      imagesPerSecond: 80,
      plugins: ["multi-crop", "dino"],
      problems: [],
    } satisfies RunSummary);
  });

  it("tells how often a run's own classifier was right last", () => {
    const top1 = (epoch: number, value: number) => ({
      step: epoch,
      epoch,
      time: epoch,
      "classification/top1": value,
    });
    const path = write("a", { "metrics.jsonl": lines(top1(1, 0.9), top1(2, 0.8)) });
    assert.equal(readRun(path).classification, 0.8);
  });

  it("takes k-NN from the final evaluation where the log has none", () => {
    const result = (task: string, value: number) => ({
      card: { task },
      figures: [
        { name: "top-1", value, baselines: [] },
        { name: "top-5", value: 0.9, baselines: [] },
      ],
    });
    const path = write("a", { "eval.json": [result("view retrieval", 0.1), result("category k-NN", 0.7)] });
    const { bestKnn, lastKnn } = readRun(path);
    assert.deepEqual([bestKnn, lastKnn], [0.7, 0.7]);
  });

  it("reads a run in progress: a last line half written, nothing else yet", () => {
    const records = lines(
      { step: 0, epoch: 0, time: 1, loss: null },
      { step: 1, epoch: 0.5, time: 1, loss: null },
    );
    const run = readRun(write("a", { "run.json": info("x", "running"), "metrics.jsonl": `${records}{"ste` }));
    assert.equal(run.status, "running");
    assert.equal(run.epochsDone, 1);
    assert.ok(Number.isNaN(run.loss));
    assert.deepEqual([run.bestKnn, run.imagesPerSecond, run.epochs], [undefined, undefined, undefined]);
    assert.deepEqual(run.problems, []);
  });

  it("names files that cannot be read and goes on", () => {
    const path = write("a", {
      "run.json": "{",
      "metrics.jsonl": "broken\n",
      "config.resolved.json": config(1),
    });
    const run = readRun(path);
    assert.equal(run.status, "unknown");
    assert.deepEqual(run.plugins, ["multi-crop", "dino"]);
    assert.equal(run.problems.length, 2);
    assert.match(run.problems[0]!, /^run\.json: /);
    assert.match(run.problems[1]!, /^metrics\.jsonl: line 1 /);
  });

  it("lists run folders by start, and only those", () => {
    write("late", { "run.json": info("2026-01-03T00:00:00Z") });
    write("early", { "run.json": info("2026-01-01T00:00:00Z") });
    write("unborn", { "config.resolved.json": config(1) });
    write("other", { "notes.txt": "" });
    writeFileSync(join(folder, "run.json"), "{}");
    const names = listRuns(folder).map(({ name }) => name);
    assert.deepEqual(names, ["unborn", "early", "late"]);
    assert.deepEqual(listRuns(join(folder, "nowhere")), []);
  });

  it("compares configs by path, plugins by name", () => {
    const a = write("a", { "config.resolved.json": config(1) });
    const b = write("b", { "config.resolved.json": config(2, [{ use: "ibot", with: { weight: 3 } }]) });
    const c = write("c", { "config.resolved.json": config(1) });
    const { runs, differences } = compareRuns([a, b, c]);
    assert.deepEqual(
      runs.map(({ name }) => name),
      ["a", "b", "c"],
    );
    assert.deepEqual(differences, [
      { path: "plugins.dino.with.weight", values: [1, 2, 1] },
      { path: "plugins.ibot", values: [undefined, true, undefined] },
      { path: "plugins.ibot.with.weight", values: [undefined, 3, undefined] },
    ]);
    assert.deepEqual(compareRuns([a, c]).differences, []);
  });

  it("compares with a run whose config is missing or broken", () => {
    const a = write("a", { "config.resolved.json": { seed: 1 } });
    const b = write("b", { "config.resolved.json": "{" });
    const c = write("c", { "run.json": info("x") });
    const { runs, differences } = compareRuns([a, b, c]);
    assert.deepEqual(differences, [{ path: "seed", values: [1, undefined, undefined] }]);
    assert.equal(runs[1]!.problems.length, 1);
  });
});
