/** What goes wrong around a run: nothing that was told as saved is lost, and it goes on as if nothing had been. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readMetrics } from "../../../core/report/metrics-log.ts";
import { RunFolder } from "../../../core/run/folder.ts";
import { runTraining, type RunOptions } from "../../../core/run/run.ts";
import { diskFull, watchFiles } from "../../support/file-faults.ts";
import type { ChildSpec } from "../../support/killed-child.ts";
import {
  checkpointOf,
  digests,
  pictureFolder,
  resolved,
  tinyConfig,
  tinyDino,
  views,
} from "../trainer/runs.ts";
import type { TinyConfig } from "../trainer/runs.ts";
import { coded, plugin } from "../trainer/tiny.ts";

describe("a run meets", function () {
  this.timeout(120_000);
  const base = pictureFolder();

  const eager = { engine: "eager", backend: "cpu" } as const;

  function run(
    name: string,
    { train, ...config }: TinyConfig = {},
    options: Partial<RunOptions> = {},
    extra: readonly ReturnType<typeof plugin>[] = [],
  ) {
    const plugins = [views, tinyDino, ...extra].map(resolved);
    const out = options.resume instanceof RunFolder ? undefined : join(base(), name);
    return runTraining(tinyConfig({ ...config, train: { ...eager, ...train } }), plugins, {
      baseDir: base(),
      out,
      ...options,
    });
  }

  const open = (name: string) => RunFolder.open(join(base(), name));
  const finalDigests = async (name: string) => digests(await checkpointOf(base(), name));

  it("another run in its folder: the second is refused, and the first goes on", async () => {
    let second: Promise<unknown> | undefined;
    const step = ({ step }: { step: number }) => {
      if (step === 1) second = Promise.allSettled([run("locked", {}, { resume: open("locked") })]);
    };
    const first = await run("locked", { train: { maxSteps: 4 } }, { observer: { step } });
    const [refused] = (await second) as PromiseSettledResult<unknown>[];
    assert.equal(refused!.status, "rejected");
    assert.ok(
      coded("RUN_BUSY", "locked", `process ${process.pid}`)((refused as PromiseRejectedResult).reason),
    );
    assert.equal(first.status, "finished");
    assert.equal(open("locked").readRun()?.status, "finished");
    const again = await run("locked", { train: { maxSteps: 5 } }, { resume: open("locked") });
    assert.equal(again.step, 5, "the lock is let go");
  });

  it("a disk that is full when it saves: what was saved stays, and it goes on from there", async () => {
    let saves = 0;
    const end = watchFiles("checkpoints", ({ operation }) => {
      if (operation === "mkdir") saves++;
      if (saves === 2 && operation === "write") throw diskFull();
    });
    const config = { train: { maxSteps: 6 }, checkpoint: { everySteps: 2 } };
    try {
      await assert.rejects(run("full", config), coded("CHECKPOINT_WRITE", "step-00000004", "ENOSPC"));
    } finally {
      end();
    }
    assert.equal(open("full").readRun()?.status, "failed");
    assert.equal((await checkpointOf(base(), "full")).step, 2);
    const resumed = await run("full", config, { resume: open("full") });
    assert.equal(resumed.step, 6);
    await run("never full", config);
    assert.deepEqual(await finalDigests("full"), await finalDigests("never full"));
  });

  it("a limit on the size of files", () => {
    const script = fileURLToPath(new URL("../../support/killed-child.ts", import.meta.url));
    const spec: ChildSpec = {
      config: { train: { ...eager, maxSteps: 4 }, checkpoint: { everySteps: 2 }, data: { workers: 0 } },
    };
    const node = [process.execPath, "--import", "tsx", "--conditions=relata-source", script];
    const process_ = (limit: string) =>
      spawnSync(
        "bash",
        [
          "-c",
          `ulimit -f ${limit} && exec "$@"`,
          "bash",
          ...node,
          base(),
          join(base(), "limited"),
          JSON.stringify(spec),
        ],
        { encoding: "utf8", env: { ...process.env, TSX_DISABLE_CACHE: "1" } },
      );
    const limited = process_("64");
    assert.equal(limited.status, 1, limited.stderr);
    assert.match(limited.stderr, /CHECKPOINT_WRITE: the checkpoint .*EFBIG/);
    assert.deepEqual(readdirSync(join(base(), "limited", "checkpoints")), []);
    const free = process_("unlimited");
    assert.equal(free.status, 0, free.stderr);
    assert.match(free.stdout, /^start 0\n[^]*checkpoint 4\n/);
  });

  it("a folder that it may not write, before anything is trained", () => {
    const folder = join(base(), "read only");
    mkdirSync(folder);
    chmodSync(folder, 0o555);
    chmodSync(base(), 0o755);
    const asRoot = process.geteuid!() === 0;
    if (asRoot) process.seteuid!(65_534); // whom modes bind
    try {
      const named = { name: "x", out: join(folder, "run") };
      assert.throws(() => RunFolder.create(named), coded("RUN_FOLDER_NOT_WRITABLE", folder));
      assert.throws(
        () => RunFolder.create({ name: "x", out: folder }),
        coded("RUN_FOLDER_NOT_WRITABLE", folder),
      );
    } finally {
      if (asRoot) process.seteuid!(0);
    }
    assert.deepEqual(readdirSync(folder), []);
  });

  it("a plugin that throws after a hundred steps: it goes on with the step after", async () => {
    let broken = true;
    const throws = plugin("throws", (hooks, name) => {
      hooks.afterStep.tap(name, ({ step }) => {
        if (broken && step === 100) throw new Error("boom");
      });
    });
    const captured = { engine: "graph", backend: "tensorflow", jit: "off" } as const;
    const config = { train: { ...captured, epochs: 21, maxSteps: 102 } };
    const failing = run("boom", config, {}, [throws]);
    await assert.rejects(failing, coded("PLUGIN_THREW", 'plugin "throws" failed in "afterStep": boom'));
    assert.equal((await checkpointOf(base(), "boom")).step, 101);
    broken = false;
    const resumed = await run("boom", config, { resume: open("boom") }, [throws]);
    assert.equal(resumed.step, 102);
    const steps = readMetrics(open("boom").metricsFile).flatMap(({ step, loss }) =>
      loss === undefined ? [] : step,
    );
    assert.deepEqual(steps.slice(-3), [99, 100, 101]);
  });

  it("a plugin whose sampler throws in the middle of an update: the state is that before the update", async () => {
    let calls = 0;
    const throws = plugin("throws", (hooks, name) => {
      hooks.setup.tap(name, (setup) => {
        const sample = () => {
          if (++calls === 4) throw new Error("boom");
          return new Float32Array(1);
        };
        const input = setup.input("x", { shape: [], sample });
        hooks.loss.tap(name, (losses, { value }) => losses.metric("x", value(input)));
      });
    });
    const config = { train: { epochs: 3, batchSize: 4, microBatch: 2, maxSteps: 3 } };
    await assert.rejects(run("sampler", config, {}, [throws]), coded("PLUGIN_THREW", "boom"));
    assert.equal((await checkpointOf(base(), "sampler")).step, 1);
    await run("sampler", config, { resume: open("sampler") }, [throws]);
    await run("whole sampler", config, {}, [throws]);
    assert.deepEqual(await finalDigests("sampler"), await finalDigests("whole sampler"));
  });

  it("a clock that jumps: it trains, resumes and reports as with any other", async () => {
    const { now } = Date;
    const day = 86_400_000;
    let calls = 0;
    Date.now = () => now() + (calls++ % 3 === 0 ? -day : day);
    try {
      await run("jumps", { train: { maxSteps: 3 } });
      Date.now = () => now() - 30 * day;
      const resumed = await run("jumps", { train: { maxSteps: 6 } }, { resume: open("jumps") });
      assert.equal(resumed.step, 6);
    } finally {
      Date.now = now;
    }
    await run("steady", { train: { maxSteps: 6 } });
    assert.deepEqual(await finalDigests("jumps"), await finalDigests("steady"));
    const events = readdirSync(join(base(), "jumps")).filter((name) => name.startsWith("events."));
    const births = events.sort().map((name) => statSync(join(base(), "jumps", name)).mtimeMs);
    assert.equal(births.length, 2);
    assert.ok(births[0]! <= births[1]!, "TensorBoard reads them in the order of their names");
    const page = readFileSync(join(base(), "jumps", "report.html"), "utf8");
    assert.ok(!/>-\d+(\.\d+)? (s|min|h)</.test(page), "a time below zero");
    assert.ok(existsSync(join(base(), "jumps", "metrics.jsonl")));
  });
});
