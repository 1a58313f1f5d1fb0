/** What the author of a plugin is told of options and specs that the contract does not know: ARGUMENT_INVALID. */
import type { RelationSink, SetupContext, ViewGroupSpec } from "../../../core/contexts.ts";
import { tf, type PluginUse } from "../../../core/plugin.ts";
import { inSetup, taps, tells, untyped } from "./author-mistakes.ts";
import { globalViews } from "./tiny.ts";

describe("the author is told of keys and values that the contract does not know:", () => {
  const related = (options: object, features: (x: tf.Tensor3D) => tf.Tensor = (x) => x) =>
    taps("relation", (relations: RelationSink, { patchTokens }: { patchTokens: tf.Tensor3D }) =>
      relations.addBilinear("x", untyped(features(patchTokens)), untyped(options)),
    );
  const compared = (options: object) =>
    inSetup((setup, hooks) => {
      setup.network("teacher");
      hooks.relation.tap("acme", (relations, { patchTokens }) => relations.add("x", patchTokens));
      hooks.loss.tap("acme", (_, { crossView }) => void crossView("x", (a) => a, untyped(options)));
    });
  const refused = (call: string, what: string, mistake: PluginUse, hook: string, says: string, fix: RegExp) =>
    tells(
      `${call}: ${what}`,
      mistake,
      `ARGUMENT_INVALID acme/${hook}`,
      [`plugin "acme" gives ${call}`, says],
      fix,
    );

  const bilinear = (options: object, says: string, fix: RegExp) =>
    refused('addBilinear("x")', says, related(options), "relation", says, fix);
  bilinear({ axis: "tokens" }, '"tokens" for axis', /give "token" or "channel" for axis/);
  bilinear({ axis: "tokens" }, 'Did you mean "token"?', /axis/);
  bilinear({}, "undefined for axis", /axis/);
  bilinear({ axis: "token", head: 2 }, 'the unknown key "head". Did you mean "heads"?', /axis, heads, scale/);
  bilinear({ axis: "token", heads: 0 }, "0 for heads, where a whole number from 1", /heads/);
  bilinear({ axis: "token", scale: "2" }, '"2" for scale, where a finite number', /scale/);
  bilinear(untyped(undefined), "undefined, where an object of axis, heads, scale", /object/);
  tells(
    "features of two dimensions",
    related({ axis: "token" }, (x) => tf.mean(x, 1)),
    "RELATION_SHAPE acme/relation",
    ["[4, 32]", "[4, N, a multiple of 1]"],
    /\[B, N, D\]/,
  );

  const crossView = (options: object, says: string, fix: RegExp) =>
    refused('crossView("x")', says, compared(options), "loss", says, fix);
  crossView({ targets: tf.softmax }, 'the unknown key "targets". Did you mean "target"?', /target, linear/);
  crossView({ target: 1 }, "1 for target, where a function", /target/);
  crossView({ linear: "yes" }, '"yes" for linear', /true or false/);
  crossView({ overlapSide: 13 }, "13 for overlapSide", /an object of global, local/);
  crossView(
    { overlapSide: { global: 3, locale: 2 } },
    '"overlapSide.locale". Did you mean "local"',
    /global/,
  );
  crossView({ padding: "zero" }, '"zero" for padding', /"zeros" or "border"/);
  crossView({ disjoint: "skipped" }, '"skipped" for disjoint', /"count" or "skip"/);
  crossView({ teacher: 1 }, "1 for teacher", /a name/);

  const pass = (spec: object, says: string, fix: RegExp) =>
    refused(
      "setup.pass",
      says,
      inSetup((setup) =>
        setup.pass({ network: setup.network("student"), views: "global", outputs: {}, ...spec }),
      ),
      "setup",
      says,
      fix,
    );
  pass({ view: "local" }, 'the unknown key "view". Did you mean "views"?', /network, views/);
  pass({ unmasked: 1 }, "1 for unmasked", /true or false/);
  pass({ outputs: { patch: true } }, '"outputs.patch". Did you mean "patches"?', /cls, patches, blocks/);
  pass({ outputs: undefined }, "undefined for outputs", /an object of cls/);
  pass({ outputs: { blocks: 1 } }, "1 for outputs.blocks", /indices/);
  pass({ phase: () => true }, "a function for phase", /setup's phase/);

  const network = (spec: object, says: string, fix: RegExp) =>
    refused(
      'setup.network("past")',
      says,
      inSetup((setup) => setup.network("past", untyped(spec))),
      "setup",
      says,
      fix,
    );
  network({ form: "student", update: "ema" }, 'the unknown key "form". Did you mean "from"?', /from, update/);
  network({ from: "student", update: "freeze" }, '"freeze" for update', /"ema" or "frozen"/);
  network({ from: "student", update: { every: 3 } }, '"update.every"', /copyEvery, fromStep/);

  const setup = (call: string, says: string, fix: RegExp, declare: (setup: SetupContext) => unknown) =>
    refused(call, says, inSetup(declare), "setup", says, fix);
  const zeros = { kind: "zeros" } as const;
  setup('setup.variable("x")', 'key "trainble". Did you mean "trainable"?', /ema/, (own) =>
    own.variable("x", [1], zeros, untyped({ trainble: false })),
  );
  setup('setup.variable("x")', "0.04 for weightDecay", /true or false/, (own) =>
    own.variable("x", [1], zeros, untyped({ weightDecay: 0.04 })),
  );
  setup('setup.buffer("x")', 'key "pernetwork". Did you mean "perNetwork"?', /perNetwork/, (own) =>
    own.buffer("x", [1], zeros, untyped({ pernetwork: true })),
  );
  setup('the initializer of "acme.x"', '"zero" for kind', /"zeros" or "ones"/, (own) =>
    own.variable("x", [1], untyped({ kind: "zero" })),
  );
  setup('the initializer of "acme.x"', "undefined for kind", /"zeros" or "ones"/, (own) =>
    own.buffer("x", [1], untyped(undefined)),
  );
  setup('the initializer of "acme.x"', "undefined for std", /a finite number/, (own) =>
    own.variable("x", [1], untyped({ kind: "truncatedNormal" })),
  );
  setup('setup.optimizerGroup("x")', 'key "learningRate"', /lr, weightDecay/, (own) =>
    own.optimizerGroup("x", untyped({ learningRate: 1 })),
  );
  setup('setup.optimizerGroup("x")', "a function for lr", /a number from 0 or a schedule/, (own) =>
    own.optimizerGroup("x", { lr: untyped(() => 1) }),
  );
  const sample = () => new Float32Array(1);
  setup('setup.input("x")', 'key "type"', /shape, dtype, sample/, (own) =>
    own.input("x", untyped({ shape: [1], type: "int32", sample })),
  );
  setup('setup.input("x")', '"int" for dtype', /"float32" or "int32"/, (own) =>
    own.input("x", { shape: [1], dtype: untyped("int"), sample }),
  );
  setup('setup.input("x")', "1 for shape", /\[null, 3\]/, (own) =>
    own.input("x", { shape: untyped(1), sample }),
  );
  setup('setup.mask("global")', 'key "start". Did you mean "startEpoch"?', /most/, (own) =>
    own.mask("global", untyped({ most: 1, start: 1, sample })),
  );
  setup('setup.mask("global")', "undefined for most", /a whole number from 0/, (own) =>
    own.mask("global", untyped({ sample })),
  );

  const views = (spec: object, says: string, fix: RegExp) =>
    refused(
      "view group 1",
      says,
      taps("views", (before: ViewGroupSpec[]) => [...before, { ...globalViews, group: "mine", ...spec }]),
      "views",
      says,
      fix,
    );
  views({ sameCropsAs: "global" }, 'key "sameCropsAs". Did you mean "sameCropAs"?', /group, count/);
  views({ group: undefined }, "undefined for group", /a name/);
  views({ scale: 0.5 }, "0.5 for scale", /\[low, high\]/);
});
