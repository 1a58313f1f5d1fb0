/** The plugin in a step: what the encoder sees, what changes the loss, what it declares, and what it refuses. */
import assert from "node:assert/strict";
import type { Engine } from "../../../core/engine/engine.ts";
import {
  definePlugin,
  z,
  type BackboneOutput,
  type PluginUse,
  type TokenGrid,
} from "../../../core/plugin.ts";
import { Random } from "../../../core/random.ts";
import { BACKBONE } from "../../../core/tokens.ts";
import type { Training } from "../../../core/trainer/training.ts";
import { VisionTransformer } from "../../../core/vit/vit.ts";
import dino from "../../../plugins/dino/index.ts";
import mae from "../../../plugins/mae/index.ts";
import { checkpointOf, pictureFolder, tinyDino, trainTiny, type Told } from "../../core/trainer/runs.ts";
import {
  at,
  coded,
  distance,
  globalViews,
  localViews,
  outputsOf,
  plugin,
  tinyBackbone,
  tinyBatch,
  tinyTraining,
  valuesOf,
  type TinyOptions,
} from "../../core/trainer/tiny.ts";
import { makeEngine } from "../../support/engines.ts";

const small = { decoderDim: 16, decoderDepth: 1, decoderHeads: 2 };
const head = { outDim: 8, hiddenDim: 16, bottleneckDim: 8, freezeLastLayerEpochs: 0 };
const views = [globalViews, localViews];
const PASS = "student/global/mae.visible";
const PATCHES = 4;
const PATCH = 8;
/** Two global views of two samples. */
const IMAGES = 4;

/** Another backbone in the place of the tiny one. */
const withBackbone = (backbone: VisionTransformer): PluginUse =>
  definePlugin(
    { name: "backbone", api: "^1", summary: "made by a test", options: z.strictObject({}) },
    () => ({
      services: (container) => void container.bind(BACKBONE, () => backbone),
    }),
  )();

/** Gives the encoder's tokens of the visible patches. */
const watches = plugin("watches", (hooks, name) => {
  let seen: BackboneOutput;
  hooks.forward.tap(name, (output, { pass }) => {
    if (pass.owner) seen = output;
    return output;
  });
  hooks.loss.tap(name, (losses) => losses.metric("encoded", seen.tokens));
});

