/** The tester's tests: for each check a plugin that only this check, or it first, finds out. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { BackboneOutput, StepContext } from "../../../core/contexts.ts";
import {
  batchNorm,
  definePlugin,
  fused,
  stopGradient,
  withGradient,
  z,
  type Hooks,
  type PluginUse,
} from "../../../core/plugin.ts";
import { checkGolden, checks, type Subject } from "../../../core/testing/checks.ts";
import { PluginTester } from "../../../core/testing/plugin-tester.ts";
import { globalViews, localViews, onStudent, plugin } from "../trainer/tiny.ts";

const subjectOf = (use: PluginUse, batchStatistics = false): Subject => ({
  method: [use],
  views: [globalViews, localViews],
  batchSize: 2,
  batchStatistics,
});

const check = (title: RegExp) => {
  const found = checks.find((one) => title.test(one.title));
  assert.ok(found, `there is no check ${title}`);
  return found;
};

/** A loss of the student's class tokens. */
const withLoss = (loss: (cls: tf.Tensor2D, step: StepContext) => tf.Tensor, more?: (hooks: Hooks) => void) =>
  onStudent("broken", { cls: true }, (hooks, pass) => {
    more?.(hooks);
    hooks.loss.tap("broken", (losses, step) => {
      const output: BackboneOutput = step.output(pass);
      losses.add("broken", 1, loss(output.clsToken, step));
    });
  });

const meanSquare = (x: tf.Tensor) => tf.mean(tf.square(tf.sub(x, 1)));
const sound = withLoss((cls) => meanSquare(cls));

/** Each call of `apply` has its own count. */
const counting = (use: (count: number, cls: tf.Tensor2D) => tf.Tensor) =>
  plugin("broken", (hooks) => {
    let count = 0;
    hooks.setup.tap("broken", (setup) => {
      const pass = setup.pass({
        network: setup.network("student"),
        views: "global",
        outputs: { cls: true },
      });
      hooks.loss.tap("broken", (losses, step) =>
        losses.add("broken", 1, use(count++, step.output(pass).clsToken)),
      );
    });
  });

let calls = 0;
const kept: tf.Tensor[] = [];

const broken: readonly {
  readonly check: RegExp;
  readonly what: string;
  readonly use: PluginUse;
  readonly says: RegExp;
}[] = [
  {
    check: /^trains/,
    what: "a loss that is not finite",
    use: withLoss((cls) => tf.log(tf.sub(tf.mean(cls), 1e6))),
    says: /not finite.*result of Log in \S+\/loss/,
  },
  {
    check: /^trains/,
    what: "a loss without a gradient",
    use: withLoss((cls) => tf.mul(meanSquare(cls), 0)),
    says: /every gradient is zero/,
  },
  {
    check: /^gives the same/,
    what: "draws that do not follow from the seed",
    use: withLoss((cls) => tf.mul(meanSquare(cls), 1 + calls++)),
    says: /a second run: .* differs/,
  },
  {
    check: /^frees/,
    what: "a tensor kept at each step",
    use: withLoss((cls) => {
      kept.push(tf.keep(tf.scalar(1)));
      return meanSquare(cls);
    }),
    says: /1 tensors more/,
  },
  {
    check: /^has the gradient/,
    what: "a gradient that is too large",
    use: withLoss((cls) =>
      meanSquare(
        withGradient(
          [cls],
          () => ({ value: tf.clone(cls), saved: [] }),
          (dy) => [tf.mul(dy, 1.1)],
        ),
      ),
    ),
    says: /its gradient says/,
  },
  {
    check: /^has the gradient/,
    what: "a gradient that is not finite",
    use: withLoss((cls) => tf.sqrt(tf.mul(meanSquare(cls), 0))),
    says: /not finite near the initial weights: gradient\/\S+, and \d+ more/,
  },
  {
    check: /^has the gradient/,
    what: "a loss that is not finite",
    use: withLoss((cls) => tf.log(tf.sub(tf.mean(cls), 1e6))),
    says: /not finite near the initial weights: loss/,
  },
  {
    check: /^has the gradient/,
    what: "a loss without a slope",
    use: withLoss((cls) => tf.mul(meanSquare(cls), 0)),
    says: /every gradient is zero/,
  },
  {
    check: /^goes on/,
    what: "state that is not saved",
    use: counting((count, cls) => tf.mul(meanSquare(cls), 1 + count)),
    says: /the resumed run: .* differs/,
  },
  {
    check: /^learns from two halves/,
    what: "a loss that looks at the batch as a whole",
    use: withLoss((cls) => tf.sum(tf.square(tf.mean(cls, 0)))),
    says: /moves by .* differs by/,
  },
  {
    check: /^is the same captured/,
    what: "a value of one step frozen into the graph",
    use: counting((count, cls) => tf.mul(meanSquare(cls), 1 + count)),
    says: /FROZEN_VALUE/,
  },
  {
    check: /^is the same captured/,
    what: "a tensor of a fused piece that the piece does not return",
    use: withLoss((cls) => {
      const inside: tf.Tensor[] = [];
      const constant = fused("leaks", () => {
        inside.push(tf.exp(stopGradient(cls)));
        return tf.neg(inside[0]!);
      });
      return tf.add(meanSquare(cls), tf.mean(tf.mul(inside[0]!, constant)));
    }),
    says: /FUSED_LEAK.*"broken"/,
  },
  {
    check: /^is the same captured/,
    what: "a fused piece that something is learned through",
    use: withLoss((cls) => meanSquare(fused("learns", () => tf.square(tf.exp(cls))))),
    says: /FUSED_LEAK.*"broken"/,
  },
];

