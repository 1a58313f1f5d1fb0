/** Weights with numbers, or an optimizer, of their own. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { OptimizerGroupSpec, SetupContext } from "../../../core/contexts.ts";
import type { Engine } from "../../../core/engine/engine.ts";
import { AdamW, tf, type PluginUse } from "../../../core/plugin.ts";
import type { Training } from "../../../core/trainer/training.ts";
import lion from "../../../plugins/lion/index.ts";
import { makeEngine } from "../../support/engines.ts";
import {
  at,
  coded,
  declares,
  descent,
  distance,
  plugin,
  tinyBatch,
  tinyTraining,
  valuesOf,
  type TinyOptions,
} from "./tiny.ts";

/** The weight after three steps of AdamW, made by optimizer-groups.reference.py. */
const golden = JSON.parse(
  readFileSync(new URL("optimizer-groups.golden.json", import.meta.url), "utf8"),
) as Readonly<Record<"run" | "numbers" | "falling" | "optimizer", readonly number[]>>;

/** The gradient of both weights of `pulls` at a step. */
const gradientAt = (step: number) =>
  Float32Array.from({ length: 6 }, (_, i) => Math.sin(1.9 * step + i + 0.5));

/** Two weights of ones with the same gradient: `own` in a group, `main` in none. */
const pulls = (spec: (setup: SetupContext) => OptimizerGroupSpec): PluginUse =>
  plugin("pulls", (hooks, name) => {
    hooks.setup.tap(name, (setup) => {
      setup.pass({ network: setup.network("student"), views: "global", outputs: { cls: true } });
      const options = { group: setup.optimizerGroup("group", spec(setup)), weightDecay: true };
      const weights = [
        setup.variable("own", [6], { kind: "ones" }, options),
        setup.variable("main", [6], { kind: "ones" }, { weightDecay: true }),
      ];
      const gradient = setup.input("gradient", { shape: [6], sample: ({ step }) => gradientAt(step) });
      hooks.loss.tap(name, (losses, { read, value }) => {
        const pull = weights.map((weight) => tf.sum(tf.mul(read(weight), value(gradient))));
        losses.add(name, 1, tf.addN(pull));
      });
    });
  });

/** Numbers of the run that stay as they are. */
const settings = { lr: 1e-3, minLr: 1e-3, weightDecay: 0.04, weightDecayEnd: 0.04 };

const step = (training: Training, index: number) =>
  training.step("train", tinyBatch(training, index), at(index));

/** By name, copied. */
const saved = async (training: Training) =>
  new Map([...(await valuesOf(training))].map(([name, values]) => [name, values.slice()]));

function assertNear(values: ReadonlyMap<string, Float32Array>, name: string, want: ArrayLike<number>): void {
  const apart = distance(values.get(`student/pulls.${name}`)!, want);
  assert.ok(apart < 1e-6, `${name} is off by ${apart}`);
}

