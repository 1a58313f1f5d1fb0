/** What the author of a plugin is told of wrong shapes, names and declarations: where, of which op, and what to do. */
import assert from "node:assert/strict";
import type { Initializer, RelationContext, RelationSink } from "../../../core/contexts.ts";
import type { Hooks } from "../../../core/hooks.ts";
import { ProjectionMlp, PrototypeLayer, tf, withGradient, type PluginUse } from "../../../core/plugin.ts";
import {
  assertTold,
  endOf,
  inLoss,
  inSetup,
  kinds,
  lossOf,
  taps,
  tells,
  untyped,
} from "./author-mistakes.ts";
import { declares, onStudent, plugin } from "./tiny.ts";

const zeros: Initializer = { kind: "zeros" };

describe("the author is told of", () => {
  describe("wrong shapes in a hook:", () => {
    const refused = (what: string, mistake: PluginUse, says: readonly string[], fix: RegExp) =>
      tells(what, mistake, "OP_REFUSED acme/loss", says, fix, kinds);

    refused(
      "a product",
      lossOf((x) => tf.matMul(x, x)),
      ["matMul", "32", "given [4, 32], [4, 32]"],
      /columns.*rows.*transposeB/,
    );
    refused(
      "a sum",
      lossOf((x) => tf.add(x, tf.ones([3]))),
      ["add", "given [4, 32], [3]"],
      /aligned.*last/,
    );
    refused(
      "a reshape",
      lossOf((x) => tf.reshape(x, [7, 3])),
      ["reshape", "given [4, 32]"],
      /equally many/,
    );
    refused(
      "a concatenation",
      lossOf((x) => tf.concat([x, tf.ones([4, 3])], 0)),
      ["concat", "given [4, 32], [4, 3]"],
      /but that of the axis/,
    );
    refused(
      "a split",
      lossOf((x) => tf.split(x, 3)[0]!),
      ["split", "given [4, 32]"],
      /divides the axis/,
    );
    // Refused before there is a kernel that is given anything: the shapes are in tfjs's own words.
    refused(
      "a choice",
      lossOf((x) => tf.where(tf.greater(x, 0), x, tf.ones([1, 7]))),
      ["where", "4,32", "1,7"],
      /console\.log\(x\.shape\)/,
    );
    refused(
      "what a head is given",
      onStudent("acme", { cls: true }, (hooks, pass, setup) => {
        const head = setup.head("h", new PrototypeLayer({ inDim: 5, outDim: 3 }));
        hooks.loss.tap("acme", (_, step) => void step.apply(head, pass.network, step.output(pass).clsToken!));
      }),
      ["matMul", "[4, 32]", "[3, 5]"],
      /columns.*rows/,
    );
    tells(
      "the weight of a head that is more than one product",
      onStudent("acme", { cls: true }, (hooks, pass, setup) => {
        const head = setup.head("h", new ProjectionMlp({ inDim: 32 }));
        hooks.loss.tap("acme", (_, step) => void step.weight(head, pass.network));
      }),
      "HEAD_NOT_LINEAR acme/loss",
      ['"h"'],
      /step\.apply/,
    );
    refused(
      "a broadcast that has no gradient",
      lossOf((x) => tf.maximum(tf.ones([4, 32]), tf.slice(x, [0, 0], [1, 32]))),
      ["Maximum", "its gradient to [1, 32]", "[4, 32]"],
      /tf\.broadcastTo/,
    );
    refused(
      "a gradient of its own",
      lossOf((x) =>
        withGradient(
          [x],
          () => ({ value: tf.mul(x, 2), saved: [] }),
          () => [tf.ones([3])],
        ),
      ),
      ["withGradient", "[4, 32]", "[3]"],
      /gradient function/,
    );
    refused(
      "indices that are no integers",
      lossOf((x) => tf.gather(x, tf.ones([3]))),
      ["gather", "float32"],
      /int32 with tf\.cast/,
    );
    refused(
      "nothing where a tensor belongs",
      lossOf(() => tf.sum(untyped(undefined))),
      ["sum", "null"],
      /misspelt|returns nothing/,
    );
    tells(
      "a part that lies outside, where its gradient shows it",
      lossOf((x) => tf.slice(x, [0, 0], [9, 9])),
      "OP_REFUSED acme/loss",
      ["in the gradient of Slice", "given [9, 9]"],
      /begin and size/,
      ["captured"],
    );
    tells(
      "an index outside, where the step runs",
      lossOf((x) => tf.gather(x, tf.tensor1d([99], "int32"))),
      "OP_FAILED acme/loss",
      ["UnsortedSegmentSum", "99"],
      /indices/,
      ["captured"],
    );

    it("with the plugin's line in the stack, however deep the op's error is made", async () => {
      for (const kind of kinds) {
        const { cause, stack } = (await endOf(kind, [lossOf((x) => tf.matMul(x, x))])) as Error;
        for (const frames of [stack, (cause as Error).stack])
          assert.match(frames!, /author-errors\.test\.ts:\d+/, kind);
      }
    });

    it("but an error of its own, after one of an op that it caught, as it is", async () => {
      const retries = inLoss((x) => {
        try {
          tf.matMul(x, x);
        } catch {
          throw new Error("tried in vain");
        }
      });
      const told = { code: "PLUGIN_THREW", where: "acme/loss", says: ["tried in vain"], fix: /--verbose/ };
      for (const kind of kinds) assertTold(await endOf(kind, [retries]), told);
    });
  });

  describe("what it returns from", () => {
    const returns = (hook: keyof Hooks, tap: (x: never) => unknown, says: readonly string[], fix: RegExp) => {
      const same = (name: string) => taps(hook, (x: unknown) => x, name);
      // The taps before and after it do nothing wrong.
      tells(hook, [same("before"), taps(hook, tap), same("after")], `HOOK_SHAPE acme/${hook}`, says, fix);
    };
    const part = (size: [number, number, number]) => (x: tf.Tensor3D) => tf.slice(x, [0, 0, 0], size);

    returns("augment", (x: tf.Tensor4D) => tf.mean(x), ["[]", "[4, 16, 16, 3]", "of global"], /shape/);
    returns("embed", part([4, 2, 32]), ["[4, 2, 32]", "[4, 4, 32]", "of student/global"], /shape/);
    returns("tokens", part([4, 2, 32]), ["[4, 2, 32]", "[4, 5, 32]"], /in a pass of your own/);
    returns("forward", (output: object) => ({ ...output }), ["an object", "a BackboneOutput"], /Proxy/);
    returns("views", () => ({}), ["an object", "an array of view groups"], /\[\.\.\.views, yours\]/);
    tells(
      "embed: nothing",
      taps("embed", () => undefined),
      "HOOK_RETURNED_NOTHING acme/embed",
      [],
      /return the value/,
    );
    tells(
      "loss: a promise",
      taps("loss", async () => {}),
      "HOOK_ASYNC_TAP acme/loss",
      [],
      /synchronous/,
    );
  });

  describe("a name that is taken:", () => {
    const head = (name: string, outDim: number) =>
      declares(name, (setup) => void setup.head("projection", new PrototypeLayer({ inDim: 32, outDim })));
    const relation = (name: string) =>
      taps(
        "relation",
        (relations: RelationSink, { patchTokens }: RelationContext) =>
          relations.addBilinear("same", patchTokens, { axis: "token" }),
        name,
      );

    tells(
      "two heads that differ",
      [head("other", 8), head("acme", 16)],
      "HEAD_CONFLICT acme/setup",
      ['"other" and "acme"', '"projection"', "outDim 8 and 16"],
      /same head options, or separate heads/,
    );
    tells(
      "two relations",
      [relation("other"), relation("acme")],
      "DECLARED_TWICE acme/relation",
      ['"same"', 'plugin "other"'],
      /another name/,
    );
    tells(
      "two inputs",
      inSetup((setup) => [setup.schedule("x", () => 1), setup.schedule("x", () => 1)]),
      "DECLARED_TWICE acme/setup",
      ['"acme.x"'],
      /another name/,
    );
    tells(
      "two variables",
      inSetup((setup) => [setup.variable("x", [1], zeros), setup.buffer("x", [1], zeros)]),
      "VARIABLE_DECLARED_TWICE acme/setup",
      ['"acme.x"'],
      /another name/,
    );
    tells(
      "two losses",
      inLoss((x, losses) => [losses.add("x", 1, tf.mean(x)), losses.add("x", 1, tf.mean(x))]),
      "LOSS_DUPLICATE acme/loss",
      ['"acme.x"'],
      /own name/,
    );
  });

  describe("what nobody makes:", () => {
    const undeclared = (
      what: string,
      mistake: PluginUse,
      says: readonly string[],
      fix = /declare .* in setup/,
    ) => tells(what, mistake, "UNDECLARED acme/loss", says, fix);

    tells(
      "a relation",
      inSetup((setup, hooks) => {
        setup.network("teacher");
        hooks.loss.tap("acme", (_, { crossView }) => void crossView("ghost", (a) => tf.mean(a)));
      }),
      "RELATION_MISSING acme/loss",
      ['"ghost"', "nobody adds any"],
      /relation hook.*"ghost"/,
    );
    tells(
      "a view group",
      inSetup((setup) => setup.viewGroup("globl")),
      "VIEW_GROUP_MISSING acme/setup",
      ['"globl"', 'Did you mean "global"?'],
      /multi-crop/,
    );
    tells(
      "an output that was not asked for",
      inLoss((_x, _losses, { output }, pass) => output(pass).patchTokens),
      "OUTPUT_UNDECLARED acme/loss",
      ["patches", "student/global"],
      /outputs: \{ patches: true \}/,
    );
    tells(
      "a block that was not asked for",
      inLoss((_x, _losses, { output }, pass) => output(pass).block(-1)),
      "OUTPUT_UNDECLARED acme/loss",
      ["block -1"],
      /blocks: \[-1\]/,
    );
    tells(
      "a hook",
      plugin("acme", (hooks) =>
        (untyped(hooks) as Record<string, Hooks["loss"]>)["losses"]!.tap("acme", () => {}),
      ),
      "HOOK_UNKNOWN acme/apply",
      ['"losses"', 'Did you mean "loss"?'],
      /views, setup, augment/,
    );
    tells(
      "a network of this run",
      inSetup((setup) => {
        const ofAnother = { ...setup.network("student") };
        setup.pass({ network: ofAnother, views: "global", outputs: { cls: true } });
      }),
      "NETWORK_FOREIGN acme/setup",
      ['"student"'],
      /setup\.network\("student"\)/,
    );
    undeclared(
      "a pass",
      inLoss((_x, _losses, { output }) => output(untyped(undefined))),
      ["no pass"],
    );
    undeclared(
      "a pass of that name",
      inLoss((_x, _losses, { output }, pass) => output({ ...pass, key: "student/globl" })),
      ['"student/globl"', 'Did you mean "student/global"?'],
    );
    undeclared(
      "a head",
      inLoss((x, _losses, { apply }, { network }) => apply({ name: "ghost" }, network, x)),
      ['the head "ghost"'],
    );
    undeclared(
      "a variable",
      inLoss((_x, _losses, { read }) => read({ name: "acme.ghost", shape: [] })),
      ['the variable "acme.ghost"'],
    );
    undeclared(
      "a schedule",
      inLoss((_x, _losses, { value }) => value({ name: "acme.ghost" })),
      ['"acme.ghost"'],
    );
    undeclared(
      "a phase",
      inLoss((_x, _losses, { phase }) => phase({ name: "acme.ghost" })),
      ['the phase "acme.ghost"'],
    );
    undeclared(
      "a mask",
      inLoss((_x, _losses, { masked }) => masked({ name: "acme.mask", group: "global" })),
      ['the mask "global"'],
    );
    undeclared(
      "a weight of a head",
      onStudent("acme", { cls: true }, (hooks, pass, setup) => {
        const parameters = () => [{ name: "weight", shape: [3, 32], init: zeros }];
        const head = setup.head("h", { spec: {}, parameters, forward: (p, x) => tf.mul(x, p("wieght")) });
        hooks.loss.tap("acme", (_, step) => void step.apply(head, pass.network, step.output(pass).clsToken!));
      }),
      ['"h.wieght"', 'Did you mean "h.weight"?'],
      /parameters\(\)/,
    );
  });
});
