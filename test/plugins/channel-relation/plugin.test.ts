/** The plugin in a step: its heads, its relation's scale, its loss, and which configurations it refuses. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { Engine } from "../../../core/engine/engine.ts";
import { softmaxCrossEntropy } from "../../../core/plugin.ts";
import type { Training } from "../../../core/trainer/training.ts";
import channelRelation from "../../../plugins/channel-relation/index.ts";
import {
  at,
  coded,
  distance,
  globalViews,
  localViews,
  outputsOf,
  plugin,
  tinyBatch,
  tinyTraining,
} from "../../core/trainer/tiny.ts";
import { makeEngine } from "../../support/engines.ts";

const views = [globalViews, localViews];
const DIM = 32;

describe("the channel-relation plugin", () => {
  let engines: Engine[];
  beforeEach(() => (engines = []));
  afterEach(() => engines.forEach((engine) => engine.close()));

  async function method(given: object = {}, more: Parameters<typeof tinyTraining>[1] = [], own = views) {
    engines.push(await makeEngine("eager on cpu"));
    return tinyTraining(engines.at(-1)!, [channelRelation(given), ...more], { views: own });
  }

  const scalarsOf = async (training: Training) =>
    (await training.step("train", tinyBatch(training), at(0))).scalars;

  it("has a head for local views where there are some, and predictors of the student's alone", async () => {
    const modules = ({ state }: Training) => {
      const names = state.variables.map(({ name }) => name).filter((name) => !name.startsWith("adam."));
      const own = names.filter((name) => name.includes("channel-relation"));
      return [...new Set(own.map((name) => name.split(".").slice(0, 3).join(".")))].sort();
    };
    const global = [
      "student/channel-relation.head.predictor",
      "student/channel-relation.head.projection",
      "teacher/channel-relation.head.projection",
    ];
    assert.deepEqual(modules(await method({}, [], [globalViews])), global);
    const local = [
      "student/channel-relation.localHead.predictor",
      "student/channel-relation.localHead.projection",
    ];
    assert.deepEqual(modules(await method()), [...global, ...local].sort());
  });

  it("starts near ln C, logs the teacher's effective rank, and multiplies its loss by its weight", async () => {
    const scalars = await scalarsOf(await method({ weight: 0.7 }));
    assert.ok(Math.abs(scalars["loss"]! - 0.7 * scalars["loss/channel-relation"]!) < 1e-5);
    const loss = scalars["loss/channel-relation"]!;
    assert.ok(loss > 0.5 * Math.log(DIM) && loss < 2 * Math.log(DIM), `${loss}`);
    // 4 tokens of a global view are at most 4 directions.
    const rank = scalars["metric/channel-relation.effectiveRank"]!;
    assert.ok(rank > 1 && rank <= 4, `${rank}`);
  });

  /** Gives the relations of a view group, [views * B * C * C], and their comparison for a temperature. */
  const watches = (temperature: number) =>
    plugin("watches", (hooks, name) => {
      hooks.loss.tap(name, (losses, { crossView }) => {
        const seen = new Set<string>();
        const compare = (teacher: tf.Tensor, student: tf.Tensor, group: string) => {
          if (!seen.has(group)) losses.metric(group, student);
          if (seen.size === 0) losses.metric("teacher", teacher);
          seen.add(group);
          return softmaxCrossEntropy(tf.softmax(tf.div(teacher, temperature)), student);
        };
        const loss = crossView("channel-relation", (teacher, student, pairs) =>
          compare(teacher, student, pairs.student.views.group),
        );
        losses.add(name, 0, loss);
      });
    });

  it("is the cross-entropy of softmax(teacher / tau_c) with the student's relation over all pairs", async () => {
    const scalars = await scalarsOf(await method({ teacherTemp: 0.3 }, [watches(0.3)]));
    assert.ok(Math.abs(scalars["loss/watches"]! - scalars["loss/channel-relation"]!) < 1e-5);
    const other = await scalarsOf(await method({ teacherTemp: 0.05 }));
    assert.ok(Math.abs(other["loss/channel-relation"]! - scalars["loss/channel-relation"]!) > 1e-4);
  });

  it("divides features by the tokens per side of their view, or by fixed numbers as the official code", async () => {
    const relations = async (divisor?: object) => {
      const outputs = await outputsOf(await method(divisor ? { divisor } : {}, [watches(0.1)]));
      return (name: string) => outputs[`metric/watches.${name}`] as Float32Array;
    };
    const bySide = await relations();
    // 2 x 2 tokens in global views, 1 in local ones.
    const fixed = await relations({ global: 2, local: 1 });
    const official = await relations({ global: 14, local: 6 });
    for (const [name, factor] of [
      ["teacher", 4 / 14 ** 2],
      ["global", 4 / 14 ** 2],
      ["local", 1 / 6 ** 2],
    ] as const) {
      assert.equal(distance(fixed(name), bySide(name)), 0, name);
      assert.ok(
        distance(
          official(name),
          bySide(name).map((value) => factor * value),
        ) < 1e-6,
        name,
      );
      assert.ok(distance(bySide(name), new Float32Array(bySide(name).length)) > 0.01, name);
    }
    assert.equal(bySide("global").length, 2 * DIM * DIM);
  });

  it("reaches every weight of the student's before the relation, and not the final norm", async () => {
    const outputs = await outputsOf(await method());
    const moved = (name: string) => {
      const gradient = outputs[`gradient/${name}`] as Float32Array;
      return distance(gradient, new Float32Array(gradient.length)) > 1e-9;
    };
    for (const name of [
      "channel-relation.head.projection.0.weight",
      "channel-relation.head.predictor.0.weight",
      "channel-relation.localHead.predictor.1.bias",
      "backbone.blocks.1.attn.qkv.weight",
      "backbone.patch_embed.proj.weight",
    ])
      assert.ok(moved(name), name);
    assert.ok(!Object.keys(outputs).some((name) => name.startsWith("gradient/backbone.norm.")));
  });

  it("refuses a single view, and other views than there are", async () => {
    await assert.rejects(
      method({ globalViews: "huge" }),
      coded("VIEW_GROUP_MISSING", '"channel-relation"', '"huge"'),
    );
    await assert.rejects(
      method({}, [], [{ ...globalViews, count: 1 }]),
      coded("NO_VIEW_PAIRS", '"channel-relation"', '"global"'),
    );
  });

  it("checks its options", () => {
    const { options } = channelRelation.manifest;
    const refused = (given: object, path: string) => {
      const { success, error } = options.safeParse(given);
      assert.equal(success, false, path);
      assert.equal(error!.issues[0]!.path[0] ?? "", path);
    };
    refused({ weight: -1 }, "weight");
    refused({ teacherTemp: 0 }, "teacherTemp");
    refused({ divisor: "pixels" }, "divisor");
    refused({ divisor: { global: 14 } }, "divisor");
    refused({ divisor: { global: 0, local: 6 } }, "divisor");
    refused({ beta: 1 }, "");
    assert.equal(options.parse({}).divisor, "tokens-per-side");
  });
});
