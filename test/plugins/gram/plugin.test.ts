/** The plugin in a step: its views, the Gram network and when it is copied, its phase, and what it refuses. */
import assert from "node:assert/strict";
import type { Engine } from "../../../core/engine/engine.ts";
import type { Training } from "../../../core/trainer/training.ts";
import dino from "../../../plugins/dino/index.ts";
import gram from "../../../plugins/gram/index.ts";
import multiCrop from "../../../plugins/multi-crop/index.ts";
import ibot from "../../../plugins/ibot/index.ts";
import pixelRelation from "../../../plugins/pixel-relation/index.ts";
import { pictureFolder, tinyDino, trainTiny } from "../../core/trainer/runs.ts";
import {
  at,
  coded,
  distance,
  globalViews,
  learnsOnes,
  localViews,
  outputsOf,
  plugin,
  tinyBatch,
  tinyRun,
  tinyTraining,
  valuesOf,
} from "../../core/trainer/tiny.ts";
import { makeEngine } from "../../support/engines.ts";

const views = [globalViews, localViews];
const head = { outDim: 8, hiddenDim: 16, bottleneckDim: 8 };
const WEIGHT = "backbone.blocks.1.mlp.fc2.weight";

/** Notes the passes that run, with the shape of their patches. */
function watching(log: string[]) {
  return plugin("watches", (hooks, name) => {
    hooks.embed.tap(name, (patches, { pass }) => {
      log.push(`${pass.key} ${patches.shape.join("x")}`);
      return patches;
    });
  });
}