describe("the mae plugin", () => {
  let engines: Engine[];
  beforeEach(() => (engines = []));
  afterEach(() => engines.forEach((engine) => engine.close()));

  async function method(plugins: readonly PluginUse[], options: TinyOptions = {}): Promise<Training> {
    engines.push(await makeEngine("eager on cpu"));
    return tinyTraining(engines.at(-1)!, plugins, { views, ...options });
  }

  /** The patches of each view at a step, in the order that was drawn. */
  const orderAt = (training: Training, step: number, batch = tinyBatch(training)) => {
    const places = training.feeds(batch, at(step))["mae.order"] as Int32Array;
    return Array.from({ length: IMAGES }, (_, r) => [...places.subarray(r * PATCHES, (r + 1) * PATCHES)]);
  };

  it("asks for one pass of its own, has a decoder, and no teacher", async () => {
    const training = await method([mae(small)]);
    const { passes, networks, heads, inputs } = training.declarations;
    assert.deepEqual([...networks.keys()], ["student"]);
    assert.deepEqual(
      [...passes.values()].map(({ key, owner, patches }) => [key, owner, patches]),
      [[PASS, "mae", true]],
    );
    assert.deepEqual([...heads.keys()], ["mae.embed", "mae.decoder"]);
    assert.deepEqual(inputs.get("mae.order")!.shape, [IMAGES, PATCHES]);
  });

  it("encodes the tokens in front and the visible patches alone; other passes keep all", async () => {
    const backbone = new VisionTransformer({ ...tinyBackbone().config, registerTokens: 2 });
    const run = backbone.blocks.bind(backbone);
    const seen: number[][] = [];
    backbone.blocks = (parameters, segments) => {
      seen.push(...segments.map(({ tokens }) => tokens.shape));
      return run(parameters, segments);
    };
    const training = await method([withBackbone(backbone), dino(head), mae({ ...small, maskRatio: 0.5 })]);
    await training.step("train", tinyBatch(training), at(0));
    const front = 1 + 2;
    assert.deepEqual(seen, [
      [IMAGES, front + PATCHES, 32], // the teacher
      [IMAGES, front + PATCHES, 32],
      [IMAGES, front + 1, 32], // local views are one patch
      [IMAGES, front + 2, 32],
    ]);
  });

  it("draws a permutation by sample and view, wherever the sample lies in the batch, anew at each step", async () => {
    const training = await method([mae(small)]);
    const batch = tinyBatch(training);
    const swapped = { ...batch, indices: Int32Array.from([...batch.indices].reverse()) };
    const [places, other] = [orderAt(training, 3, batch), orderAt(training, 3, swapped)];
    const { seed } = training.declarations.run;
    for (const view of [0, 1]) {
      batch.indices.forEach((sample, b) => {
        const want = [...new Random(seed, "mae.order", 3, sample, view).permutation(PATCHES)];
        assert.deepEqual(places[view * 2 + b], want);
        assert.deepEqual(other[view * 2 + (1 - b)], want);
      });
    }
    const steps = new Set([0, 1, 2, 3, 4, 5].map((step) => JSON.stringify(orderAt(training, step))));
    assert.equal(steps.size, 6);
  });

  describe("a change of pixels", () => {
    /** `change` of every value of a patch of the first image: what the encoder gives, and the loss. */
    async function outcome(
      patch: "kept" | "dropped",
      normPixLoss: boolean,
      change: (byte: number) => number,
    ) {
      const training = await method([mae({ ...small, normPixLoss }), watches]);
      const batch = tinyBatch(training);
      const [places] = orderAt(training, 0, batch);
      const chosen = patch === "kept" ? places![0]! : places!.at(-1)!;
      const [top, left] = [PATCH * Math.floor(chosen / 2), PATCH * (chosen % 2)];
      // Values that no change takes beyond a byte.
      const bytes = batch.pixels.get("global")!.map((byte) => 50 + (byte >> 1));
      for (let y = top; y < top + PATCH; y++) {
        const row = bytes.subarray(3 * (16 * y + left), 3 * (16 * y + left + PATCH));
        row.set(row.map(change));
      }
      const outputs = await outputsOf(training, 0, { ...batch, pixels: new Map([...batch.pixels, ["global", bytes]]) }); // prettier-ignore
      return { encoded: outputs["metric/watches.encoded"]!, loss: outputs["loss/mae"]![0]! };
    }
    const same = (byte: number) => byte;
    const flatter = (byte: number) => byte >> 1;
    const brighter = (byte: number) => byte + 20;

    it("of a dropped patch does not reach the encoder, and moves the loss through the target alone", async () => {
      for (const normPixLoss of [true, false]) {
        const [before, after] = [await outcome("dropped", normPixLoss, same), await outcome("dropped", normPixLoss, (byte) => 250 - byte)]; // prettier-ignore
        assert.equal(before.encoded.length, IMAGES * 2 * 32, "class token and one patch of each image");
        assert.equal(distance(after.encoded, before.encoded), 0, "the encoder saw a dropped patch");
        assert.ok(Math.abs(after.loss - before.loss) > 1e-3, "the target is not of the dropped patch");
      }
    });

    it("in the brightness of a dropped patch is no change of its target where that is normalised", async () => {
      const lossOf = async (normPixLoss: boolean, change: typeof same) =>
        (await outcome("dropped", normPixLoss, change)).loss;
      const normalised = Math.abs((await lossOf(true, brighter)) - (await lossOf(true, same)));
      const plain = Math.abs((await lossOf(false, brighter)) - (await lossOf(false, same)));
      assert.ok(normalised < 1e-5, `it moves the loss by ${normalised}`);
      assert.ok(plain > 1e-3, `it moves the loss of plain pixels by ${plain} only`);
    });

    it("of a visible patch reaches the encoder", async () => {
      const [before, after] = [await outcome("kept", true, same), await outcome("kept", true, flatter)];
      assert.ok(distance(after.encoded, before.encoded) > 1e-3, "the encoder does not see the patch");
    });
  });

  it("predicts the mean at the start: normalised pixels give a loss of about 1; and multiplies it by its weight", async () => {
    const training = await method([mae({ ...small, weight: 1.5 })]);
    const values = await valuesOf(training);
    for (const name of ["weight", "bias"]) values.get(`student/mae.decoder.pred.${name}`)!.fill(0);
    await training.initialize(values);
    const { scalars } = await training.step("train", tinyBatch(training), at(0));
    // The mean square of n normalised values is 1 - 1 / n.
    assert.ok(Math.abs(scalars["loss/mae"]! - (1 - 1 / (PATCH ** 2 * 3))) < 1e-4, `${scalars["loss/mae"]}`);
    assert.ok(Math.abs(scalars["loss"]! - 1.5 * scalars["loss/mae"]!) < 1e-5, `${scalars["loss"]}`);
  });

  it("learns to reconstruct what it sees again and again", async () => {
    const training = await method([mae({ ...small, normPixLoss: false })], { dropPathRate: 0.1 });
    const batch = tinyBatch(training);
    const losses: number[] = [];
    for (let i = 0; i < 12; i++)
      losses.push((await training.step("train", batch, at(0))).scalars["loss/mae"]!);
    assert.ok(losses.at(-1)! < 0.97 * losses[0]!, losses.join());
  });

  describe("beside dino", () => {
    it("leaves dino's first step as it is", async () => {
      const [alone, both] = [await method([dino(head)]), await method([dino(head), mae(small)])];
      const [want, got] = [await outputsOf(alone), await outputsOf(both)];
      assert.ok(Math.abs(got["loss/dino"]![0]! - want["loss/dino"]![0]!) < 1e-6, "the loss of dino changes");
      const ofHead = Object.keys(want).filter((name) => name.startsWith("gradient/projection"));
      assert.ok(ofHead.length > 0, "dino's head has no gradient");
      for (const name of ofHead) {
        const largest = distance(want[name]!, new Float32Array(want[name]!.length));
        assert.ok(distance(got[name]!, want[name]!) <= 1e-5 * largest, name);
      }
      const centers = await Promise.all([alone, both].map(async (t) => (await valuesOf(t)).get("state/dino.center")!)); // prettier-ignore
      assert.ok(distance(centers[0]!, centers[1]!) < 1e-7, "dino's center changes");
    });

    it("has a decoder of the student alone, whose gradients and the backbone's are of both losses", async () => {
      const training = await method([dino(head), mae(small)]);
      const names = training.state.variables.map(({ name }) => name);
      assert.ok(names.includes("student/mae.decoder.pred.weight"), names.join());
      assert.deepEqual(names.filter((name) => name.startsWith("teacher/mae")), []); // prettier-ignore
      const both = await outputsOf(training);
      const alone = await outputsOf(await method([dino(head)]));
      const name = "gradient/backbone.blocks.0.mlp.fc1.weight";
      assert.ok(distance(both[name]!, alone[name]!) > 1e-5, "mae does not reach the backbone");
    });
  });

  it("refuses ratios that leave or drop none of a view's patches, and views that there are not", async () => {
    const refused = (given: object, ...words: string[]) =>
      assert.rejects(method([mae({ ...small, ...given })]), coded("OPTION_INVALID", '"mae"', "maskRatio", ...words)); // prettier-ignore
    await refused({ maskRatio: 0.9 }, "keeps 0 of a view's 4 patches");
    await refused({ maskRatio: 1e-12 }, "drops 0");
    await refused({ views: "local" }, "keeps 0 of a view's 1 patches");
    await assert.rejects(method([mae({ views: "huge" })]), coded("VIEW_GROUP_MISSING", '"mae"', '"huge"'));
  });

  it("refuses a backbone that merges patches", async () => {
    class Merging extends VisionTransformer {
      override stemGrid(size: number): TokenGrid {
        const { rows, columns, stride } = this.grid(size);
        return { rows: 2 * rows, columns: 2 * columns, stride: stride / 2 };
      }
    }
    const merging = method([withBackbone(new Merging(tinyBackbone().config)), mae(small)]);
    await assert.rejects(merging, coded("BACKBONE_MERGES", '"mae"', "4 x 4 patches into 2 x 2"));
  });
});

