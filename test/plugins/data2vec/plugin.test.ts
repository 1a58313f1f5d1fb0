/** The plugin in a step: what it declares and masks, its loss against the tokens that it is made of, and what it refuses. */
import assert from "node:assert/strict";
import type { BackboneOutput } from "../../../core/contexts.ts";
import type { Engine } from "../../../core/engine/engine.ts";
import { tf } from "../../../core/plugin.ts";
import type { Training } from "../../../core/trainer/training.ts";
import data2vec from "../../../plugins/data2vec/index.ts";
import dino from "../../../plugins/dino/index.ts";
import ibot from "../../../plugins/ibot/index.ts";
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

const views = [globalViews, localViews];
const [IMAGES, PATCHES, D] = [4, 4, 32];
/** Two of the four patches of every view, one by one. */
const masks = { topBlocks: 2, maskShape: "random", maskRatio: 0.5 } as const;

/** Gives what the loss is made of, and what goes into the blocks. */
const watches = plugin("watches", (hooks, name) => {
  hooks.setup.tap(name, (setup) => {
    const outputs = { patches: true, blocks: [0, 1] };
    const [student, teacher] = (["student", "teacher"] as const).map((network) =>
      setup.pass({ network: setup.network(network), views: "global", outputs }),
    );
    setup.pass({ network: setup.network("student"), views: "local", outputs });
    setup.pass({ network: setup.network("student"), views: "global", unmasked: true, outputs });
    const seen = new Map<string, tf.Tensor>();
    hooks.embed.tap(name, (patches, { pass }) => {
      seen.set(pass.key, tf.keep(tf.clone(patches)));
      return patches;
    });
    hooks.loss.tap(name, (losses, { output }) => {
      for (const [key, patches] of seen) losses.metric(key, patches);
      losses.metric("student", output(student!).patchTokensNormed);
      for (const block of [0, 1]) losses.metric(`block ${block}`, output(teacher!).block(block));
    });
  });
});

/** Rows of a list of numbers. */
const rowsOf = (values: ArrayLike<number>, width: number): number[][] =>
  Array.from({ length: values.length / width }, (_, i) =>
    Array.from({ length: width }, (_, j) => values[i * width + j]!),
  );

function normalised(row: readonly number[]): number[] {
  const mean = row.reduce((a, b) => a + b) / row.length;
  const variance = row.reduce((sum, x) => sum + (x - mean) ** 2, 0) / row.length;
  return row.map((x) => (x - mean) / Math.sqrt(variance + 1e-5));
}

