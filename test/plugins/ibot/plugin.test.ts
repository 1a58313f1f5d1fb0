/** The plugin in a step: what it declares, whose passes it masks and when, and what it refuses. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { Engine, Feeds } from "../../../core/engine/engine.ts";
import {
  CENTERING,
  definePlugin,
  ProjectionMlp,
  teacherProbabilities,
  z,
  type Centering,
  type TeacherTargets,
} from "../../../core/plugin.ts";
import { Random } from "../../../core/random.ts";
import { maskedRows } from "../../../core/trainer/mask-rows.ts";
import type { Training } from "../../../core/trainer/training.ts";
import dino from "../../../plugins/dino/index.ts";
import ibot from "../../../plugins/ibot/index.ts";
import { drawMask } from "../../../core/data/draw-mask.ts";
import {
  at,
  coded,
  distance,
  globalViews,
  learnsOnes,
  localViews,
  outputsOf,
  plugin,
  tinyBatch,
  tinyTraining,
  valuesOf,
} from "../../core/trainer/tiny.ts";
import { makeEngine } from "../../support/engines.ts";

const K = 8;
const sizes = { outDim: K, hiddenDim: 16, bottleneckDim: 8 };
/** Some patches of every view are masked: 2 or 3 of 4, one by one. */
const masked = { ...sizes, maskShape: "random" as const, maskRatio: [0.7], maskRatioVariation: [0.19] };
const views = [globalViews, localViews];
const PATCHES = 4;
const IMAGES = 4;

const withoutBackbone = ({ declarations }: Training) =>
  [...declarations.variables.keys()].filter((name) => !name.startsWith("backbone."));
const mlp = (name: string) => [0, 2, 4].flatMap((i) => [`${name}.mlp.${i}.weight`, `${name}.mlp.${i}.bias`]);
const prototypes = (name: string) => [`${name}.last_layer.weight_g`, `${name}.last_layer.weight_v`];

