import assert from "node:assert/strict";
import { existsSync, rmSync, truncateSync } from "node:fs";
import { join } from "node:path";
import type { ResolvedConfig } from "../../../core/config/schema.ts";
import { silentLogger } from "../../../core/logger.ts";
import { tf, type PluginUse } from "../../../core/plugin.ts";
import { RunFolder } from "../../../core/run/folder.ts";
import { replayStep } from "../../../core/run/replay.ts";
import { readReplay, replayFolder, savedReplays } from "../../../core/trainer/replay-file.ts";
import { nothingTold, pictureFolder, resolved, tinyConfig, trainTiny, views } from "../trainer/runs.ts";
import { coded, learnsOnes, plugin } from "../trainer/tiny.ts";

const STEP = 3;

/** At the n-th draw of a step, 3 unless said, and never again, its term is divided by 0; `mended`, by no less than 1. */
function divides(draw: number, { mended = false, factor = 1, at = STEP } = {}): PluginUse {
  let draws = 0;
  return plugin("divides", (hooks, name) => {
    hooks.setup.tap(name, (setup) => {
      const pass = setup.pass({
        network: setup.network("student"),
        views: "global",
        outputs: { cls: true },
      });
      const divisor = setup.input("divisor", {
        shape: [1],
        sample: ({ step }) => Float32Array.of(step === at && ++draws === draw ? 0 : 1),
      });
      const scale = setup.schedule("factor", () => factor);
      hooks.loss.tap(name, (losses, { output, value }) => {
        const by = mended ? tf.maximum(value(divisor), 1) : value(divisor);
        const squares = tf.mul(tf.square(output(pass).clsToken), value(scale));
        losses.add(name, 1, tf.mean(tf.div(squares, by)));
      });
    });
  });
}

const eager = { engine: "eager", backend: "cpu" } as const;
const whole = { batchSize: 4, ...eager };
const halves = { batchSize: 4, microBatch: 2, ...eager };
const checkpoint = { everySteps: 1 };

