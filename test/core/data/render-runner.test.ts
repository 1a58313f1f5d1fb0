import assert from "node:assert/strict";
import { join } from "node:path";
import type { Dataset } from "../../../core/data/dataset.ts";
import { listDataset } from "../../../core/data/dataset.ts";
import { ViewPipeline, type ViewBatch } from "../../../core/data/pipeline.ts";
import { WorkerRunner } from "../../../core/data/render-runner.ts";
import type { RenderTask } from "../../../core/data/render.ts";
import { picture, temporaryFolder, writeAt } from "./image-files.ts";

const TASK: RenderTask = {
  settings: { seed: 0, views: [], channels: 3, background: "#ffffff", readTimeout: 60 },
  epoch: 0,
  samples: [],
};
const fixture = (name: string) => new URL(`../../fixtures/data/${name}`, import.meta.url);

describe("WorkerRunner", () => {
  it("names the worker that died when all others died too, for every task from then on", async () => {
    const warnings: string[] = [];
    const warn = (message: string) => void warnings.push(message);
    const runner = new WorkerRunner(2, { entry: fixture("exiting-worker.ts"), warn });
    const tasks = await Promise.allSettled([runner.run(TASK), runner.run(TASK), runner.run(TASK)]);
    tasks.push(...(await Promise.allSettled([runner.run(TASK)])));
    for (const task of tasks) {
      assert.ok(task.status === "rejected");
      const { code, message } = task.reason as { code: string; message: string };
      assert.equal(code, "DATA_WORKER_DIED");
      assert.match(message, /worker [12] of 2 has died: it exited with code 3; so did those/);
    }
    assert.equal(warnings.length, 5);
    assert.match(warnings[0]!, /data worker [12] of 2 has died: it exited with code 3; another one/);
    await runner.close();
  });

  it("tells why a worker does not start, instead of trying for ever", async () => {
    const runner = new WorkerRunner(1, { entry: fixture("broken-worker.mjs") });
    const tasks = [runner.run(TASK), runner.run(TASK), runner.run(TASK)];
    for (const { reason } of (await Promise.allSettled(tasks)) as PromiseRejectedResult[]) {
      const { code, message } = reason as { code: string; message: string };
      assert.equal(code, "DATA_WORKER_DIED");
      assert.match(message, /worker 1 of 1 has died: no such library/);
    }
    await runner.close();
  });

  it("refuses tasks once it is closed", async () => {
    const runner = new WorkerRunner(1);
    assert.deepEqual(await runner.run(TASK), { pixels: [], rects: [], failures: [] });
    await runner.close();
    await assert.rejects(runner.run(TASK), { code: "PIPELINE_CLOSED" });
  });

  it("leaves an error of a task as it is", async () => {
    const runner = new WorkerRunner(1);
    const settings = { ...TASK.settings, background: "no colour" };
    const samples = [{ index: 0, source: { path: "any.png" } }];
    await assert.rejects(runner.run({ ...TASK, settings, samples }), {
      message: /"no colour" is not a colour/,
    });
    assert.deepEqual((await runner.run(TASK)).failures, []);
    await runner.close();
  });

  describe("when images end its workers", () => {
    const folder = temporaryFolder();
    const NAMES = ["0", "1", "2", "3", "4", "deadly", "6", "7", "8", "fatal", "10", "11"];
    let dataset: Dataset;
    before(async () => {
      for (const [i, name] of NAMES.entries())
        await writeAt(
          join(folder(), `${name}.png`),
          await picture(30 + i, 30, i)
            .png()
            .toBuffer(),
        );
    });
    beforeEach(() => {
      dataset = listDataset({ name: "n", ids: NAMES, pathOf: (id) => join(folder(), `${id}.png`) });
    });

    async function epoch(entry?: URL): Promise<{ batches: ViewBatch[]; warnings: string[] }> {
      const warnings: string[] = [];
      const warn = (message: string) => void warnings.push(message);
      const pipeline = new ViewPipeline({
        dataset,
        views: [{ group: "global", count: 2, size: 8, scale: [0.4, 1], ratio: [1, 1], flip: 0.5 }],
        batchSize: 6,
        seed: 3,
        prefetch: 1,
        ...(entry ? { runner: new WorkerRunner(2, { entry, warn }) } : { workers: 0 }),
      });
      const batches = pipeline.batches(0);
      const taken = [(await batches.next()).value!, (await batches.next()).value!];
      await pipeline.close();
      return { batches: taken, warnings };
    }

    it("makes the same batches where they do so once", async () => {
      dataset = listDataset({ name: "n", ids: NAMES.filter((n) => Number(n) >= 0), pathOf: (id) => join(folder(), `${id}.png`) }); // prettier-ignore
      const { batches: clean } = await epoch();
      for (const name of ["1", "8"]) await writeAt(join(folder(), `${name}.png.once`), "");
      const { batches, warnings } = await epoch(fixture("fragile-worker.ts"));
      assert.deepEqual(batches, clean);
      assert.equal(warnings.length, 2);
    });

    it("replaces those that do so each time, and says of what", async () => {
      const { batches: clean } = await epoch();
      const { batches } = await epoch(fixture("fragile-worker.ts"));
      const replaced = batches.flatMap((batch) => batch.replaced);
      assert.deepEqual(replaced.map(({ index }) => NAMES[index]).toSorted(), ["deadly", "fatal"]);
      const reasons = Object.fromEntries(replaced.map(({ index, reason }) => [NAMES[index], reason]));
      assert.match(reasons["deadly"]!, /deadly\.png ended two data workers: worker exited with code: 3/);
      assert.match(reasons["fatal"]!, /fatal\.png ended two data workers: out of memory/);
      for (const [at, batch] of batches.entries()) {
        const others = [...clean[at]!.indices].filter(
          (index) => !["deadly", "fatal"].includes(NAMES[index]!),
        );
        assert.ok(
          others.every((index) => batch.indices.includes(index)),
          "the other images are shown",
        );
      }
    });
  });
});