describe("the ibot plugin", () => {
  let engines: Engine[];
  beforeEach(() => (engines = []));
  afterEach(() => engines.forEach((engine) => engine.close()));

  async function method(plugins: Parameters<typeof tinyTraining>[1], options = {}): Promise<Training> {
    engines.push(await makeEngine("eager on cpu"));
    return tinyTraining(engines.at(-1)!, plugins, { views, ...options });
  }

  it("asks for both networks' patches of the global views, and has a head, a token and a center alone", async () => {
    const training = await method([ibot(sizes)]);
    const { passes, networks, phases, masks } = training.declarations;
    assert.deepEqual([...networks.keys()], ["student", "teacher"]);
    assert.deepEqual(
      [...passes.values()].map(({ key, cls, patches }) => [key, cls, patches]),
      [
        ["student/global", false, true],
        ["teacher/global", false, true],
      ],
    );
    assert.deepEqual([[...phases.keys()], [...masks.keys()]], [["ibot.mask.global.started"], ["global"]]);
    const want = [...mlp("projection"), ...prototypes("projection.cls"), "ibot.maskToken", "ibot.center"];
    assert.deepEqual(withoutBackbone(training).sort(), want.sort());
  });

  it("shares MLP and prototypes with dino, the MLP alone, or nothing", async () => {
    const both = [...mlp("projection"), ...prototypes("projection.cls"), "dino.center", "ibot.center"];
    const own = {
      head: [],
      mlp: prototypes("projection.patch"),
      nothing: [...mlp("projection.patchMlp"), ...prototypes("projection.patch")],
    };
    for (const share of ["head", "mlp", "nothing"] as const) {
      const training = await method([dino(sizes), ibot({ ...sizes, share })]);
      const want = [...both, "ibot.maskToken", ...own[share]];
      assert.deepEqual(withoutBackbone(training).sort(), want.sort(), share);
      const { finite } = await training.step("train", tinyBatch(training), at(0));
      assert.ok(finite);
    }
  });

  it("takes dino's options for what they share where it has none of its own", async () => {
    const frozen = { outDim: 24, freezeLastLayerEpochs: 2, normLastLayer: false };
    const training = await method([dino({ ...sizes, ...frozen }), ibot()]);
    assert.equal(training.declarations.variables.get("ibot.center")!.shape[1], 24);
    const apart = await method([dino(sizes), ibot({ share: "mlp", outDim: 10 })]);
    assert.equal(apart.declarations.variables.get("ibot.center")!.shape[1], 10);
    assert.deepEqual(
      apart.declarations.variables.get("projection.patch.last_layer.weight_v")!.shape,
      [10, 8],
    );
  });

  it("refuses other head options than dino's for what they share, naming both, and takes them for the rest", async () => {
    const refused = (given: object) =>
      assert.rejects(method([dino(sizes), ibot({ ...sizes, ...given })]), coded("HEAD_CONFLICT", '"dino"', '"ibot"')); // prettier-ignore
    await refused({ outDim: 16 });
    await refused({ normLastLayer: false });
    await refused({ freezeLastLayerEpochs: 2 });
    await refused({ hiddenDim: 8 });
    await refused({ hiddenDim: 8, share: "mlp" });
    await method([dino(sizes), ibot({ ...sizes, outDim: 16, share: "mlp" })]);
    await method([dino(sizes), ibot({ ...sizes, hiddenDim: 8, outDim: 16, share: "nothing" })]);
  });

  it("has a mask token of the student's alone, and a teacher that follows in all else", async () => {
    const training = await method([ibot(sizes)]);
    const names = training.state.variables.map(({ name }) => name);
    assert.ok(names.includes("student/ibot.maskToken"));
    assert.ok(!names.includes("teacher/ibot.maskToken"));
    assert.ok(names.includes("teacher/projection.cls.last_layer.weight_v"));
    assert.ok(training.state.trainable.some(({ name }) => name === "ibot.maskToken"));
  });

  /** Gives the embedded patches of every pass, after ibot. */
  const watchesPatches = plugin("watches", (hooks, name) => {
    hooks.setup.tap(name, (setup) => {
      const student = setup.network("student");
      setup.pass({ network: student, views: "local", outputs: { patches: true } });
      setup.pass({ network: student, views: "global", unmasked: true, outputs: { patches: true } });
      setup.pass({ network: setup.network("teacher"), views: "local", outputs: { patches: true } });
      const seen = new Map<string, tf.Tensor>();
      hooks.embed.tap(name, (patches, { pass }) => {
        seen.set(pass.key, tf.keep(tf.clone(patches)));
        return patches;
      });
      hooks.loss.tap(name, (losses) => {
        for (const [key, patches] of seen) losses.metric(key, patches);
      });
    });
  });

  it("puts the token in the place of masked patches of the student's global views, and nowhere else", async () => {
    const given = { ...masked, maskStartEpoch: 1 };
    const training = await method([learnsOnes, ibot(given), watchesPatches]);
    const token = Float32Array.from({ length: 32 }, (_, i) => 100 + i);
    const values = await valuesOf(training);
    values.set("student/ibot.maskToken", token);
    await training.initialize(values);

    const seenAt = async (step: number) => {
      const feeds = training.feeds(tinyBatch(training), at(step));
      const outputs = await (await training.program("train", at(step).epoch, feeds)).run(feeds);
      await training.initialize(values);
      return (key: string) => outputs[`metric/watches.${key}`] as Float32Array;
    };
    const [before, after] = [await seenAt(4), await seenAt(5)];
    for (const key of ["teacher/global", "teacher/local", "student/local", "student/global/unmasked"])
      assert.equal(distance(after(key), before(key)), 0, key);

    const cells = training.maskCells("global", tinyBatch(training), at(5))!;
    const [plain, own] = [before("student/global"), after("student/global")];
    let count = 0;
    for (let patch = 0; patch < IMAGES * PATCHES; patch++) {
      const row = (of: Float32Array) => of.subarray(32 * patch, 32 * (patch + 1));
      assert.ok(distance(row(own), cells[patch] ? token : row(plain)) < 1e-6, `patch ${patch}`);
      count += Number(cells[patch]);
    }
    assert.ok(count >= 4 && count <= 12);
  });

  it("draws a sample's masks by its index and view, wherever it lies in the batch", async () => {
    const training = await method([ibot({ ...masked, maskRatio: [0.5], maskRatioVariation: [0] })]);
    const { name } = training.declarations.masks.get("global")!;
    const batch = tinyBatch(training);
    const swapped = { ...batch, indices: Int32Array.from([...batch.indices].reverse()) };
    const cellsOf = (given: typeof batch) => [...(training.maskCells("global", given, at(3)) as Uint8Array)];
    const [cells, other] = [cellsOf(batch), cellsOf(swapped)];
    for (const view of [0, 1]) {
      batch.indices.forEach((sample, b) => {
        const at = (row: number, of: number[]) => of.slice(row * PATCHES, (row + 1) * PATCHES);
        const random = new Random(training.declarations.run.seed, name, 3, sample, view);
        const spec = { shape: "random", ratios: [{ ratio: 0.5, variation: 0 }] } as const;
        const want = [...drawMask(random, 2, 2, spec)];
        assert.deepEqual(at(view * 2 + b, cells), want);
        assert.deepEqual(at(view * 2 + (1 - b), other), want);
      });
    }
  });

  it("masks and learns nothing before maskStartEpoch", async () => {
    const training = await method([ibot({ ...masked, maskStartEpoch: 1.4 })]);
    const token = async () => (await valuesOf(training)).get("student/ibot.maskToken")!;
    for (const step of [0, 6]) {
      // Nothing else is trained, and a loss that reaches no weight is refused: dino is there in practice.
      await assert.rejects(training.step("train", tinyBatch(training), at(step)), coded("LOSS_UNREACHED"));
    }
    const both = await method([dino(sizes), ibot({ ...masked, maskStartEpoch: 1.4 })]);
    const before = await both.step("train", tinyBatch(both), at(6));
    assert.equal(before.scalars["loss/ibot"], 0);
    assert.equal(before.scalars["metric/ibot.maskedShare"], undefined);
    assert.equal(before.scalars["loss"], before.scalars["loss/dino"]);
    const after = await training.step("train", tinyBatch(training), at(7));
    assert.ok(after.scalars["loss/ibot"]! > 0);
    assert.ok(after.scalars["metric/ibot.maskedShare"]! > 0.4);
    assert.ok(distance(await token(), new Float32Array(32)) > 1e-5, "the token learns");
  });

  it("is captured once, and previewed without masks, before maskStartEpoch", async () => {
    const varying = { ...sizes, maskRatio: [0, 1], maskRatioVariation: [0, 0], maskStartEpoch: 1 };
    const training = await method([dino(sizes), ibot(varying)]);
    const captured: number[] = [];
    for (const step of [0, 1, 2, 3, 4]) {
      assert.equal(training.maskCells("global", tinyBatch(training, step), at(step)), undefined);
      await training.step("train", tinyBatch(training, step), at(step), () => captured.push(step));
    }
    assert.deepEqual(captured, [0]);
    assert.ok(training.maskCells("global", tinyBatch(training), at(5)));
  });

  it("warms the teacher's temperature up from maskStartEpoch on", async () => {
    const warmup = { warmupTeacherTemp: 0.04, teacherTemp: 0.07, warmupTeacherTempEpochs: 3 };
    const temperatures = async (maskStartEpoch: number) => {
      const training = await method([ibot({ ...sizes, ...warmup, maskStartEpoch })]);
      return [0, 4, 5, 10, 15, 20].map((step) => training.schedulesAt(at(step))["ibot.teacherTemp"]!);
    };
    const [at0, at2] = [await temperatures(0), await temperatures(2)];
    assert.ok(distance(at0, [0.04, 0.04, 0.055, 0.07, 0.07, 0.07]) < 1e-12, at0.join());
    assert.ok(distance(at2, [0.04, 0.04, 0.04, 0.04, 0.055, 0.07]) < 1e-12, at2.join());
  });

  it("holds the prototypes that it shares with dino back for their epochs", async () => {
    const options = { ...sizes, freezeLastLayerEpochs: 2 };
    const training = await method([dino(options), ibot({ ...masked, ...options })]);
    const name = "student/projection.cls.last_layer.weight_v";
    const start = (await valuesOf(training)).get(name)!.slice();
    await training.step("train", tinyBatch(training), at(9));
    assert.deepEqual((await valuesOf(training)).get(name)!.slice(), start);
    await training.step("train", tinyBatch(training), at(10));
    assert.ok(distance((await valuesOf(training)).get(name)!, start) > 1e-5);
  });

  it("starts at a loss of about log K where every image is masked, and multiplies it by its weight", async () => {
    const training = await method([ibot({ ...masked, weight: 1.5, studentTemp: 50 })]);
    const { scalars } = await training.step("train", tinyBatch(training), at(0));
    assert.ok(Math.abs(scalars["loss/ibot"]! - Math.log(K)) < 0.01);
    assert.ok(Math.abs(scalars["loss"]! - 1.5 * scalars["loss/ibot"]!) < 1e-5);
  });

  it("moves its center to the mean of the teacher's logits of all patches, masked or not", async () => {
    const centerAfter = async (given: object) => {
      const training = await method([ibot({ ...masked, ...given })]);
      await training.step("train", tinyBatch(training), at(0));
      return (await valuesOf(training)).get("state/ibot.center")!;
    };
    const [mean, part] = [await centerAfter({ centerMomentum: 0 }), await centerAfter({ centerMomentum: 0.75 })]; // prettier-ignore
    assert.ok(distance(mean, new Float32Array(K)) > 1e-3);
    assert.ok(distance(part, mean.map((value) => 0.25 * value)) < 1e-6); // prettier-ignore
    const fewer = await centerAfter({ centerMomentum: 0, maskRatio: [0.25], maskRatioVariation: [0] });
    assert.ok(distance(fewer, mean) < 1e-6);
  });

  /** What a step gives with masks of one's own, padded to `rows`. */
  async function outputsWith(training: Training, cells: ArrayLike<number>, rows: number) {
    const drawn = new Int32Array(rows).fill(-1);
    drawn.set(maskedRows(cells, IMAGES, PATCHES).filter((row) => row >= 0));
    const name = training.declarations.masks.get("global")!.name;
    const feeds: Feeds = { ...training.feeds(tinyBatch(training), at(0)), [name]: drawn };
    return (await training.program("train", 0, feeds)).run(feeds);
  }

  it("projects the teacher's masked patches alone, to the same targets, where no center wants them all", async () => {
    const center = tf.zeros<tf.Rank.R2>([1, K]);
    const centering = (update?: TeacherTargets["update"]) => {
      const bound: Centering = {
        declare: () => ({
          probabilities: (_, logits, at) => teacherProbabilities(logits, center, at),
          update,
        }),
      };
      return definePlugin(
        { name: "centering", api: "^1", summary: "made by a test", options: z.strictObject({}) },
        () => ({ services: (container) => container.bind(CENTERING, () => bound) }),
      )();
    };
    const { forward } = ProjectionMlp.prototype;
    const outputsAndRows = async (update?: TeacherTargets["update"]) => {
      const rows: number[] = [];
      ProjectionMlp.prototype.forward = function (parameters, features) {
        rows.push(features.shape[0]);
        return forward.call(this, parameters, features);
      };
      try {
        const outputs = await outputsOf(await method([ibot(masked), centering(update)]));
        return { outputs, projectsAll: rows.includes(IMAGES * PATCHES) };
      } finally {
        ProjectionMlp.prototype.forward = forward;
      }
    };
    const moving = await outputsAndRows((_, meanLogits) => void meanLogits());
    const resting = await outputsAndRows();
    assert.deepEqual([moving.projectsAll, resting.projectsAll], [true, false]);
    for (const name of ["loss/ibot", "gradient/projection.mlp.0.weight", "gradient/ibot.maskToken"]) {
      const [got, want] = [resting.outputs[name]!, moving.outputs[name]!];
      const largest = distance(want, new Float32Array(want.length));
      assert.ok(largest > 0 && distance(got, want) <= 1e-5 * largest, name);
    }
  });

  it("gives the same loss and gradients however many unused rows pad the masks", async () => {
    const cells = [1, 0, 1, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1];
    const results = [];
    for (const rows of [6, 7, 16])
      results.push(await outputsWith(await method([dino(sizes), ibot(masked)]), cells, rows));
    const [exact, ...padded] = results as [(typeof results)[0], ...typeof results];
    const gradients = Object.keys(exact).filter((name) => name.startsWith("gradient/"));
    assert.ok(gradients.includes("gradient/ibot.maskToken"));
    for (const outputs of padded) {
      for (const name of ["loss/ibot", "loss/dino", "metric/ibot.maskedShare", ...gradients]) {
        const [got, want] = [outputs[name] as Float32Array, exact[name] as Float32Array];
        const largest = distance(want, new Float32Array(want.length));
        assert.ok(distance(got, want) <= 1e-5 * largest + 1e-9, name);
      }
    }
  });

  it("checks its options", () => {
    const { options } = ibot.manifest;
    const refused = (given: object, path: string) => {
      const { success, error } = options.safeParse(given);
      assert.equal(success, false, path);
      assert.equal(error!.issues[0]!.path.join("."), path);
    };
    refused({ maskRatio: [0.1, 0.2, 0.3] }, "maskRatioVariation");
    refused({ maskRatio: 0.3 }, "maskRatioVariation");
    refused({ maskRatioVariation: [0.1] }, "maskRatioVariation");
    refused({ maskRatio: [], maskRatioVariation: [] }, "maskRatio");
    refused({ maskRatio: [0, 1.2] }, "maskRatio.1");
    refused({ maskShape: "circle" }, "maskShape");
    refused({ share: "none" }, "share");
    refused({ teacherTemp: 0 }, "teacherTemp");
    refused({ maskStartEpoch: -1 }, "maskStartEpoch");
    refused({ lambda: 1 }, "");
    const { maskRatio, maskRatioVariation } = options.parse({ maskRatio: 0.3, maskRatioVariation: 0 });
    assert.deepEqual([maskRatio, maskRatioVariation], [[0.3], [0]]);
    assert.deepEqual(options.parse({}).maskRatio, [0, 0.3]);
  });

  it("refuses ratios that mask none of a view's patches, and views that there are not", async () => {
    const small = { ...sizes, maskRatio: 0.1, maskRatioVariation: 0.1 };
    await assert.rejects(method([ibot(small)]), coded("OPTION_INVALID", '"ibot"', "maskRatio", "4 patches"));
    await assert.rejects(
      method([ibot({ ...sizes, globalViews: "huge" })]),
      coded("VIEW_GROUP_MISSING", '"ibot"', '"huge"'),
    );
  });
});

describe("the ibot plugin, captured", () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await makeEngine("captured");
  });
  afterEach(() => engine.close());

  it("is a program for each quarter of the patches that may be masked", async () => {
    const training = await tinyTraining(engine, [ibot(masked)], { views });
    const { name } = training.declarations.masks.get("global")!;
    const sizesSeen = new Set<number>();
    let captures = 0;
    for (let step = 0; step < 8; step++) {
      sizesSeen.add(training.feeds(tinyBatch(training), at(step))[name]!.length);
      await training.step("train", tinyBatch(training), at(step), () => captures++);
    }
    // 3 of 4 patches in 4 images are at most 12.
    assert.ok([...sizesSeen].every((size) => [3, 6, 9, 12].includes(size)));
    assert.ok(sizesSeen.size > 1);
    assert.equal(captures, sizesSeen.size);
    training.verify();
  });
});
