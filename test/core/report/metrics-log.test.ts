import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MetricsLog, readMetrics } from "../../../core/report/metrics-log.ts";

describe("MetricsLog", () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "relata-metrics-"));
    path = join(folder, "run", "metrics.jsonl");
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const record = (step: number, loss = 10 - step) => ({
    step,
    epoch: step / 4,
    time: 1700000000 + step,
    loss,
  });
  const log = (from: number, to: number, resumeStep?: number) => {
    const writer = MetricsLog.open(path, { resumeStep });
    for (let step = from; step < to; step++) writer.append(record(step));
    writer.close();
  };

  it("reads back what was appended", () => {
    log(0, 5);
    assert.deepEqual(
      readMetrics(path),
      [0, 1, 2, 3, 4].map((step) => record(step)),
    );
    assert.equal(readFileSync(path, "utf8").split("\n").length, 6);
  });

  it("keeps a value that is not finite as NaN", () => {
    const writer = MetricsLog.open(path);
    writer.append(record(0, NaN));
    writer.append(record(1, -Infinity));
    writer.close();
    assert.deepEqual(
      readMetrics(path).map((r) => r.loss),
      [NaN, NaN],
    );
  });

  it("is the uninterrupted log when a run resumes from an earlier step", () => {
    log(0, 8);
    const whole = readFileSync(path);
    log(5, 8, 5);
    assert.deepEqual(readFileSync(path), whole);
  });

  it("keeps all lines of the last step before the resumed one", () => {
    const writer = MetricsLog.open(path);
    for (const r of [record(0), record(1), { ...record(1), "knn/top1": 0.5 }, record(2)]) writer.append(r);
    writer.close();
    log(2, 2, 2);
    assert.deepEqual(
      readMetrics(path).map((r) => [r.step, r["knn/top1"]]),
      [
        [0, undefined],
        [1, undefined],
        [1, 0.5],
      ],
    );
  });

  it("leaves an unfinished last line out when reading, and drops it when resuming", () => {
    log(0, 4);
    const whole = readFileSync(path);
    appendFileSync(path, '{"step":4,"epo');
    assert.equal(readMetrics(path).length, 4);
    log(4, 5, 4);
    assert.deepEqual(
      readFileSync(path),
      Buffer.concat([whole, Buffer.from(`${JSON.stringify(record(4))}\n`)]),
    );
  });

  it("starts empty without resumeStep", () => {
    log(0, 4);
    log(0, 1);
    assert.deepEqual(readMetrics(path), [record(0)]);
  });

  it("refuses a step before the last one, also the last one before resuming", () => {
    log(0, 4);
    const writer = MetricsLog.open(path, { resumeStep: 3 });
    assert.throws(() => writer.append(record(1)), {
      code: "METRICS_ORDER",
      message: /step 1 is logged after step 2/,
    });
    writer.close();
  });

  it("refuses a file with a broken line in the middle, naming the line", () => {
    log(0, 1);
    for (const broken of ["{", "null", "[1]", '{"loss":1}']) {
      writeFileSync(path, `${JSON.stringify(record(0))}\n${broken}\n${JSON.stringify(record(1))}\n`);
      assert.throws(() => readMetrics(path), { code: "METRICS_CORRUPT", message: /^line 2 of / });
      assert.throws(() => MetricsLog.open(path, { resumeStep: 2 }), { code: "METRICS_CORRUPT" });
    }
  });
});
