/** Passes beside the shared ones: a plugin's own, those that run only in a phase; backbones without a class token. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { Engine } from "../../../core/engine/engine.ts";
import { BACKBONE, definePlugin, z } from "../../../core/plugin.ts";
import { VisionTransformer } from "../../../core/vit/vit.ts";
import { makeEngine } from "../../support/engines.ts";
import {
  at,
  coded,
  declares,
  globalViews,
  learnsOnes,
  localViews,
  onStudent,
  outputsOf,
  plugin,
  tinyBackbone,
  tinyBatch,
  tinyTraining,
} from "./tiny.ts";

/** Leaves the class token and the first patch, in a pass of its own; and says which passes it was asked about. */
const drops = (asked: string[] = []) =>
  plugin("drops", (hooks, name) => {
    hooks.setup.tap(name, (setup) => {
      const own = setup.pass({
        network: setup.network("student"),
        views: "global",
        own: "kept",
        outputs: { cls: true, patches: true },
      });
      hooks.tokens.tap(name, (tokens, { pass }) => {
        asked.push(pass.key);
        if (pass.key !== own.key) return tokens;
        assert.ok(pass.owner === name && pass.unmasked, "its own");
        return tf.slice(tokens, [0, 0, 0], [-1, 2, -1]);
      });
      hooks.loss.tap(name, (losses, { output }) => {
        assert.deepEqual(output(own).patchTokens.shape, [4, 1, 32]);
        losses.add(name, 1, tf.mean(tf.square(output(own).clsToken)));
      });
    });
  });

describe("a plugin's own pass", () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await makeEngine("eager on cpu");
  });
  afterEach(() => engine.close());

  it("runs beside the shared one, which keeps its tokens and its loss", async () => {
    const asked: string[] = [];
    const both = await outputsOf(await tinyTraining(engine, [learnsOnes, drops(asked)]));
    assert.deepEqual(asked.toSorted(), ["student/global", "student/global/drops.kept"]);
    const other = await makeEngine("eager on cpu");
    const alone = await outputsOf(await tinyTraining(other, [learnsOnes]));
    other.close();
    assert.ok(Math.abs(both["loss/ones"]![0]! - alone["loss/ones"]![0]!) < 1e-6);
  });

  it("is asked for no relations", async () => {
    const passes: string[] = [];
    const relates = plugin("relates", (hooks, name) => {
      hooks.relation.tap(name, (relations, { pass, patchTokens }) => {
        passes.push(pass.key);
        relations.addBilinear(name, patchTokens, { axis: "token" });
      });
      hooks.loss.tap(name, (losses, { crossView }) =>
        losses.add(
          name,
          1,
          crossView(name, (a, b) => tf.mean(tf.mul(a, b))),
        ),
      );
    });
    await outputsOf(await tinyTraining(engine, [relates, drops()]));
    assert.deepEqual(passes.toSorted(), ["student/global", "teacher/global"]);
  });

  it("keeps its tokens from taps of others", async () => {
    const meddles = plugin("meddles", (hooks, name) =>
      hooks.tokens.tap(name, (tokens, { pass }) =>
        pass.owner ? tf.slice(tokens, [0, 0, 0], [-1, 1, -1]) : tokens,
      ),
    );
    const training = await tinyTraining(engine, [drops(), meddles]);
    await assert.rejects(
      training.step("train", tinyBatch(training), at(0)),
      coded("HOOK_SHAPE", '"meddles"', "student/global/drops.kept"),
    );
  });

  it("has the plugin's name in its key, so that two plugins' passes of one name are two", async () => {
    const asks = (name: string) =>
      declares(name, (setup) => {
        const spec = { network: setup.network("student"), views: "global", own: "x", outputs: {} };
        assert.equal(setup.pass(spec).key, setup.pass(spec).key);
      });
    const { declarations } = await tinyTraining(engine, [learnsOnes, asks("one"), asks("two")]);
    const own = [...declarations.passes.keys()].filter((key) => key !== "student/global");
    assert.deepEqual(own, ["student/global/one.x", "student/global/two.x"]);
  });
});