describe("the data2vec plugin", () => {
  let engines: Engine[];
  beforeEach(() => (engines = []));
  afterEach(() => engines.forEach((engine) => engine.close()));

  async function method(plugins: Parameters<typeof tinyTraining>[1], options = {}): Promise<Training> {
    engines.push(await makeEngine("eager on cpu"));
    return tinyTraining(engines.at(-1)!, plugins, { views, ...options });
  }

  it("asks for the student's patches and the teacher's top blocks of the global views", async () => {
    const { declarations } = await method([data2vec({ ...masks, topBlocks: 1 })]);
    assert.deepEqual(
      [...declarations.passes.values()].map(({ key, cls, patches, blocks }) => [key, cls, patches, [...blocks]]), // prettier-ignore
      [
        ["student/global", false, true, []],
        ["teacher/global", false, false, [1]],
      ],
    );
    assert.deepEqual([...declarations.masks.keys()], ["global"]);
  });

  it("has a token and a linear head, of the student alone", async () => {
    const training = await method([data2vec(masks)]);
    const own = training.state.variables
      .map(({ name }) => name)
      .filter((name) => /data2vec/.test(name) && !name.startsWith("adam"));
    const names = ["data2vec.head.weight", "data2vec.head.bias", "data2vec.maskToken"];
    assert.deepEqual(own.sort(), names.map((name) => `student/${name}`).sort());
  });

  it("masks the student's global views, and neither the teacher's nor others", async () => {
    const training = await method([data2vec(masks), watches]);
    const plain = await outputsOf(await method([learnsOnes, watches]));
    const token = Float32Array.from({ length: D }, (_, i) => 100 + i);
    const values = await valuesOf(training);
    values.set("student/data2vec.maskToken", token);
    await training.initialize(values);
    const outputs = await outputsOf(training);
    const patches = (of: typeof outputs, key: string) => of[`metric/watches.${key}`] as Float32Array;
    for (const key of ["teacher/global", "student/local", "student/global/unmasked"])
      assert.equal(distance(patches(outputs, key), patches(plain, key)), 0, key);
    const cells = training.maskCells("global", tinyBatch(training), at(0))!;
    assert.equal(Array.from(cells).filter(Boolean).length, IMAGES * 2);
    const [got, unmasked] = [outputs, plain].map((of) => rowsOf(patches(of, "student/global"), D));
    for (let patch = 0; patch < IMAGES * PATCHES; patch++)
      assert.ok(distance(got![patch]!, cells[patch] ? token : unmasked![patch]!) < 1e-6, `patch ${patch}`);
  });

  for (const normalizeTargets of [true, false]) {
    it(`regresses the teacher's blocks at masked patches, normalizeTargets: ${normalizeTargets}`, async () => {
      const given = { ...masks, normalizeTargets, beta: 0.7, weight: 1.5 };
      const training = await method([data2vec(given), watches]);
      const values = await valuesOf(training);
      // The teacher apart from the student.
      for (const [name, own] of values)
        if (name.startsWith("teacher/backbone")) values.set(name, own.map((x, i) => x + 0.05 * Math.sin(i))); // prettier-ignore
      values.set(
        "student/data2vec.head.bias",
        Float32Array.from({ length: D }, (_, i) => Math.sin(i)),
      );
      await training.initialize(values);
      const outputs = await outputsOf(training);
      const metric = (name: string) => outputs[`metric/watches.${name}`] as Float32Array;
      const weight = rowsOf(values.get("student/data2vec.head.weight")!, D);
      const bias = values.get("student/data2vec.head.bias")!;
      const student = rowsOf(metric("student"), D);
      // A class token in front of the patches.
      const blocks = [0, 1].map((block) =>
        rowsOf(metric(`block ${block}`), D).filter((_, i) => i % (1 + PATCHES) !== 0),
      );
      const cells = training.maskCells("global", tinyBatch(training), at(0))!;
      const losses = student.flatMap((row, patch) => {
        if (!cells[patch]) return [];
        const [a, b] = blocks.map((block) => normalised(block[patch]!)) as [number[], number[]];
        const mean = a.map((x, d) => (x + b[d]!) / 2);
        const target = normalizeTargets ? normalised(mean) : mean;
        const errors = weight.map((w, d) =>
          Math.abs(w.reduce((sum, x, i) => sum + x * row[i]!, bias[d]!) - target[d]!),
        );
        const smooth = errors.map((e) => (e <= 0.7 ? e ** 2 / 1.4 : e - 0.35));
        return smooth.reduce((x, y) => x + y) / D;
      });
      assert.equal(losses.length, IMAGES * 2);
      // As many patches of every image: the mean over images is the mean over patches.
      const want = losses.reduce((x, y) => x + y) / losses.length;
      const [got, total] = [outputs["loss/data2vec"]![0]!, outputs["loss"]![0]!];
      assert.ok(Math.abs(got - want) < 1e-5 * want, `${got}, ${want}`);
      assert.ok(Math.abs(total - 1.5 * got) < 1e-5 * total, `${total}, ${got}`);
      assert.equal(outputs["metric/data2vec.maskedShare"]![0], 0.5);
    });
  }

  it("learns, and moves the teacher by momentum alone", async () => {
    const training = await method([data2vec(masks)]);
    const before = new Map([...(await valuesOf(training))].map(([name, v]) => [name, v.slice()]));
    const { finite } = await training.step("train", tinyBatch(training), at(0));
    assert.ok(finite, "the step is finite");
    const after = await valuesOf(training);
    for (const name of ["data2vec.maskToken", "data2vec.head.weight", "backbone.blocks.0.attn.qkv.weight"])
      assert.ok(distance(after.get(`student/${name}`)!, before.get(`student/${name}`)!) > 1e-5, name);
    const momentum = training.schedulesAt(at(0))["core.momentum"]!;
    const name = "backbone.blocks.1.mlp.fc2.weight";
    const student = after.get(`student/${name}`)!;
    const want = before.get(`teacher/${name}`)!.map((t, i) => momentum * t + (1 - momentum) * student[i]!);
    assert.ok(distance(after.get(`teacher/${name}`)!, want) < 1e-7, "the teacher moved otherwise");
  });

  it("trains beside dino", async () => {
    const training = await method([dino({ outDim: 8, hiddenDim: 16, bottleneckDim: 8 }), data2vec(masks)]);
    const { finite, scalars } = await training.step("train", tinyBatch(training), at(0));
    assert.ok(finite, "the step is finite");
    assert.ok(scalars["loss/data2vec"]! > 0 && scalars["loss/dino"]! > 0, "both have a loss");
  });

  it("refuses more blocks than there are, and masks of nothing, naming the option", async () => {
    const refused = (given: object, ...words: readonly string[]) =>
      assert.rejects(method([data2vec({ ...masks, ...given })]), coded("OPTION_INVALID", '"data2vec"', ...words)); // prettier-ignore
    await refused({ topBlocks: 3 }, "topBlocks", "2 blocks");
    await refused({ maskRatio: 0.2 }, "maskRatio", "4 patches");
    const huge = method([data2vec({ ...masks, globalViews: "huge" })]);
    await assert.rejects(huge, coded("VIEW_GROUP_MISSING", '"data2vec"', '"huge"'));
  });

  it("refuses blocks that give other tokens than the last, as of a backbone that merges patches", async () => {
    const merges = plugin("merges", (hooks, name) => {
      hooks.forward.tap(name, (output, { pass }) => {
        if (pass.network.name === "student") return output;
        const block: BackboneOutput["block"] = (i) =>
          i === -2 ? tf.concat([output.block(i), output.block(i)], 1) : output.block(i);
        return new Proxy(output, { get: (o, key) => (key === "block" ? block : Reflect.get(o, key, o)) });
      });
    });
    const training = await method([merges, data2vec(masks)]);
    await assert.rejects(
      training.step("train", tinyBatch(training), at(0)),
      coded("OPTION_INVALID", '"data2vec"', "topBlocks", "[4,10,32]", "[4,5,32]"),
    );
  });

  it("refuses to mask what ibot masks too, naming both", async () => {
    const other = ibot({ outDim: 8, hiddenDim: 16, bottleneckDim: 8 });
    await assert.rejects(
      method([other, data2vec(masks)]),
      coded("MASK_CONFLICT", '"ibot"', '"data2vec"', '"global"'),
    );
  });
});
