/** The plugin in a step: its heads, its loss over pairs of views, and which configurations it refuses. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { ViewBatch } from "../../../core/data/pipeline.ts";
import type { Engine } from "../../../core/engine/engine.ts";
import { softmaxCrossEntropy } from "../../../core/plugin.ts";
import type { Training } from "../../../core/trainer/training.ts";
import pixelRelation from "../../../plugins/pixel-relation/index.ts";
import {
  at,
  coded,
  declares,
  distance,
  globalViews,
  localViews,
  outputsOf,
  plugin,
  tinyBatch,
  tinyTraining,
} from "../../core/trainer/tiny.ts";
import { makeEngine } from "../../support/engines.ts";

const overlapSide = { global: 4, local: 3 };
const views = [globalViews, localViews];

describe("the pixel-relation plugin", () => {
  let engines: Engine[];
  beforeEach(() => (engines = []));
  afterEach(() => engines.forEach((engine) => engine.close()));

  async function method(given: object = {}, more: Parameters<typeof tinyTraining>[1] = [], own = views) {
    engines.push(await makeEngine("eager on cpu"));
    const use = pixelRelation({ overlapSide, ...given });
    return tinyTraining(engines.at(-1)!, [use, ...more], { views: own });
  }

  const scalarsOf = async (training: Training, batch: ViewBatch = tinyBatch(training)) =>
    (await training.step("train", batch, at(0))).scalars;

  /** Crops side by side that share nothing, but for the first sample's global views, which see the same. */
  function mostlyDisjoint(training: Training): ViewBatch {
    const rows = (count: number, from: number) =>
      Array.from({ length: 2 * count }, (_, i) => [20 * (from + i), 5, 10, 10, 0]);
    const global = rows(2, 0);
    global[2] = [...global[0]!]; // view 1 of sample 0
    return {
      ...tinyBatch(training),
      rects: new Map([
        ["global", Float32Array.from(global.flat())],
        ["local", Float32Array.from(rows(2, 10).flat())],
      ]),
    };
  }

  const headNames = ({ state }: Training) =>
    new Set(state.variables.map(({ name }) => name.split(".").slice(0, 3).join(".")).filter((name) => name.includes("pixel-relation"))); // prettier-ignore

  it("has a head for local views where there are some, and predictors of the student's alone", async () => {
    const of = (network: string, head: string, ...modules: string[]) =>
      modules.map((module) => `${network}/pixel-relation.${head}.${module}`);
    const global = [
      ...of("student", "head", "projection", "predictor"),
      ...of("teacher", "head", "projection"),
    ];
    const student = (names: Set<string>) => [...names].filter((name) => !name.startsWith("adam.")).sort();
    assert.deepEqual(student(headNames(await method({}, [], [globalViews]))), [...global].sort());
    const local = of("student", "localHead", "projection", "predictor");
    assert.deepEqual(student(headNames(await method())), [...global, ...local].sort());
  });

  it("logs its loss, the share of global views that overlap and the entropy of their targets", async () => {
    const training = await method({ weight: 0.4 });
    const scalars = await scalarsOf(training, mostlyDisjoint(training));
    assert.ok(Math.abs(scalars["loss"]! - 0.4 * scalars["loss/pixel-relation"]!) < 1e-5);
    assert.equal(scalars["metric/pixel-relation.overlapRate"], 0.5);
    const entropy = scalars["metric/pixel-relation.rowEntropy"]!;
    assert.ok(
      entropy > 0 && entropy < 1 - 1e-4,
      `the uniform rows of disjoint crops are left out: ${entropy}`,
    );
  });

  it("counts disjoint pairs with ln T, or skips them", async () => {
    const [count, skip] = [await method({ disjoint: "count" }), await method({ disjoint: "skip" })];
    const of = async (training: Training) =>
      (await scalarsOf(training, mostlyDisjoint(training)))["loss/pixel-relation"]!;
    const [all, overlapping] = [await of(count), await of(skip)];
    // 2 of 4 pairs of global views overlap, none of the 8 with a local view.
    const disjoint = 2 * Math.log(4 * 4) + 8 * Math.log(3 * 3);
    assert.ok(Math.abs(all - (2 * overlapping + disjoint) / 12) < 1e-5, `${all}, ${overlapping}`);
    assert.ok(Math.abs(overlapping - Math.log(16)) > 1e-3);
  });

  it("is ln T without a gradient where nothing overlaps, and 0 where such pairs are skipped", async () => {
    const apart = (training: Training) => {
      const batch = mostlyDisjoint(training);
      batch.rects.get("global")!.set([500, 5, 10, 10, 0], 10);
      return batch;
    };
    const [count, skip] = [await method(), await method({ disjoint: "skip" })];
    const scalars = await scalarsOf(count, apart(count));
    const want = (4 * Math.log(16) + 8 * Math.log(9)) / 12;
    assert.ok(Math.abs(scalars["loss/pixel-relation"]! - want) < 1e-5);
    assert.equal(scalars["metric/pixel-relation.overlapRate"], 0);
    assert.ok(scalars["metric/pixel-relation.rowEntropy"] === 0, "0 or -0");
    assert.ok(scalars["gradNorm"]! < 1e-6);
    const skipped = await scalarsOf(skip, apart(skip));
    assert.ok(skipped["loss/pixel-relation"] === 0, "0 or -0");
  });

  it("is the cross-entropy of softmax(teacher / tau_p) with the student's relation", async () => {
    const twice = plugin("twice", (hooks, name) => {
      hooks.loss.tap(name, (losses, { crossView }) => {
        const loss = crossView(
          "pixel-relation",
          (teacher, student) => softmaxCrossEntropy(tf.softmax(tf.div(teacher, 0.25)), student),
          { overlapSide },
        );
        losses.add(name, 0, loss);
      });
    });
    const scalars = await scalarsOf(await method({ teacherTemp: 0.25 }, [twice]));
    const [again, own] = [scalars["loss/twice"]!, scalars["loss/pixel-relation"]!];
    assert.ok(Math.abs(again - own) < 1e-5, `${own}, ${again}`);
    const other = (await scalarsOf(await method({ teacherTemp: 2 })))["loss/pixel-relation"]!;
    assert.ok(Math.abs(other - own) > 1e-4, `${own}, ${other}`);
  });

  it("has as many heads as the backbone or as told, and a scale of d^-1/2", async () => {
    const seen = new Map<string, number[]>();
    const watches = plugin("watches", (hooks, name) => {
      hooks.loss.tap(name, (losses, { crossView }) => {
        crossView("pixel-relation", (teacher, student, { student: { views } }) => {
          seen.set(views.group, teacher.shape);
          losses.metric(`${views.group}/student`, student);
          return tf.mean(student);
        }, { overlapSide }); // prettier-ignore
      });
    });
    const shapes = async (given: object) => {
      const outputs = await outputsOf(await method(given, [watches]));
      return { shapes: [...seen.values()], values: outputs["metric/watches.global/student"] as Float32Array };
    };
    const two = await shapes({});
    assert.deepEqual(two.shapes, [[4, 2, 16, 16], [8, 2, 9, 9]]); // prettier-ignore
    const one = await shapes({ heads: 1 });
    assert.deepEqual(one.shapes, [[4, 1, 16, 16], [8, 1, 9, 9]]); // prettier-ignore
    // One head's inner products are the sum of two heads': s_1 = 32^-1/2 of all, s_2 = 16^-1/2 of each.
    const size = 16 * 16;
    for (const [n, cell] of [
      [0, 3],
      [2, 100],
      [3, 255],
    ] as const) {
      // prettier-ignore
      const sum = two.values[2 * n * size + cell]! + two.values[(2 * n + 1) * size + cell]!;
      assert.ok(Math.abs(one.values[n * size + cell]! - sum / Math.SQRT2) < 1e-5);
    }
  });

  it("reaches every weight of the student's before the relation, and not the final norm", async () => {
    const outputs = await outputsOf(await method());
    const gradient = (name: string) => outputs[`gradient/${name}`] as Float32Array;
    const moved = (name: string) => distance(gradient(name), new Float32Array(gradient(name).length)) > 1e-9;
    for (const name of [
      "pixel-relation.head.projection.0.weight",
      "pixel-relation.head.predictor.0.weight",
      "pixel-relation.localHead.predictor.1.bias",
      "backbone.blocks.1.attn.qkv.weight",
      "backbone.patch_embed.proj.weight",
    ])
      assert.ok(moved(name), name);
    const reached = Object.keys(outputs).filter((name) => name.startsWith("gradient/"));
    assert.ok(!reached.some((name) => name.startsWith("gradient/backbone.norm.")));
  });

  it("compares the same passes whatever passes and view groups others ask for first", async () => {
    const plain = await scalarsOf(await method());
    const unmasked = declares("unmasked", (setup) => {
      for (const network of [setup.network("student"), setup.network("teacher")])
        setup.pass({ network, views: "global", unmasked: true, outputs: { cls: true } });
    });
    engines.push(await makeEngine("eager on cpu"));
    const beside = await tinyTraining(engines.at(-1)!, [unmasked, pixelRelation({ overlapSide })], { views });
    assert.ok(
      Math.abs((await scalarsOf(beside))["loss/pixel-relation"]! - plain["loss/pixel-relation"]!) < 1e-6,
    );

    const turned = await method({}, [], [localViews, globalViews]);
    const rate = (await scalarsOf(turned))["metric/pixel-relation.overlapRate"]!;
    assert.ok(rate >= 0 && rate <= 1);
    const teacher = [...turned.declarations.passes.values()].filter((p) => p.network.name === "teacher");
    assert.deepEqual(
      teacher.map(({ key }) => key),
      ["teacher/global"],
    );
  });

  it("refuses heads that do not divide embedDim, a single view, and other views than there are", async () => {
    await assert.rejects(
      method({ heads: 5 }),
      coded("OPTION_INVALID", '"pixel-relation"', "heads", "5 does not divide embedDim 32"),
    );
    await assert.rejects(
      method({ globalViews: "huge" }),
      coded("VIEW_GROUP_MISSING", '"pixel-relation"', '"huge"'),
    );
    await assert.rejects(
      method({}, [], [{ ...globalViews, count: 1 }]),
      coded("NO_VIEW_PAIRS", '"pixel-relation"', '"global"'),
    );
  });

  it("checks its options", () => {
    const { options } = pixelRelation.manifest;
    const refused = (given: object, path: string) => {
      const { success, error } = options.safeParse(given);
      assert.equal(success, false, path);
      assert.equal(error!.issues[0]!.path.join("."), path);
    };
    refused({ weight: -1 }, "weight");
    refused({ teacherTemp: 0 }, "teacherTemp");
    refused({ heads: 0 }, "heads");
    refused({ overlapSide: { global: 1 } }, "overlapSide.global");
    refused({ overlapSide: { local: 2.5 } }, "overlapSide.local");
    refused({ disjoint: "drop" }, "disjoint");
    refused({ alpha: 1 }, "");
    assert.deepEqual(options.parse({ overlapSide: { global: 7 } }).overlapSide, { global: 7, local: 6 });
  });
});
