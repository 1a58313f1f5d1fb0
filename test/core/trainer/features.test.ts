import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { Engine } from "../../../core/engine/engine.ts";
import type { Images } from "../../../core/eval/extractor.ts";
import type { Features } from "../../../core/eval/features.ts";
import { FeatureExtractor, trainedNetwork } from "../../../core/trainer/features.ts";
import type { Training } from "../../../core/trainer/training.ts";
import { makeEngine } from "../../support/engines.ts";
import {
  at,
  distance,
  learnsOnes,
  localViews,
  globalViews,
  plugin,
  tinyBatch,
  tinyTraining,
  valuesOf,
} from "./tiny.ts";

/** Logs the class tokens of a network on both view groups. */
const logs = (network: "student" | "teacher") =>
  plugin(`logs-${network}`, (hooks, name) => {
    hooks.setup.tap(name, (setup) => {
      const passes = ["global", "local"].map((views) =>
        setup.pass({ network: setup.network(network), views, outputs: { cls: true } }),
      );
      hooks.loss.tap(name, (losses, { output }) => {
        for (const pass of passes) losses.metric(pass.views.group, output(pass).clsToken);
      });
    });
  });

/** Colour images of `size` pixels. */
function imagesOf(pixels: Uint8Array, size = 16): Images {
  return { pixels, count: pixels.length / (size * size * 3), size, channels: 3 };
}

/** Moves the teacher away from the student. */
async function setTeacherApart(training: Training): Promise<void> {
  const values = await valuesOf(training);
  for (const [name, own] of values) {
    if (name.startsWith("teacher/"))
      values.set(
        name,
        own.map((v, i) => v + 0.1 * Math.sin(i)),
      );
  }
  await training.initialize(values);
}