describe("PluginTester's checks", () => {
  after(() => tf.dispose(kept));

  for (const { check: title, what, use, says } of broken) {
    it(`find ${what}`, async () => {
      await assert.rejects(check(title).run(subjectOf(use)), says);
    });
  }

  for (const { title, run } of checks) {
    it(`pass a sound plugin: ${title}`, () => run(subjectOf(sound)));
  }

  it("do not halve the batch of a plugin with batch statistics", () => {
    const { applies } = check(/two halves/);
    assert.deepEqual([applies!(subjectOf(sound)), applies!(subjectOf(sound, true))], [true, false]);
  });

  it("take what is left of gradients that are zero by an identity for rounding", async () => {
    // BatchNorm undoes what the final norm's bias adds to every row; rows as alike as these make large gradients.
    const steep = withLoss((cls) => {
      const [rows, columns] = cls.shape;
      const { y } = batchNorm(tf.mul(cls, 1e-2), tf.ones([columns]), tf.zeros([columns]));
      const wanted = tf.sin(tf.reshape(tf.range(0, rows * columns), [rows, columns]));
      return tf.sum(tf.square(tf.sub(y, wanted)));
    });
    await check(/^is the same captured/).run({ ...subjectOf(steep, true), batchSize: 4 });
  });

  it("hold outputs against golden ones", async () => {
    const subject = subjectOf(withLoss((cls) => tf.mean(tf.add(tf.mul(cls, 0), 2.5))));
    await checkGolden(subject, { "loss/broken": [2.5] }, 1e-6);
    await assert.rejects(checkGolden(subject, { "loss/broken": [2.6] }, 1e-6), /differs by/);
    await assert.rejects(checkGolden(subject, { "loss/other": [1] }, 1e-6), /no output loss\/other/);
  });
});