for (const kind of ["captured", "eager on cpu"] as const) {
  describe(`optimizer groups, ${kind}`, () => {
    let engine: Engine;
    beforeEach(async () => {
      engine = await makeEngine(kind);
    });
    afterEach(() => engine.close());

    const threeSteps = async (plugins: readonly PluginUse[], options: TinyOptions = { settings }) => {
      const training = await tinyTraining(engine, plugins, options);
      for (const index of [0, 1, 2]) await step(training, index);
      return saved(training);
    };

    it("have the numbers that they say of the run's optimizer, and leave the others theirs", async () => {
      const values = await threeSteps([pulls(() => ({ lr: 0.02, weightDecay: 0.5 }))]);
      assertNear(values, "own", golden.numbers);
      assertNear(values, "main", golden.run);
      assert.ok(values.has("adam.m/pulls.own"), "the run's optimizer has its state");
    });

    it("have the run's numbers where they say none, and schedules as numbers", async () => {
      const falling = pulls((setup) => ({ lr: setup.schedule("falling", (now) => 0.03 - 0.01 * now.step) }));
      const values = await threeSteps([falling]);
      assertNear(values, "own", golden.falling);
      assertNear(values, "main", golden.run);
    });

    it("clip by a norm of their own, or not at all", async () => {
      const gradient = gradientAt(0);
      const norm = Math.hypot(...gradient);
      const moved = (clip: number) => gradient.map((g) => 1 - (clip === 0 ? g : (g * clip) / (norm + 1e-6)));
      for (const [own, main] of [
        [0.5, 0],
        [0, 0.5],
        [0.25, 0.5],
      ] as const) {
        // prettier-ignore
        const other = await makeEngine(kind);
        const training = await tinyTraining(other, [pulls(() => ({ clipGrad: own }))], {
          optimizer: descent,
          settings: { clipGrad: main },
        });
        await step(training, 0);
        const values = await valuesOf(training);
        assertNear(values, "own", moved(own));
        assertNear(values, "main", moved(main));
        other.close();
      }
    });

    const withOwn = () =>
      pulls(() => ({
        lr: 0.02,
        weightDecay: 0.5,
        optimizer: new AdamW({ beta1: 0.9, beta2: 0.9, epsilon: 1e-8, decayBiases: false }),
      }));

    it("have an optimizer of their own, whose state is saved under their name", async () => {
      const values = await threeSteps([withOwn()]);
      assertNear(values, "own", golden.optimizer);
      assertNear(values, "main", golden.run);
      const state = [...values.keys()].filter((name) => name.includes("pulls.own") && name.includes("adam"));
      assert.deepEqual(state, ["pulls.group/adam.m/pulls.own", "pulls.group/adam.v/pulls.own"]);
      assert.equal(values.get("pulls.group/adam.step/main")![0], 3);
      assert.equal(values.get("adam.step/main")![0], 3);
    });

    it("go on from the state that their optimizer saved", async () => {
      const first = await tinyTraining(engine, [withOwn()], { settings });
      for (const index of [0, 1]) await step(first, index);
      const other = await makeEngine(kind);
      const second = await tinyTraining(other, [withOwn()], { settings });
      await second.initialize(await saved(first));
      await step(second, 2);
      assertNear(await valuesOf(second), "own", golden.optimizer);
      other.close();
    });

    it("have theirs beside another in the place of the run's", async () => {
      const values = await threeSteps([withOwn(), lion()]);
      assertNear(values, "own", golden.optimizer);
      // Lion, arXiv 2302.06675, algorithm 2.
      const [p, m] = [new Float64Array(6).fill(1), new Float64Array(6)];
      for (const index of [0, 1, 2]) {
        gradientAt(index).forEach((g, i) => {
          p[i]! -= settings.lr * (Math.sign(0.9 * m[i]! + 0.1 * g) + settings.weightDecay * p[i]!);
          m[i] = 0.99 * m[i]! + 0.01 * g;
        });
      }
      assertNear(values, "main", p);
      const states = [...values.keys()].filter((name) => /lion\.m\/pulls|adam/.test(name));
      assert.deepEqual(states, ["lion.m/pulls.main", "pulls.group/adam.m/pulls.own", "pulls.group/adam.v/pulls.own", "pulls.group/adam.step/main"]); // prettier-ignore
    });
  });
}

describe("optimizer groups", () => {
  it("of one name are refused", async () => {
    const engine = await makeEngine("eager on cpu");
    const twice = declares("twice", (setup) => {
      setup.optimizerGroup("group", {});
      setup.optimizerGroup("group", { lr: 1 });
    });
    await assert.rejects(tinyTraining(engine, [twice]), coded("DECLARED_TWICE", "twice.group"));
    engine.close();
  });

  for (const [key, value, code, ...words] of [
    ["lr", NaN, "ARGUMENT_INVALID", "NaN for lr"],
    ["weightDecay", -1, "ARGUMENT_INVALID", "-1 for weightDecay"],
    ["clipGrad", { name: "rates.rate" }, "ARGUMENT_INVALID", "an object for clipGrad"],
    ["lr", { name: "elsewhere" }, "UNDECLARED", "elsewhere"],
  ] as const) {
    it(`refuse ${key} ${JSON.stringify(value)}`, async () => {
      const engine = await makeEngine("eager on cpu");
      const rates = declares("rates", (setup) => {
        setup.schedule("rate", () => 1);
        setup.optimizerGroup("group", { [key]: value });
      });
      const training = tinyTraining(engine, [rates]);
      await assert.rejects(training, coded(code, '"rates"', ...words));
      engine.close();
    });
  }

  it("share no optimizer: its state would be declared and moved twice", async () => {
    const engine = await makeEngine("eager on cpu");
    const shares = declares("shares", (setup) => {
      const optimizer = new AdamW({ beta1: 0.9, beta2: 0.999, epsilon: 1e-8, decayBiases: false });
      setup.optimizerGroup("one", { optimizer });
      setup.optimizerGroup("other", { optimizer });
    });
    const training = tinyTraining(engine, [shares]);
    await assert.rejects(training, coded("OPTIMIZER_SHARED", '"shares"', '"other"', '"shares.one"'));
    engine.close();
  });
});