for (const kind of ["captured", "eager on cpu"] as const) {
  describe(`features, ${kind}`, () => {
    let engine: Engine;
    beforeEach(async () => {
      engine = await makeEngine(kind);
    });
    afterEach(() => engine.close());

    it("are the teacher's class tokens of the step on the same pixels, at any view size", async () => {
      const training = await tinyTraining(engine, [learnsOnes, logs("teacher"), logs("student")], {
        views: [globalViews, localViews],
        dropPathRate: 0.5,
      });
      await setTeacherApart(training);
      const batch = tinyBatch(training);
      const extracted = new Map<string, Float32Array>();
      for (const { group, size } of [globalViews, localViews]) {
        const extractor = new FeatureExtractor(trainedNetwork(training), { size, batchSize: 4 });
        assert.equal(extractor.network.name, "teacher");
        const { data, count, dim } = await extractor.pooled(imagesOf(batch.pixels.get(group)!, size));
        assert.deepEqual([count, dim], [4, 32]);
        extracted.set(group, data);
      }
      const program = await training.program("train", 0, {});
      const outputs = await program.run(training.feeds(batch, at(0)));
      for (const [group, data] of extracted) {
        assert.ok(distance(data, outputs[`metric/logs-teacher.${group}`]!) < 1e-5);
        assert.ok(distance(data, outputs[`metric/logs-student.${group}`]!) > 0.1);
      }
    });

    it("of a row do not depend on the others, on padding or on the batch size", async () => {
      const training = await tinyTraining(engine, [learnsOnes, logs("teacher")], {
        views: [globalViews, localViews],
      });
      await setTeacherApart(training);
      const imageBytes = 16 * 16 * 3;
      const pixels = new Uint8Array(5 * imageBytes).map((_, i) => (i * 7919) % 251);
      const features: Features[] = [];
      for (const batchSize of [1, 3, 5, 8]) {
        features.push(
          await new FeatureExtractor(trainedNetwork(training), { size: 16, batchSize }).pooled(
            imagesOf(pixels),
          ),
        );
      }
      for (const { data, count } of features) {
        assert.equal(count, 5);
        assert.ok(distance(data, features[0]!.data) < 1e-5);
      }
      const rows = Array.from({ length: 5 }, (_, i) => features[0]!.data.slice(32 * i, 32 * (i + 1)));
      assert.ok(rows.every((row, i) => i === 0 || distance(row, rows[0]!) > 1e-3));
      const none = await new FeatureExtractor(trainedNetwork(training), { size: 16, batchSize: 2 }).pooled(
        imagesOf(new Uint8Array()),
      );
      assert.deepEqual([none.count, none.data.length], [0, 0]);
    });

    it("of a linear probe are the step's tokens: class tokens of the last blocks, then the mean patch", async () => {
      const logsBlocks = plugin("logs-blocks", (hooks, name) => {
        hooks.setup.tap(name, (setup) => {
          const outputs = { cls: true, patches: true, blocks: [0] };
          const pass = setup.pass({ network: setup.network("teacher"), views: "global", outputs });
          hooks.loss.tap(name, (losses, { output }) => {
            const own = output(pass);
            const first: tf.Tensor2D = tf.reshape(tf.slice(own.block(0), [0, 0, 0], [-1, 1, -1]), [4, 32]);
            losses.metric(
              "read",
              tf.concat([own.norm(first), own.clsToken, tf.mean(own.patchTokensNormed, 1)], 1),
            );
          });
        });
      });
      const training = await tinyTraining(engine, [learnsOnes, logsBlocks]);
      await setTeacherApart(training);
      const batch = tinyBatch(training);
      const images = imagesOf(batch.pixels.get("global")!);
      const extractor = new FeatureExtractor(trainedNetwork(training), { size: 16, batchSize: 3 });
      const cases = [
        [1, false, 32, 64, "cls token after the final norm"],
        [2, false, 0, 64, "cls tokens of the last 2 blocks, each after the final norm"],
        [1, true, 32, 96, "cls token after the final norm, and the mean patch token"],
        // There are no more than two.
        [
          4,
          true,
          0,
          96,
          "cls tokens of the last 2 blocks, each after the final norm, and the mean patch token",
        ],
      ] as const;
      const found = await Promise.all(
        cases.map(([blocks, meanPatch]) => extractor.readouts(images, { blocks, meanPatch })),
      );
      // The step moves the teacher.
      const program = await training.program("train", 0, {});
      const outputs = await program.run(training.feeds(batch, at(0)));
      const read = outputs["metric/logs-blocks.read"]!;
      const columns = (from: number, to: number) =>
        Float32Array.from([0, 1, 2, 3].flatMap((row) => [...read.slice(96 * row + from, 96 * row + to)]));
      cases.forEach(([blocks, meanPatch, from, to, words], i) => {
        const { pooled, probe } = found[i]!;
        assert.deepEqual([pooled.dim, probe.dim, probe.count], [32, to - from, 4]);
        assert.ok(distance(probe.data, columns(from, to)) < 1e-5, words);
        assert.ok(distance(pooled.data, columns(32, 64)) < 1e-5, words);
        assert.equal(extractor.probing({ blocks, meanPatch }), words);
      });
    });

    it("of patches are those of the step, with attention of every head, batch by batch in order", async () => {
      const logsPatches = plugin("logs-patches", (hooks, name) => {
        hooks.setup.tap(name, (setup) => {
          const network = setup.network("teacher");
          const pass = setup.pass({ network, views: "global", outputs: { patches: true } });
          hooks.loss.tap(name, (losses, { output }) =>
            losses.metric("patches", output(pass).patchTokensNormed),
          );
        });
      });
      const training = await tinyTraining(engine, [learnsOnes, logsPatches], { dropPathRate: 0.5 });
      await setTeacherApart(training);
      const batch = tinyBatch(training);
      const extractor = new FeatureExtractor(trainedNetwork(training), { size: 16, batchSize: 3 });
      const found: number[] = [];
      const counts: number[][] = [];
      for await (const part of extractor.patches(imagesOf(batch.pixels.get("global")!))) {
        found.push(...part.patches);
        counts.push([part.first, part.count, part.side, part.dim]);
        const { heads, weights } = part.attention!;
        assert.equal(heads, 2);
        for (let row = 0; row < part.count * heads; row++) {
          const sum = weights.subarray(4 * row, 4 * row + 4).reduce((a, b) => a + b, 0);
          assert.ok(sum > 0 && sum < 1, "the rest is the class token's");
        }
      }
      assert.deepEqual(counts, [
        [0, 3, 2, 32],
        [3, 1, 2, 32],
      ]);
      const program = await training.program("train", 0, {});
      const outputs = await program.run(training.feeds(batch, at(0)));
      assert.ok(distance(found, outputs["metric/logs-patches.patches"]!) < 1e-5);
      assert.ok(distance(found, outputs["metric/logs-patches.patches"]!) < 1e-5);
    });

    it("are those of the weights at the time, of the student where there is no teacher", async () => {
      const training = await tinyTraining(engine, [learnsOnes]);
      const extractor = new FeatureExtractor(trainedNetwork(training), { size: 16, batchSize: 4 });
      assert.equal(extractor.network.name, "student");
      const pixels = tinyBatch(training).pixels.get("global")!;
      const before = await extractor.pooled(imagesOf(pixels));
      await training.step("train", tinyBatch(training), at(0));
      const after = await extractor.pooled(imagesOf(pixels));
      assert.ok(distance(after.data, before.data) > 1e-4);
    });
  });
}