describe("PluginTester", () => {
  const own = definePlugin(
    {
      name: "own",
      api: "^1",
      summary: "made by a test",
      options: z.strictObject({ weight: z.number().nonnegative().default(1) }),
    },
    () => undefined,
  );

  /** The titles that are declared, and the tests by title. */
  function declared(run: () => void): Map<string, () => Promise<void> | void> {
    const tests = new Map<string, () => Promise<void> | void>();
    const path: string[] = [];
    PluginTester.runner = {
      describe: (title, body) => {
        path.push(title);
        body();
        path.pop();
      },
      it: (title, body) => tests.set([...path, title].join(" | "), body),
    };
    try {
      run();
    } finally {
      PluginTester.runner = undefined;
    }
    return tests;
  }

  it("declares a test for the manifest, for each refused option, and each check for each valid one", () => {
    const tests = declared(() =>
      PluginTester.run(own, {
        valid: [{}, { weight: 2 }],
        invalid: [{ options: { weight: -1 }, path: "weight" }],
        golden: { options: {}, outputs: { loss: [1] }, tolerance: 0 },
      }),
    );
    assert.equal(tests.size, 2 + 1 + 2 * checks.length + 1);
    assert.ok(tests.has('plugin own | refuses {"weight":-1}'));
    assert.ok(tests.has(`plugin own | with {"weight":2} | ${checks[0]!.title}`));
  });

  it("trains with batches of as many samples as are asked for, or 2", async () => {
    const sizes: number[] = [];
    const told = definePlugin({ ...own.manifest, name: "told" }, (hooks, { name }) => {
      hooks.setup.tap(name, ({ run: { batchSize, globalBatchSize } }) => {
        sizes.push(batchSize, globalBatchSize);
      });
    });
    const cases = { valid: [{}], invalid: [], beside: [sound] };
    for (const batchSize of [undefined, 3]) {
      const tests = declared(() => PluginTester.run(told, { ...cases, batchSize }));
      await tests.get(`plugin told | with {} | ${checks[0]!.title}`)!();
    }
    assert.deepEqual(sizes, [2, 2, 3, 3]);
  });

  it("finds options that are accepted, or refused elsewhere, and a loose schema", async () => {
    const failing = async (
      definition: typeof own,
      invalid: { options: unknown; path: string }[],
      title: RegExp,
    ) => {
      const tests = declared(() => PluginTester.run(definition, { valid: [{}], invalid }));
      const [, body] = [...tests].find(([name]) => title.test(name))!;
      await assert.rejects(async () => body());
    };
    await failing(own, [{ options: { weight: 1 }, path: "weight" }], /refuses \{"weight":1\}/);
    await failing(own, [{ options: { weight: -1 }, path: "other" }], /refuses \{"weight":-1\}/);
    const loose = definePlugin(
      {
        name: "loose",
        api: "^1",
        summary: "made by a test",
        options: z.object({ weight: z.number().default(1) }),
      },
      () => undefined,
    );
    await failing(loose as unknown as typeof own, [], /does not know/);
  });

  it("labels the images where it is told how many classes there are", async () => {
    let classes: number | undefined;
    const drawn = new Set<number>();
    const reads = definePlugin(
      { name: "reads", api: "^1", summary: "made by a test", options: z.strictObject({}) },
      (hooks, { name }) => {
        hooks.setup.tap(name, ({ run }) => {
          classes = run.numClasses;
        });
        hooks.loss.tap(name, (_, { labels }) => labels.dataSync().forEach((label) => drawn.add(label)));
      },
    );
    for (const labels of [undefined, 3]) {
      const cases = { valid: [{}], invalid: [], beside: [sound], labels };
      const tests = declared(() => PluginTester.run(reads, cases));
      drawn.clear();
      await tests.get(`plugin reads | with {} | ${checks[0]!.title}`)!();
      assert.equal(classes, labels);
      const possible = labels === undefined ? [-1] : [0, 1, 2];
      assert.deepEqual([...drawn].sort(), possible);
    }
  });

  it("tells a coded error once for all checks of the same options", async () => {
    const fails = definePlugin({ ...own.manifest, name: "fails" }, (hooks, { name }) => {
      hooks.setup.tap(name, (setup) => void setup.viewGroup("globe"));
    });
    const tests = declared(() => PluginTester.run(fails, { valid: [{}, { weight: 2 }], invalid: [] }));
    const told = async (options: string, { title }: (typeof checks)[number]) => {
      const run = async () => tests.get(`plugin fails | with ${options} | ${title}`)!();
      return String(await run().catch((error: unknown) => error));
    };
    const [first, second] = checks;
    for (const options of ["{}", '{"weight":2}']) {
      assert.match(await told(options, first!), /^VIEW_GROUP_MISSING: [^]*fix: /);
      const again = await told(options, second!);
      assert.match(again, /VIEW_GROUP_MISSING again: see "trains: /);
      assert.doesNotMatch(again, /globe/);
    }
  });

  it("refuses to test nothing, or the same twice", () => {
    const run = (cases: Parameters<typeof PluginTester.run>[1]) => () =>
      declared(() => PluginTester.run(own, cases));
    assert.throws(run({ valid: [], invalid: [] }), /no valid options/);
    const golden = { options: {}, outputs: {}, tolerance: 0 };
    assert.throws(run({ valid: [{}], invalid: [], golden }), /golden values of no output/);
    assert.throws(run({ valid: [{ weight: 1 }, { weight: 1 }], invalid: [] }), /twice/);
  });
});
