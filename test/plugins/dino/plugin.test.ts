/** The plugin in a step: what it declares, what it updates, and which configurations it refuses. */
import assert from "node:assert/strict";
import type { Engine } from "../../../core/engine/engine.ts";
import dino from "../../../plugins/dino/index.ts";
import {
  at,
  coded,
  distance,
  globalViews,
  localViews,
  tinyBatch,
  tinyTraining,
  valuesOf,
} from "../../core/trainer/tiny.ts";
import { makeEngine } from "../../support/engines.ts";

const K = 8;
const sizes = { outDim: K, hiddenDim: 16, bottleneckDim: 8 };
const views = [globalViews, localViews];

describe("the dino plugin", () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await makeEngine("eager on cpu");
  });
  afterEach(() => engine.close());

  it("asks for the student on all views, the teacher on global ones, and a head of both", async () => {
    const training = await tinyTraining(engine, [dino(sizes)], { views });
    const { passes, networks, variables } = training.declarations;
    assert.deepEqual([...networks.keys()], ["student", "teacher"]);
    assert.deepEqual([...passes.keys()], ["teacher/global", "student/global", "student/local"]);
    const own = [...variables.values()].filter(({ name }) => !name.startsWith("backbone."));
    assert.deepEqual(
      own.map(({ name, shape }) => [name, shape]),
      [
        ["projection.mlp.0.weight", [16, 32]],
        ["projection.mlp.0.bias", [16]],
        ["projection.mlp.2.weight", [16, 16]],
        ["projection.mlp.2.bias", [16]],
        ["projection.mlp.4.weight", [8, 16]],
        ["projection.mlp.4.bias", [8]],
        ["projection.cls.last_layer.weight_g", [K, 1]],
        ["projection.cls.last_layer.weight_v", [K, 8]],
        ["dino.center", [1, K]],
      ],
    );
  });

  it("takes no auxiliary views for the student's", async () => {
    const large = { ...globalViews, group: "large", size: 32, auxiliary: true };
    const training = await tinyTraining(engine, [dino(sizes)], { views: [...views, large] });
    const { passes } = training.declarations;
    assert.deepEqual([...passes.keys()], ["teacher/global", "student/global", "student/local"]);
  });

  it("starts at a loss of about log K and multiplies it by its weight", async () => {
    const training = await tinyTraining(engine, [dino({ ...sizes, weight: 1.5, studentTemp: 50 })], {
      views,
    });
    const { scalars } = await training.step("train", tinyBatch(training), at(0));
    assert.ok(Math.abs(scalars["loss/dino"]! - Math.log(K)) < 0.01);
    assert.ok(Math.abs(scalars["loss"]! - 1.5 * scalars["loss/dino"]!) < 1e-5);
  });

  it("works with global views alone, and pairs views whatever the order of their groups", async () => {
    const lossOf = async (given: typeof views) => {
      const own = await makeEngine("eager on cpu");
      const training = await tinyTraining(own, [dino(sizes)], { views: given });
      const { pixels, ...rest } = tinyBatch(training);
      const sorted = new Map(
        views.map(({ group }, key) => [group, pixels.get(group)?.map((_, i) => (i * (key + 3)) % 251)]),
      );
      const batch = {
        ...rest,
        pixels: new Map([...sorted].flatMap(([k, v]) => (v ? [[k, v] as const] : []))),
      };
      const { scalars } = await training.step("train", batch, at(0));
      own.close();
      return scalars["loss/dino"]!;
    };
    assert.ok(Number.isFinite(await lossOf([globalViews])));
    const [first, last] = [await lossOf(views), await lossOf([...views].reverse())];
    assert.ok(Math.abs(first - last) < 1e-6);
  });

  it("refuses a single view, which has no other to predict, and other global views than there are", async () => {
    const single = [{ ...globalViews, count: 1 }];
    await assert.rejects(
      tinyTraining(engine, [dino(sizes)], { views: single }),
      coded("NO_VIEW_PAIRS", '"dino"', '"global"'),
    );
    const own = await makeEngine("eager on cpu");
    const training = await tinyTraining(own, [dino(sizes)], { views: [...single, localViews] });
    const { scalars } = await training.step("train", tinyBatch(training), at(0));
    assert.ok(Number.isFinite(scalars["loss"]));
    own.close();
    const other = await makeEngine("eager on cpu");
    await assert.rejects(
      tinyTraining(other, [dino({ ...sizes, globalViews: "large" })], { views }),
      coded("VIEW_GROUP_MISSING", '"dino"', '"large"'),
    );
    other.close();
  });

  it("moves the center to the mean of the teacher's logits by 1 - centerMomentum", async () => {
    const centerAfter = async (centerMomentum: number) => {
      const own = await makeEngine("eager on cpu");
      const training = await tinyTraining(own, [dino({ ...sizes, centerMomentum })], { views });
      await training.step("train", tinyBatch(training), at(0));
      const values = await valuesOf(training);
      own.close();
      return values.get("state/dino.center")!;
    };
    const [mean, part, none] = [await centerAfter(0), await centerAfter(0.75), await centerAfter(1)];
    assert.ok(distance(mean, new Float32Array(K)) > 1e-3);
    assert.ok(
      distance(
        part,
        mean.map((value) => 0.25 * value),
      ) < 1e-6,
    );
    assert.deepEqual([...none], new Array<number>(K).fill(0));
  });

  it("warms the teacher's temperature up by epoch, and opens the prototypes after their epochs", async () => {
    const options = {
      warmupTeacherTemp: 0.04,
      teacherTemp: 0.07,
      warmupTeacherTempEpochs: 3,
      freezeLastLayerEpochs: 2,
    };
    const training = await tinyTraining(engine, [dino({ ...sizes, ...options })], { views });
    const schedule = (name: string) =>
      [0, 4, 5, 10, 15, 19].map((step) => training.schedulesAt(at(step))[`dino.${name}`]!);
    assert.ok(distance(schedule("teacherTemp"), [0.04, 0.04, 0.055, 0.07, 0.07, 0.07]) < 1e-12);
    assert.deepEqual(schedule("projection.cls.open"), [0, 0, 0, 1, 1, 1]);
    const prototypes = "student/projection.cls.last_layer.weight_v";
    const start = (await valuesOf(training)).get(prototypes)!.slice();
    await training.step("train", tinyBatch(training), at(9));
    assert.deepEqual((await valuesOf(training)).get(prototypes)!.slice(), start);
    await training.step("train", tinyBatch(training), at(10));
    assert.ok(distance((await valuesOf(training)).get(prototypes)!, start) > 1e-5);
  });

  it("trains the prototypes' lengths only without normLastLayer", async () => {
    for (const normLastLayer of [true, false]) {
      const own = await makeEngine("eager on cpu");
      const training = await tinyTraining(own, [dino({ ...sizes, normLastLayer })], { views });
      const trained = training.state.trainable.map(({ name }) => name);
      assert.equal(trained.includes("projection.cls.last_layer.weight_g"), !normLastLayer);
      own.close();
    }
  });

  it("teaches the student without a gradient through the teacher, whose weights follow by momentum alone", async () => {
    const training = await tinyTraining(engine, [dino(sizes)], {
      views,
      settings: { momentum: 1, momentumEnd: 1 },
    });
    const before = await valuesOf(training);
    const copies = new Map([...before].map(([name, values]) => [name, values.slice()]));
    await training.step("train", tinyBatch(training), at(10));
    for (const [name, values] of await valuesOf(training)) {
      const moved = distance(values, copies.get(name)!);
      if (name.startsWith("teacher/")) assert.equal(moved, 0, name);
    }
    const student = "student/backbone.patch_embed.proj.weight";
    assert.ok(distance((await valuesOf(training)).get(student)!, copies.get(student)!) > 1e-5);
  });

  it("checks its options", () => {
    const { options } = dino.manifest;
    const refused = (given: object, path: string) => {
      const { success, error } = options.safeParse(given);
      assert.equal(success, false, path);
      assert.equal(error!.issues[0]!.path.join("."), path);
    };
    refused({ outDim: 0 }, "outDim");
    refused({ studentTemp: 0 }, "studentTemp");
    refused({ teacherTemp: -1 }, "teacherTemp");
    refused({ centerMomentum: 1.1 }, "centerMomentum");
    refused({ weight: -1 }, "weight");
    refused({ warmupTeacherTempEpochs: 1.5 }, "warmupTeacherTempEpochs");
    refused({ lambda: 1 }, "");
    assert.equal(options.parse({}).outDim, 65536);
  });
});