describe("the gram plugin", () => {
  let engines: Engine[];
  beforeEach(() => (engines = []));
  afterEach(() => engines.forEach((engine) => engine.close()));

  async function method(
    plugins: Parameters<typeof tinyTraining>[1],
    options: Parameters<typeof tinyTraining>[2] = {},
  ): Promise<Training> {
    engines.push(await makeEngine("eager on cpu"));
    return tinyTraining(engines.at(-1)!, plugins, { views, ...options });
  }

  it("adds auxiliary views of the same crops at twice the size, and none at the same size", async () => {
    const { declarations } = await method([learnsOnes, gram()]);
    const large = { ...globalViews, group: "gram", size: 32, sameCropAs: "global", auxiliary: true };
    assert.deepEqual(declarations.viewGroups, [...views, large]);
    assert.deepEqual(declarations.views, views);
    assert.deepEqual((await method([learnsOnes, gram({ scale: 1 })])).declarations.viewGroups, views);
    const half = await method([learnsOnes, gram({ scale: 1.5 })]);
    assert.equal(half.declarations.viewGroup("gram").size, 24);
  });

  it("leaves the larger views in their own colours, whatever multi-crop makes of the global ones", async () => {
    const crops = multiCrop({ globalCrops: { size: 16 }, localCrops: { size: 8, count: 1 } });
    const training = await method([crops, learnsOnes, gram()], { views: [] });
    const batch = tinyBatch(training);
    const feeds = training.feeds(batch, at(0));
    const shown = await (await training.engine.program("views", training.traceViews(feeds))).run(feeds);
    const changed = (group: string) =>
      distance(
        shown[group]!,
        Float32Array.from(batch.pixels.get(group)!, (byte) => byte / 255),
      );
    assert.ok(changed("gram") < 1e-6, `gram changes by ${changed("gram")}`);
    assert.ok(changed("global") > 0.1, `global changes by ${changed("global")}`);
  });

  it("has a network that is the teacher's copy, and a pass of its own beside those of others", async () => {
    const method0 = [dino(head), pixelRelation(), gram({ startEpoch: 2, updateEvery: 0.4 })];
    const { declarations } = await method(method0);
    const { networks, passes } = declarations;
    assert.deepEqual([...networks.keys()], ["student", "teacher", "gram"]);
    const { from, update } = networks.get("gram")!;
    assert.deepEqual([from!.name, update], ["teacher", { copyEvery: 2, fromStep: 9 }]);
    // The student sees no larger views, for dino or the relation.
    const keys = ["teacher/global", "student/global", "student/local", "gram/gram/gram.anchor"];
    assert.deepEqual([...passes.keys()], keys);
  });

  it("starts by itself in the middle of the run, and its network after 10 epochs is the teacher again", async () => {
    for (const [epochs, fromStep] of [
      [4, 9],
      [5, 9],
      [1, 0],
    ] as const) {
      // prettier-ignore
      const { networks } = (await method([learnsOnes, gram()], { run: { epochs } })).declarations;
      assert.deepEqual(networks.get("gram")!.update, { copyEvery: 50, fromStep });
    }
  });

  it("is the run without it before startEpoch: no term, no pass, one program", async () => {
    const log: string[] = [];
    const training = await method([dino(head), gram({ startEpoch: 1 }), watching(log)]);
    const without = await method([dino(head)]);
    const captured: number[] = [];
    for (let step = 0; step < 7; step++) {
      log.length = 0;
      const batch = tinyBatch(training, step);
      const { scalars } = await training.step("train", batch, at(step), () => captured.push(step));
      if (step >= 5) {
        assert.ok(scalars["loss/gram"]! > 0, `a loss in step ${step}`);
        continue;
      }
      const plain = await without.step("train", tinyBatch(without, step), at(step));
      assert.deepEqual(Object.keys(scalars).sort(), Object.keys(plain.scalars).sort());
      const [got, want] = [scalars["loss"]!, plain.scalars["loss"]!];
      assert.ok(Math.abs(got - want) < 1e-4 * want, `step ${step}: ${got}, ${want}`);
      assert.ok(!log.some((line) => line.startsWith("gram/")), `passes of step ${step}: ${log.join(", ")}`);
    }
    assert.deepEqual(captured, [0, 5]);
  });

  it("runs the Gram network on the larger views, unmasked, and compares on the student's grid", async () => {
    const log: string[] = [];
    const masks = ibot({ ...head, maskShape: "random", maskRatio: 0.5, maskRatioVariation: 0 });
    const given = [masks, gram({ startEpoch: 1, weight: 3 }), watching(log)];
    const training = await method(given);
    const { finite, scalars } = await training.step("train", tinyBatch(training), at(5));
    assert.ok(finite, "the step is finite");
    assert.deepEqual(log, [
      "teacher/global 4x4x32",
      "gram/gram/gram.anchor 4x16x32",
      "student/global 4x4x32",
    ]);
    const [loss, term, beside] = ["loss", "loss/gram", "loss/ibot"].map((name) => scalars[name]!);
    assert.ok(Math.abs(loss! - (3 * term! + beside!)) < 1e-5 * loss!, `${loss}, ${term}, ${beside}`);
  });

  it("copies the teacher by the step before startEpoch, and stays until the next copy", async () => {
    const training = await method([dino(head), gram({ startEpoch: 1, updateEvery: 0.4, scale: 1 })]);
    let before = await valuesOf(training);
    const start = before.get(`gram/${WEIGHT}`)!.slice();
    const copied: number[] = [];
    for (let step = 0; step < 10; step++) {
      const { scalars } = await training.step("train", tinyBatch(training, step), at(step));
      const after = await valuesOf(training);
      const [was, is, teacher] = [
        before.get(`gram/${WEIGHT}`)!,
        after.get(`gram/${WEIGHT}`)!,
        after.get(`teacher/${WEIGHT}`)!,
      ];
      if (distance(is, was) > 0) {
        copied.push(step);
        assert.deepEqual(is, teacher, `step ${step} copies something else`);
      }
      if (step < 4) assert.deepEqual(is.slice(), start, `step ${step} copies`);
      // From the first step of the phase on the student is apart from the copy.
      if (step >= 5) assert.ok(scalars["loss/gram"]! > 1e-9, `no loss in step ${step}`);
      before = new Map([...after].map(([name, values]) => [name, values.slice()]));
    }
    assert.deepEqual(copied, [4, 6, 8]);
  });

  it("has no loss at the same size while the student is what the Gram network is", async () => {
    const training = await method([learnsOnes, gram({ startEpoch: 0, scale: 1 })]);
    const first = await training.step("train", tinyBatch(training), at(0));
    assert.ok(first.scalars["loss/gram"]! < 1e-10, `${first.scalars["loss/gram"]} at first`);
    const second = await training.step("train", tinyBatch(training), at(1));
    assert.ok(second.scalars["loss/gram"]! > 1e-8, `${second.scalars["loss/gram"]} when it moved`);
  });

  it("teaches the student what the Gram network's weights say of the larger views", async () => {
    const training = await method([learnsOnes, gram({ startEpoch: 0 })]);
    const lossWith = async (changed: string) => {
      const values = await valuesOf(training);
      for (const [name, own] of values)
        if (name.startsWith(changed)) values.set(name, own.map((x, i) => x + 0.1 * Math.sin(i))); // prettier-ignore
      await training.initialize(values);
      const outputs = await outputsOf(training, 1);
      await training.initialize();
      return outputs["loss/gram"]![0]!;
    };
    const plain = await lossWith("nothing");
    assert.equal(await lossWith("teacher/backbone"), plain);
    for (const network of ["student", "gram"])
      assert.ok(Math.abs((await lossWith(`${network}/backbone`)) - plain) > 1e-4, network);
    const batch = tinyBatch(training);
    const pixels = new Map(batch.pixels).set("gram", batch.pixels.get("gram")!.map((x) => 255 - x)); // prettier-ignore
    const other = await outputsOf(training, 1, { ...batch, pixels });
    assert.ok(Math.abs(other["loss/gram"]![0]! - plain) > 1e-5, "other pixels in the larger views");
  });

  it("refuses to start after the run, and views that there are not or that do not fit", async () => {
    const late = method([learnsOnes, gram({ startEpoch: tinyRun.epochs })]);
    await assert.rejects(late, coded("OPTION_INVALID", '"gram"', "startEpoch", "4 epochs"));
    const missing = method([learnsOnes, gram({ globalViews: "globl" })]);
    await assert.rejects(missing, coded("VIEW_GROUP_MISSING", '"gram"', '"globl"', 'mean "global"'));
    const uneven = method([learnsOnes, gram({ scale: 1.3 })]);
    await assert.rejects(uneven, coded("VIEW_SIZE", '"gram"', "21 pixels"));
    const alone = await method([gram({ startEpoch: 1 })]);
    await assert.rejects(alone.step("train", tinyBatch(alone), at(0)), coded("NO_LOSS"));
  });
});