describe("a pass with a phase", () => {
  /** A pass over the local views from epoch 1 on; `reads` also before. */
  const late = (name: string, { reads = false, always = false } = {}) =>
    plugin(name, (hooks) => {
      hooks.setup.tap(name, (setup) => {
        const started = setup.phase("started", (epoch) => epoch >= 1);
        const pass = setup.pass({
          network: setup.network("student"),
          views: "local",
          phase: always ? undefined : started,
          outputs: { cls: true },
        });
        hooks.embed.tap(name, (patches, step) => {
          if (step.pass.key === pass.key && !step.phase(started)) ran = true;
          return patches;
        });
        hooks.loss.tap(name, (losses, step) => {
          if (!reads && !step.phase(started)) return;
          losses.add(name, 1, tf.mean(tf.square(step.output(pass).clsToken)));
        });
      });
    });
  let ran = false;
  let engine: Engine;
  beforeEach(async () => {
    ran = false;
    engine = await makeEngine("eager on cpu");
  });
  afterEach(() => engine.close());
  const views = [globalViews, localViews];

  it("runs in the epochs of its phase alone", async () => {
    const training = await tinyTraining(engine, [learnsOnes, late("late")], { views });
    const before = await training.step("train", tinyBatch(training), at(4));
    assert.deepEqual([ran, before.scalars["loss/late"]], [false, undefined]);
    const after = await training.step("train", tinyBatch(training), at(5));
    assert.ok(after.scalars["loss/late"]! > 0, "it has a loss");
  });

  it("runs always where another plugin asks for it without one", async () => {
    const beside = late("beside", { always: true });
    const training = await tinyTraining(engine, [learnsOnes, late("late"), beside], { views });
    await training.step("train", tinyBatch(training), at(0));
    assert.ok(ran, "it runs before its phase");
  });

  it("is refused to whoever reads it earlier", async () => {
    const training = await tinyTraining(engine, [learnsOnes, late("late", { reads: true })], { views });
    await assert.rejects(
      training.step("train", tinyBatch(training), at(0)),
      coded("PASS_INACTIVE", '"late"', "student/local"),
    );
  });
});

describe("a backbone without a class token", () => {
  /** A ViT whose class token is taken off before the blocks. */
  class Headless extends VisionTransformer {
    override readonly hasClsToken = false as never;
    override prepare(...given: Parameters<VisionTransformer["prepare"]>): tf.Tensor3D {
      return tf.slice(super.prepare(...given), [0, 1, 0], [-1, -1, -1]);
    }
  }
  const headless = definePlugin(
    { name: "headless", api: "^1", summary: "made by a test", options: z.strictObject({}) },
    () => ({
      services: (container) => container.bind(BACKBONE, () => new Headless(tinyBackbone().config)),
    }),
  )();

  for (const patches of [false, true]) {
    it(`gives the norm of its mean patch token in its place, ${patches ? "with" : "without"} patches read`, async () => {
      const engine = await makeEngine("eager on cpu");
      const reads = onStudent("reads", { cls: true, patches }, (hooks, pass) => {
        hooks.loss.tap("reads", (losses, { output }) => {
          const { clsToken } = output(pass);
          losses.add("x", 1, tf.mean(tf.square(clsToken)));
          if (!patches) return;
          const wanted = output(pass).norm(tf.mean(output(pass).tokens, 1));
          losses.metric("apart", tf.max(tf.abs(tf.sub(wanted, clsToken))));
        });
      });
      const training = await tinyTraining(engine, [reads, headless]);
      const { scalars } = await training.step("train", tinyBatch(training), at(0));
      engine.close();
      assert.ok(scalars["loss/reads.x"]! > 0, "it is there");
      if (patches) assert.ok(scalars["metric/reads.apart"]! < 1e-6, "it is the mean's norm");
    });
  }
});