describe("replay", () => {
  const base = pictureFolder();
  const folderOf = (name: string) => join(base(), name);

  /** A run that stops at step 3, and the error that it ends with. */
  async function failing(name: string, method: PluginUse, train: Partial<ResolvedConfig["train"]>) {
    const given = { base: base(), name, method: [learnsOnes, method], train, checkpoint };
    const error: unknown = await trainTiny(given).then(
      () => assert.fail("the run went well"),
      (error: unknown) => error,
    );
    return error as Error;
  }

  function replay(
    name: string,
    method: PluginUse,
    train: Partial<ResolvedConfig["train"]>,
    options: { step?: number } = {},
  ) {
    const folder = folderOf(name);
    // What `relata replay` opens is a run folder, of which it reads no file here but batch and checkpoint.
    const run = Object.create(RunFolder.prototype, { path: { value: folder } }) as RunFolder;
    const plugins = [views, learnsOnes, method].map(resolved);
    return replayStep(run, tinyConfig({ train, checkpoint }), plugins, {
      baseDir: base(),
      logger: silentLogger,
      ...options,
    });
  }

  /** The figures of step 3 of a run in which nothing is divided by 0. */
  async function healthy(name: string, train: Partial<ResolvedConfig["train"]>) {
    const told = nothingTold();
    const method = [learnsOnes, divides(0)];
    await trainTiny({ base: base(), name, method, train, told, checkpoint });
    return told.steps[STEP]!.scalars;
  }

  it("of a step that was not finite gives its figures, and the op and plugin that begin it", async () => {
    const error = await failing("alone", divides(1), whole);
    const file = join(replayFolder(folderOf("alone")), "step-00000003.json");
    assert.ok(coded("NOT_FINITE", "step 3", "divides/loss", file)(error), String(error));
    assert.match(error.message, /RealDiv in divides\/loss/);
    assert.match((error as Error & { fix: string }).fix, /`relata replay .*alone` runs the step again/);
    // The sampler gives no 0 again: what was fed is kept.
    const replayed = await replay("alone", divides(1), whole);
    assert.deepEqual([replayed.step, replayed.epoch, replayed.micro], [STEP, 1.5, 1]);
    assert.deepEqual(replayed.scalars, replayed.recorded);
    assert.ok(!Number.isFinite(replayed.scalars["loss/divides"]));
    assert.ok(coded("NOT_FINITE", "RealDiv in divides/loss")(replayed.problem));
  });

  it("is finite once the plugin is mended, with the figures of a run that went well", async () => {
    const expected = await healthy("whole", whole);
    const { problem, scalars, recorded } = await replay("alone", divides(1, { mended: true }), whole);
    assert.equal(problem, undefined);
    assert.ok(!Number.isFinite(recorded!["loss"]));
    for (const name of ["loss", "loss/ones", "gradNorm"]) assert.equal(scalars[name], expected[name], name);
  });

  it("takes what schedules give now", async () => {
    const lossWith = async (factor: number) => {
      const { scalars } = await replay("alone", divides(1, { mended: true, factor }), whole);
      return scalars["loss/divides"]!;
    };
    assert.equal(await lossWith(2), 2 * (await lossWith(1)));
  });

  it("has the gradients of the micro-batches before", async () => {
    const error = await failing("halves", divides(2), halves);
    assert.ok(coded("NOT_FINITE", "step 3", "divides/loss")(error), String(error));
    const again = await replay("halves", divides(2), halves);
    assert.deepEqual([again.micro, again.accumulation], [2, 2]);
    assert.deepEqual(again.scalars, again.recorded);
    assert.ok(coded("NOT_FINITE", "divides/loss")(again.problem));
    const { scalars } = await replay("halves", divides(2, { mended: true }), halves);
    const expected = await healthy("whole halves", halves);
    assert.equal(scalars["gradNorm"], expected["gradNorm"], "the norm of the sum over both micro-batches");
  });

  it("of the first step has its figures, with its checkpoint, and from the seed where it could not be saved", async () => {
    const error = await failing("first", divides(1, { at: 0 }), whole);
    assert.ok(coded("NOT_FINITE", "step 0")(error), String(error));
    for (const saved of [true, false]) {
      const folder = join(folderOf("first"), "checkpoints");
      assert.equal(existsSync(folder), true);
      if (!saved) rmSync(folder, { recursive: true });
      const { recorded, scalars } = await replay("first", divides(1, { at: 0 }), whole);
      assert.deepEqual(scalars, recorded);
    }
  });

  it("of a run without a saved batch runs the step that comes next", async () => {
    const name = "stops";
    const told = nothingTold();
    const given = { base: base(), name, method: [learnsOnes, divides(0)], train: halves, told };
    await trainTiny({ ...given, train: { ...halves, maxSteps: 2 } });
    const replayed = await replay(name, divides(0), halves);
    assert.deepEqual([replayed.step, replayed.micro, replayed.recorded], [2, 2, undefined]);
    assert.equal(replayed.problem, undefined);
    await trainTiny({ ...given, options: { resume: true } });
    assert.equal(told.steps[2]!.scalars["gradNorm"], replayed.scalars["gradNorm"]);
  });

  it("takes the batch's own checkpoint, and the next step where the run got past the batch", async () => {
    const mended = divides(1, { mended: true });
    await failing("past", divides(1), whole);
    const given = { base: base(), name: "past", method: [learnsOnes, mended], checkpoint };
    await trainTiny({ ...given, train: { ...whole, maxSteps: 4 }, options: { resume: true } });
    // Of the last two checkpoints one is the batch's.
    const again = await replay("past", divides(1), whole, { step: STEP });
    assert.deepEqual([again.step, again.scalars], [STEP, again.recorded]);
    assert.ok(coded("NOT_FINITE", "divides/loss")(again.problem));
    const next = await replay("past", mended, whole);
    assert.deepEqual([next.step, next.recorded, next.problem], [4, undefined, undefined]);
  });

  it("refuses a step, a config and a checkpoint that are not the batch's", async () => {
    const use = divides(1);
    await assert.rejects(
      replay("alone", use, whole, { step: 9 }),
      coded("REPLAY_MISSING", "step 9", "those of 3"),
    );
    await assert.rejects(
      replay("alone", use, halves),
      coded("REPLAY_MISMATCH", "4 samples in 2 micro-batches"),
    );
    rmSync(join(folderOf("alone"), "checkpoints", "step-00000003.json"));
    await assert.rejects(replay("alone", use, whole), coded("REPLAY_STATE", "step 3", "step 2"));
    rmSync(join(folderOf("alone"), "checkpoints"), { recursive: true });
    await assert.rejects(replay("alone", use, whole), coded("CHECKPOINT_MISSING"));
  });

  it("keeps what was fed as it was, and refuses what is left of it", async () => {
    const folder = replayFolder(folderOf("alone"));
    assert.deepEqual(await savedReplays(folder), [STEP]);
    const { feeds, state, scalars } = await readReplay(folder, STEP);
    assert.ok(feeds["pixels/global"] instanceof Uint8Array && feeds["labels"] instanceof Int32Array);
    assert.deepEqual([feeds["divides.divisor"], state.size], [Float32Array.of(0), 0]);
    assert.ok(Number.isNaN(scalars["gradNorm"]));
    assert.ok(!existsSync(join(folder, "step-00000003.bin.part")));
    truncateSync(join(folder, "step-00000003.bin"), 100);
    await assert.rejects(
      readReplay(folder, STEP),
      coded("REPLAY_DAMAGED", "step-00000003.json", "100 bytes"),
    );
    await assert.rejects(readReplay(folder, 4), coded("REPLAY_DAMAGED", "step-00000004.json"));
  });
});