describe("a run of mae", () => {
  const base = pictureFolder();
  const eager = { engine: "eager", backend: "cpu" } as const;
  /** The networks that were evaluated. */
  const evaluated = ({ evaluations }: Told) => [
    ...new Set(evaluations.flatMap(({ evaluation }) => evaluation.results.map(({ card }) => card.network))),
  ];

  it("trains by itself, evaluates the student, and saves the decoder", async () => {
    const { summary, told } = await trainTiny({ base: base(), method: [mae(small)], train: eager });
    assert.deepEqual([summary.status, summary.step], ["finished", 10]);
    assert.deepEqual(evaluated(told), ["student"]);
    assert.ok(
      told.steps.every(({ scalars }) => scalars["loss"] === scalars["loss/mae"]),
      "another loss",
    );
    const names = (await checkpointOf(base())).tensors.map(({ name }) => name);
    for (const name of ["embed.mask_token", "decoder.blocks.0.attn.qkv.weight", "decoder.pred.weight"])
      assert.ok(names.includes(`student/mae.${name}`), name);
    assert.ok(!names.some((name) => name.startsWith("teacher/")), "there is a teacher");
  });

  it("trains with dino", async () => {
    const { summary, told } = await trainTiny({
      base: base(),
      name: "both",
      method: [tinyDino, mae(small)],
      train: { ...eager, epochs: 1 },
    });
    assert.equal(summary.status, "finished");
    const { scalars } = told.steps.at(-1)!;
    assert.ok(
      Number.isFinite(scalars["loss/dino"]) && Number.isFinite(scalars["loss/mae"]),
      "a loss is missing",
    );
    assert.deepEqual(evaluated(told), ["teacher"]);
  });
});
