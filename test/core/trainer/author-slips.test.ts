/** What the author of a plugin is told of values: not finite, frozen, of another kind, at another time, or read. */
import assert from "node:assert/strict";
import type { RelationSink, SetupContext } from "../../../core/contexts.ts";
import { RelataError } from "../../../core/errors.ts";
import { constant, definePlugin, tf, z, type PluginUse } from "../../../core/plugin.ts";
import { resolvePlugins } from "../../../registry/resolve.ts";
import { inLoss, inSetup, kinds, lossOf, taps, tells, untyped } from "./author-mistakes.ts";
import { onStudent, plugin } from "./tiny.ts";

describe("the author is told of", () => {
  describe("what is not finite:", () => {
    const zero = (x: tf.Tensor) => tf.mul(x, 0);
    const notFinite = (what: string, value: (x: tf.Tensor2D) => tf.Tensor, says: string, fix: RegExp) =>
      tells(what, lossOf(value), "NOT_FINITE acme/loss", ["step 0", says], fix, kinds);

    notFinite("log 0", (x) => tf.log(zero(x)), "result of Log in acme/loss", /epsilon.*logSoftmax/);
    notFinite("0 / 0", (x) => tf.div(zero(x), zero(x)), "result of RealDiv in", /divisor/);
    notFinite("1 / sqrt 0", (x) => tf.rsqrt(zero(x)), "result of Rsqrt in", /epsilon/);
    notFinite("a root's slope at 0", (x) => tf.sqrt(zero(x)), "in the gradient of Sqrt", /epsilon/);
    notFinite("a norm's slope at 0", (x) => tf.norm(zero(x), 2, 1), "in the gradient of Sqrt", /l2Norm/);
    notFinite("a large exponential", (x) => tf.exp(tf.mul(x, 1e6)), "result of Exp in", /logSumExp/);
    notFinite("a negative's root", (x) => tf.pow(tf.sub(zero(x), 1), 0.5), "result of Pow in", /negative/);
    notFinite("a large product", (x) => tf.mul(tf.mul(x, 1e38), 1e38), "result of Mul", /train\.lr/);
    tells(
      "a schedule",
      inSetup((setup) => setup.schedule("warm", ({ step }) => step / 0)),
      "SCHEDULE_VALUE acme/schedule",
      ['"acme.warm"', "NaN at step 0"],
      /finite number/,
    );
    tells(
      "a loss's weight",
      inLoss((x, losses) => losses.add("x", NaN, tf.mean(x))),
      "LOSS_WEIGHT acme/loss",
      ['"acme.x"', "NaN"],
      /finite number or a schedule/,
    );
  });

  describe("what capture would freeze:", () => {
    const frozen = (what: string, value: () => number) =>
      tells(
        what,
        inLoss((_, losses) => losses.metric("x", tf.scalar(value()))),
        "FROZEN_VALUE acme/loss",
        ['plugin "acme"'],
        /schedule.*input.*phase/,
        ["captured"],
      );

    let count = 0;
    // eslint-disable-next-line no-restricted-properties -- the mistake that is to be found
    frozen("Math.random", () => Math.random());
    frozen("a counter", () => count++);
    frozen("the time", () => performance.now());
    tells(
      "a schedule that is computed from a count of the steps",
      onStudent("acme", { cls: true }, (hooks, pass) => {
        let steps = 0;
        hooks.afterStep.tap("acme", () => void steps++);
        hooks.loss.tap("acme", (losses, { output }) => {
          const temperature = 0.04 + 0.001 * steps;
          losses.add("x", 1, tf.mean(tf.div(output(pass).clsToken!, temperature)));
        });
      }),
      "FROZEN_VALUE acme/loss",
      ["Const"],
      /schedule/,
      ["captured"],
    );
    tells(
      "an array that may be another in the next step",
      lossOf((x) => tf.add(tf.mean(x), tf.mean(tf.tensor1d(Array.from({ length: 300 }, (_, i) => i))))),
      "UNDECLARED_CONSTANT acme/loss",
      ["[300]", "1200 bytes"],
      /input.*schedule.*constant/,
      ["captured"],
    );
    tells(
      "a random array, though it is called a constant",
      lossOf((x) => {
        // eslint-disable-next-line no-restricted-properties -- the mistake that is to be found
        const noise = Float32Array.from({ length: 300 }, () => Math.random());
        return tf.add(tf.mean(x), tf.mean(constant(noise, [300])));
      }),
      "FROZEN_VALUE acme/loss",
      ["its constants differ"],
      /schedule.*input.*phase/,
      ["captured"],
    );
    tells(
      "tfjs's own randomness",
      lossOf((x) => tf.dropout(x, 0.5)),
      "STATEFUL_OP acme/loss",
      ["randomUniform"],
      /setup's `input`/,
      ["captured"],
    );
    tells(
      "a value that is read",
      lossOf((x) => tf.scalar(x.dataSync()[0]!)),
      "VALUE_READ_WHILE_TRACING acme/loss",
      [],
      /losses\.metric/,
      ["captured"],
    );
    let kept: tf.Tensor | undefined;
    tells(
      "a tensor of an earlier trace",
      lossOf((x) => tf.add(x, (kept ??= tf.keep(tf.mean(x))))),
      "FOREIGN_TENSOR acme/loss",
      ["add"],
      /`buffer`/,
      ["captured"],
    );
  });

  describe("values of another kind:", () => {
    const noTensor = (what: string, mistake: PluginUse, says: string, where = "acme/loss") =>
      tells(what, mistake, `NOT_TENSOR ${where}`, [says, "where a tensor belongs"], /return the tensor/);

    noTensor(
      "a loss that returns nothing",
      inLoss((_, losses) => losses.add("x", 1, untyped(undefined))),
      'the loss term "acme.x" in acme/loss undefined',
    );
    noTensor(
      "a loss that is a number",
      inLoss((_, losses) => losses.add("x", 1, untyped(3))),
      'the loss term "acme.x" in acme/loss 3',
    );
    noTensor(
      "a metric that is a number",
      inLoss((_, losses) => losses.metric("x", untyped(3))),
      'the metric "acme.x" in acme/loss 3',
    );
    noTensor(
      "a relation",
      taps("relation", (relations: RelationSink) => relations.add("x", untyped(undefined))),
      'the relation "x"',
      "acme/relation",
    );
    noTensor(
      "a comparison that returns nothing",
      inSetup((setup, hooks) => {
        setup.network("teacher");
        hooks.relation.tap("acme", (relations, { patchTokens }) => relations.add("x", patchTokens));
        hooks.loss.tap(
          "acme",
          (_, { crossView }) =>
            void crossView(
              "x",
              untyped(() => undefined),
            ),
        );
      }),
      'the comparison of "x"',
    );
    tells(
      "a loss of each sample",
      inLoss((x, losses) => losses.add("x", 1, tf.mean(x, 1))),
      "LOSS_NOT_SCALAR acme/loss",
      ['"acme.x"', "[4]"],
      /tf\.mean/,
    );
    tells(
      "a weight that is no number",
      inLoss((x, losses) => losses.add("x", untyped(tf.mean), tf.mean(x))),
      "LOSS_WEIGHT acme/loss",
      ["a function"],
      /name, then a finite number/,
    );
    tells(
      "features whose heads do not divide them",
      taps("relation", (relations: RelationSink, step: { patchTokens: tf.Tensor3D }) =>
        relations.addBilinear("x", step.patchTokens, { axis: "token", heads: 5 }),
      ),
      "RELATION_SHAPE acme/relation",
      ["[4, 4, 32]", "a multiple of 5"],
      /divisible by the heads/,
    );
    tells(
      "a relation of some of the images",
      taps("relation", (relations: RelationSink, step: { patchTokens: tf.Tensor3D }) =>
        relations.add("x", tf.slice(step.patchTokens, [0, 0, 0], [3, 4, 32])),
      ),
      "RELATION_SHAPE acme/relation",
      ["[3, 4, 32]", "[4, …]"],
      /\[B, …, rows, columns\]/,
    );
    tells(
      "a schedule that is a number",
      inSetup((setup) => setup.schedule("x", untyped(0.5))),
      "NOT_FUNCTION acme/setup",
      ['the schedule "acme.x" with 0.5'],
      /\(\{ step, epoch \}\) =>/,
    );
    tells(
      "a buffer of another shape",
      inSetup((setup, hooks) => {
        const center = setup.buffer("center", [3], { kind: "zeros" });
        hooks.update.tap("acme", ({ write }) => write(center, tf.zeros([4])));
      }),
      "ASSIGN_SHAPE acme/update",
      ["acme.center", "[3]", "[4]"],
      /reshape/,
    );
    tells(
      "a weight that is written as if it were a buffer",
      inSetup((setup, hooks) => {
        const scale = setup.variable("scale", [3], { kind: "zeros" });
        hooks.update.tap("acme", ({ write }) => write(scale, tf.zeros([3])));
      }),
      "NOT_BUFFER acme/update",
      ['"acme.scale"'],
      /setup's `buffer`/,
    );
  });

  describe("what comes too late:", () => {
    for (const [method, declare] of [
      ["schedule", (setup) => setup.schedule("late", () => 1)],
      ["variable", (setup) => setup.variable("late", [1], { kind: "zeros" })],
      ["network", (setup) => setup.network("teacher")],
      ["pass", (setup) => setup.pass({ network: setup.network("student"), views: "global", outputs: {} })],
    ] satisfies [string, (setup: SetupContext) => unknown][]) {
      tells(
        method,
        inSetup((setup, hooks) => hooks.loss.tap("acme", () => void declare(setup))),
        "DECLARED_LATE acme/loss",
        [`setup's ${method}`],
        /in the setup hook/,
      );
    }
  });

  describe("the config:", () => {
    const acme = definePlugin(
      {
        name: "acme",
        api: "^1",
        summary: "made by a test",
        requires: ["ghost"],
        options: z.strictObject({ weight: z.number().default(1) }),
      },
      () => {},
    );
    const refused = async (use: PluginUse) => {
      const error: unknown = await resolvePlugins([use], ".").catch((error: unknown) => error);
      assert.ok(error instanceof RelataError, String(error));
      return error;
    };

    it("a plugin that another one requires", async () => {
      const { code, message, fix } = await refused(acme());
      assert.deepEqual([code, fix], ["PLUGIN_REQUIRES", 'add "ghost" to plugins']);
      assert.match(message, /"acme" requires "ghost"/);
    });

    it("an option that there is not", async () => {
      const { code, message } = await refused(acme({ weigth: 2 } as object));
      assert.equal(code, "CONFIG_PROBLEMS");
      assert.match(message, /plugins\.acme\.with\.weigth: unknown key\. Did you mean "weight"\?/);
    });

    it("two plugins of one name", async () => {
      const twice = resolvePlugins([plugin("acme", () => {}), plugin("acme", () => {})], ".");
      await assert.rejects(twice, { code: "PLUGIN_TWICE", message: /"acme" is listed 2 times/ });
    });
  });
});