describe("a run of dino and gram", () => {
  const base = pictureFolder();

  it("trains, and goes on from a stop as if there had been none", async () => {
    const run = {
      base: base(),
      method: [tinyDino, gram({ startEpoch: 1, updateEvery: 0.4 })],
      train: { engine: "eager", backend: "cpu" } as const,
      report: { samples: 2 },
    };
    const whole = await trainTiny({ ...run, name: "whole" });
    const terms = whole.told.steps.map(({ scalars }) => scalars["loss/gram"]);
    assert.deepEqual(terms.map((term) => term !== undefined && term > 0), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1].map(Boolean)); // prettier-ignore
    const names = whole.told.views[0]!.views.map(({ name, image }) => [name, image.width]);
    assert.deepEqual(names, [["global 1", 16], ["global 2", 16], ["gram 1", 32], ["gram 2", 32]]); // prettier-ignore
    const abort = new AbortController();
    const stops = { signal: abort.signal, observer: { step: ({ step }: { step: number }) => step === 5 && abort.abort() } }; // prettier-ignore
    const first = await trainTiny({ ...run, name: "stopped", options: stops });
    const second = await trainTiny({ ...run, name: "stopped", options: { resume: true } });
    const losses = [...first.told.steps, ...second.told.steps].map(({ scalars }) => scalars["loss"]);
    assert.equal(first.told.steps.length, 6);
    assert.deepEqual(losses, whole.told.steps.map(({ scalars }) => scalars["loss"])); // prettier-ignore
  });
});
