import assert from "node:assert/strict";
import { WorkerRunner } from "../../../core/data/render-runner.ts";
import type { RenderTask } from "../../../core/data/render.ts";

const TASK: RenderTask = {
  settings: { seed: 0, views: [], channels: 3, background: "#ffffff", readTimeout: 60 },
  epoch: 0,
  samples: [],
};
const fixture = (name: string) => new URL(`../../fixtures/data/${name}`, import.meta.url);

describe("WorkerRunner", () => {
  it("names the worker that died, for every task from then on", async () => {
    const runner = new WorkerRunner(2, { entry: fixture("exiting-worker.ts") });
    const tasks = await Promise.allSettled([runner.run(TASK), runner.run(TASK), runner.run(TASK)]);
    tasks.push(...(await Promise.allSettled([runner.run(TASK)])));
    for (const task of tasks) {
      assert.ok(task.status === "rejected");
      const { code, message } = task.reason as { code: string; message: string };
      assert.equal(code, "DATA_WORKER_DIED");
      assert.match(message, /worker [12] of 2 has died: it exited with code 3/);
    }
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
});
