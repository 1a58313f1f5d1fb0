/** The plugin in a step: its head, its loss over pairs of views, beside iBOT, and which configurations it refuses. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { ViewBatch } from "../../../core/data/pipeline.ts";
import type { Engine } from "../../../core/engine/engine.ts";
import type { Training } from "../../../core/trainer/training.ts";
import ibot from "../../../plugins/ibot/index.ts";
import patchKernelAlignment from "../../../plugins/patch-kernel-alignment/index.ts";
import { pictureFolder, trainTiny } from "../../core/trainer/runs.ts";
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

const NAME = "patch-kernel-alignment";
const overlapSide = { global: 4, local: 3 };
const head = { hiddenDim: 16, bottleneckDim: 8 };
/** 4 patches in local views too: of one alone there is no structure. */
const views = [globalViews, { ...localViews, size: 16 }];
const tinyIbot = ibot({ outDim: 16, ...head, maskShape: "random", maskRatio: 0.5, maskRatioVariation: 0 });

describe(`the ${NAME} plugin`, () => {
  let engines: Engine[];
  beforeEach(() => (engines = []));
  afterEach(() => engines.forEach((engine) => engine.close()));

  async function method(
    given: object = {},
    {
      beside = [],
      own = views,
      kind = "eager on cpu",
    }: Partial<{
      beside: Parameters<typeof tinyTraining>[1];
      own: typeof views;
      kind: Parameters<typeof makeEngine>[0];
    }> = {},
  ) {
    engines.push(await makeEngine(kind));
    const use = patchKernelAlignment({ overlapSide, ...head, ...given });
    return tinyTraining(engines.at(-1)!, [...beside, use], { views: own });
  }

  const scalarsOf = async (training: Training, batch: ViewBatch = tinyBatch(training)) =>
    (await training.step("train", batch, at(0))).scalars;

  /** Crops side by side that share nothing, but for the first sample's global views, which see the same. */
  function mostlyDisjoint(training: Training): ViewBatch {
    const rows = (from: number) => Array.from({ length: 4 }, (_, i) => [20 * (from + i), 5, 10, 10, 0]);
    const global = rows(0);
    global[2] = [...global[0]!]; // view 1 of sample 0
    return {
      ...tinyBatch(training),
      rects: new Map([
        ["global", Float32Array.from(global.flat())],
        ["local", Float32Array.from(rows(10).flat())],
      ]),
    };
  }

  it("adds its loss with its weight, and logs the teacher's effective rank", async () => {
    const scalars = await scalarsOf(await method({ weight: 0.4 }));
    const loss = scalars[`loss/${NAME}`]!;
    assert.ok(loss > 0 && loss < 1, `${loss}`);
    assert.ok(Math.abs(scalars["loss"]! - 0.4 * loss) < 1e-6, `${scalars["loss"]} is 0.4 of ${loss}`);
    const rank = scalars[`metric/${NAME}.effectiveRank`]!;
    assert.ok(rank >= 1 && rank < 9, `at most 4 patches are apart, and sampled: ${rank}`);
  });

  it("is 1 - tr(H K_t H K_s) / sqrt(tr(H K_t H K_t) tr(H K_s H K_s)) of the kernels on the views' overlap", async () => {
    const alignment = (a: tf.Tensor, b: tf.Tensor) => {
      const side = a.shape.at(-1)!;
      const H = tf.sub(tf.oneHot(tf.range(0, side, 1, "int32"), side), 1 / side);
      const through = (x: tf.Tensor) => tf.matMul(tf.reshape(x, [-1, side]) as tf.Tensor2D, H as tf.Tensor2D);
      const centered = (x: tf.Tensor) => tf.reshape(through(x), [-1, side, side]);
      const hsic = (x: tf.Tensor, y: tf.Tensor) =>
        tf.sum(tf.mul(centered(x), tf.transpose(centered(y), [0, 2, 1])), [1, 2]);
      return tf.sub(1, tf.div(hsic(a, b), tf.sqrt(tf.mul(hsic(a, a), hsic(b, b)))));
    };
    const again = plugin("again", (hooks, name) => {
      hooks.loss.tap(name, (losses, { crossView }) => {
        const options = { overlapSide, disjoint: "skip", padding: "border" } as const;
        losses.metric("loss", crossView(NAME, alignment, options));
      });
    });
    for (const headLayers of [0, 1, 3]) {
      const training = await method({ headLayers }, { beside: [again] });
      // Every crop sees a good part of every other one.
      const rects = new Map(
        views.map(({ group }, g) => {
          const rows = Array.from({ length: 4 }, (_, i) => [3 * i, 2 * g + i, 30 + i, 40 - 3 * i, i % 2]);
          return [group, Float32Array.from(rows.flat())] as const;
        }),
      );
      const scalars = await scalarsOf(training, { ...tinyBatch(training), rects });
      const [want, got] = [scalars["metric/again.loss"]!, scalars[`loss/${NAME}`]!];
      assert.ok(Math.abs(got - want) < 2e-5, `${headLayers} layers: ${got}, ${want}`);
    }
  });

  it("leaves out pairs of crops that share nothing, or counts them with 1", async () => {
    const of = async (disjoint: string) => {
      const training = await method({ disjoint });
      return (await scalarsOf(training, mostlyDisjoint(training)))[`loss/${NAME}`]!;
    };
    const [skip, count] = [await of("skip"), await of("count")];
    assert.ok(skip > 1e-3 && skip < 0.99, `${skip}`);
    // 2 of 4 pairs of global views overlap, none of the 8 with a local view.
    assert.ok(Math.abs(count - (2 * skip + 10) / 12) < 1e-5, `${count}, ${skip}`);
  });

  it("has no gradient where nothing overlaps, and is 0 where such pairs are left out", async () => {
    for (const [disjoint, want] of [
      ["skip", 0],
      ["count", 1],
    ] as const) {
      const training = await method({ disjoint });
      const batch = mostlyDisjoint(training);
      batch.rects.get("global")!.set([500, 5, 10, 10, 0], 10);
      const scalars = await scalarsOf(training, batch);
      assert.equal(scalars[`loss/${NAME}`], want, disjoint);
      assert.equal(scalars["gradNorm"], 0, disjoint);
      assert.equal(scalars[`metric/${NAME}.effectiveRank`], 0, disjoint);
    }
  });

  it("has a head that the teacher follows, or none, and reaches all of the student in front of it", async () => {
    const names = ({ state }: Training) =>
      state.variables.map(({ name }) => name).filter((name) => /^(student|teacher)\/patch-kernel/.test(name));
    const layers = ["mlp.0.weight", "mlp.0.bias", "mlp.2.weight", "mlp.2.bias"];
    const two = await method({ headLayers: 2 });
    const expected = ["student", "teacher"].flatMap((of) =>
      layers.map((layer) => `${of}/${NAME}.head.${layer}`),
    );
    assert.deepEqual(names(two).sort(), expected.sort());
    const none = await method({ headLayers: 0 });
    assert.deepEqual(names(none), []);

    const gradients = async (training: Training) =>
      Object.entries(await outputsOf(training)).filter(([name]) => name.startsWith("gradient/"));
    for (const training of [two, none]) {
      const all = await gradients(training);
      const ofHead = training === two ? [`${NAME}.head.mlp.0.weight`] : [];
      for (const name of ["backbone.norm.weight", "backbone.patch_embed.proj.weight", ...ofHead]) {
        const values = all.find(([own]) => own === `gradient/${name}`)?.[1] as Float32Array;
        assert.ok(distance(values, new Float32Array(values.length)) > 1e-6, name);
      }
    }
  });

  it("brings the student's kernels to the teacher's, beside ibot, in a captured step", async () => {
    const training = await method({}, { beside: [tinyIbot], kind: "captured" });
    const batch = tinyBatch(training);
    const losses: number[] = [];
    for (let step = 0; step < 20; step++) {
      const { finite, scalars } = await training.step("train", batch, at(step));
      assert.ok(finite && Number.isFinite(scalars["loss/ibot"]), `step ${step}`);
      losses.push(scalars[`loss/${NAME}`]!);
    }
    assert.ok(losses.at(-1)! < 0.75 * losses[0]!, `${losses}`);
  });

  it("refuses a single view, and other views than there are", async () => {
    await assert.rejects(
      method({}, { own: [{ ...globalViews, count: 1 }] }),
      coded("NO_VIEW_PAIRS", `"${NAME}"`, '"global"'),
    );
    await assert.rejects(method({ globalViews: "huge" }), coded("VIEW_GROUP_MISSING", `"${NAME}"`, '"huge"'));
  });
});

describe(`a run with ${NAME}`, () => {
  const folder = pictureFolder();

  it("trains beside ibot, and has its name in the metrics", async () => {
    const use = patchKernelAlignment({ overlapSide, ...head });
    const { told } = await trainTiny({
      base: folder(),
      method: [tinyIbot, use],
      train: { epochs: 1, lr: 1e-3 },
    });
    assert.equal(told.steps.length, 5, "steps");
    for (const { scalars } of told.steps) {
      for (const name of ["loss/ibot", `loss/${NAME}`, `metric/${NAME}.effectiveRank`])
        assert.ok(Number.isFinite(scalars[name]), `${name} in ${Object.keys(scalars).join(", ")}`);
    }
  });
});
