import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { cp, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { loadCentered } from "../../../core/data/evaluation.ts";
import { openImageFolder } from "../../../core/data/image-folder.ts";
import type { EmbedProgress } from "../../../core/run/embed.ts";
import { embed, exportRun, type EmbedNetworkOptions } from "../../../index.ts";
import { ConvNext } from "../../../plugins/convnext/convnext.ts";
import { tarOf } from "../data/shard-files.ts";
import { readBack } from "../embeddings/read-back.ts";
import { useCpuBackend } from "../math/numeric.ts";
import { IMAGES, pictureFolder } from "../trainer/runs.ts";
import { temporaryFolder } from "../trainer/temporary-folder.ts";
import { coded } from "../trainer/tiny.ts";
import { tinyCheckpoint } from "./tiny-checkpoint.ts";
import { tokensOf } from "./tokens-of.ts";

const SIZE = 32;
const ON_CPU = ["train.engine=eager", "train.backend=cpu"];

describe("embed", () => {
  useCpuBackend();
  const pictures = pictureFolder();
  const base = temporaryFolder();
  const images = () => join(pictures(), "images");
  const at = (name: string) => join(base(), name);

  /** Of the run, or what is named, on all pictures. */
  async function embedded(named: string, out: string, options: Partial<EmbedNetworkOptions> = {}) {
    const summary = await embed(named, images(), { out: at(out), batchSize: 4, set: ON_CPU, ...options });
    return { summary, ...(await readBack(at(out))) };
  }

  /** The centres of the pictures as a network sees them. */
  async function pixels(mean: readonly number[], std: readonly number[], size = SIZE): Promise<tf.Tensor4D> {
    const dataset = await openImageFolder(images());
    const all = Array.from({ length: dataset.size }, (_, i) => i);
    const bytes = await loadCentered(dataset, all, { size });
    const values = Float32Array.from(bytes, (byte, i) => (byte / 255 - mean[i % 3]!) / std[i % 3]!);
    return tf.tensor4d(values, [dataset.size, size, size, 3]);
  }

  const assertNear = (actual: Float32Array, expected: ArrayLike<number>, tolerance = 2e-5) => {
    assert.equal(actual.length, expected.length);
    const off = actual.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0);
    assert.ok(off <= tolerance, `off by ${off}`);
  };

  it("writes the class token of every image, and what the rows are", async () => {
    const data = { mean: [0.4, 0.5, 0.6], std: [0.2, 0.3, 0.4] };
    const run = await tinyCheckpoint(base(), { data });
    const { features, shape, paths, labels, card, summary } = await embedded(run.path, "x.parquet");
    const { cls } = await tokensOf(run, await pixels(data.mean, data.std));
    assertNear(features, cls);
    assert.deepEqual(shape, [IMAGES, 24]);
    assert.deepEqual(paths.slice(0, 6), [0, 2, 4, 6, 8].map((i) => `even/${i}.png`).concat("odd/1.png"));
    assert.deepEqual(labels, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
    const { producer, ...rest } = card;
    assert.match(producer, /^relata \d/);
    assert.deepEqual(rest, {
      features: "cls token after the final norm",
      shape: [24],
      network: "teacher of run",
      step: 10,
      crop: "centre at 32 px",
      size: 32,
      ...data,
      images: "images",
      classNames: ["even", "odd"],
      count: IMAGES,
      skipped: 0,
    });
    assert.deepEqual([summary.path, summary.count, summary.shape], [at("x.parquet"), IMAGES, [24]]);
  });

  it("writes patch tokens, or their mean", async () => {
    const run = await tinyCheckpoint(base(), { backbone: { registerTokens: 2, layerScale: 0.1 } });
    const { patches } = await tokensOf(run, await pixels([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]));
    const all = await embedded(run.path, "x.npy", { pooling: "patches" });
    assert.deepEqual(all.shape, [IMAGES, 16, 24]);
    assertNear(all.features, patches);
    const mean = await embedded(run.path, "x.safetensors", { pooling: "mean" });
    const expected = tf.mean(tf.tensor3d(Float32Array.from(patches), [IMAGES, 16, 24]), 1);
    assert.deepEqual(mean.shape, [IMAGES, 24]);
    assertNear(mean.features, expected.dataSync());
    assert.equal(mean.card.features, "mean of the patch tokens after the final norm");
  });

  it("gives the same whatever the batch, up to a limit, at another size", async () => {
    const run = await tinyCheckpoint(base());
    const whole = await embedded(run.path, "whole.npy");
    const single = await embedded(run.path, "single.npy", { batchSize: 1, limit: 5 });
    assert.deepEqual(
      single.paths,
      [0, 2, 4, 6, 8].map((i) => whole.paths[i]),
    );
    assertNear(single.features.subarray(24, 48), whole.features.subarray(48, 72));
    const large = await embedded(run.path, "large.npy", { size: 48, pooling: "patches" });
    assert.deepEqual(large.shape, [IMAGES, 36, 24]);
    assert.equal(large.card.size, 48);
  });

  it("takes another network and checkpoint of a run", async () => {
    const run = await tinyCheckpoint(base());
    const which = { network: "student", checkpoint: 5 };
    const { features, card } = await embedded(run.path, "x.npy", which);
    const seen = await pixels([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    assertNear(features, (await tokensOf(run, seen, which)).cls);
    assert.deepEqual([card.network, card.step], ["student of run", 5]);
  });

  it("gives the same by an exported run", async () => {
    const data = { mean: [0.4, 0.5, 0.6] };
    const run = await tinyCheckpoint(base(), { data, backbone: { registerTokens: 2, qkvBias: false } });
    const { folder } = await exportRun(run.path);
    const [own, exported] = [await embedded(run.path, "own.npy"), await embedded(folder, "exported.npy")];
    assertNear(exported.features, own.features);
    assert.deepEqual(exported.card.mean, data.mean);
  });

  it("takes a backbone that a plugin brings, and plugins that want labels of a run's own images", async () => {
    const sizes = { depths: [1, 1], dims: [8, 16] };
    const brought = new ConvNext({ ...sizes, channels: 3, dropPathRate: 0, layerScale: 1 });
    const run = await tinyCheckpoint(base(), {
      brought,
      plugins: [{ use: "convnext", with: sizes }, "online-probe"],
    });
    await cp(join(images(), "even"), at("unlabelled"), { recursive: true });
    const summary = await embed(run.path, at("unlabelled"), { out: at("x.npy"), set: ON_CPU });
    assert.deepEqual(summary.shape, [16]);
    const { labels, card } = await readBack(at("x.npy"));
    assert.deepEqual(labels, Array(5).fill(undefined));
    assert.equal(card.features, "mean patch token after the final norm");
    await assert.rejects(
      embed(run.path, images(), { out: at("y.npy"), pooling: "cls", set: ON_CPU }),
      coded("USAGE", "no class token"),
    );
  });

  it("reads tar shards as it reads a folder", async () => {
    const run = await tinyCheckpoint(base());
    const own = await embedded(run.path, "folder.npy");
    const files = own.paths.map((path) => ({
      name: path.replace("/", "-"),
      data: readFileSync(join(images(), path)),
    }));
    await writeFile(at("shard.tar"), tarOf(files));
    const { count } = await embed(run.path, at("shard.tar"), { out: at("shard.npy"), set: ON_CPU });
    const shard = await readBack(at("shard.npy"));
    assert.equal(count, IMAGES);
    assertNear(shard.features, own.features);
    assert.ok(shard.paths[5]!.includes("odd-1"), shard.paths[5]);
  });

  it("leaves out and tells what cannot be read", async () => {
    const run = await tinyCheckpoint(base());
    await cp(images(), at("some"), { recursive: true });
    const broken = ["even/2.png", "odd/9.png"];
    for (const name of broken) await writeFile(join(at("some"), name), "no image");
    const told: string[] = [];
    const progress: EmbedProgress[] = [];
    const summary = await embed(run.path, at("some"), {
      ...{ out: at("x.parquet"), batchSize: 4, set: ON_CPU },
      onSkipped: ({ message }) => told.push(message),
      onProgress: (state) => progress.push(state),
    });
    assert.deepEqual([summary.count, summary.skipped], [IMAGES - 2, 2]);
    assert.deepEqual(
      broken.map((name, i) => told[i]!.includes(name)),
      [true, true],
    );
    const { paths, card } = await readBack(at("x.parquet"));
    assert.equal(paths.length, IMAGES - 2);
    assert.ok(!paths.some((path) => broken.includes(path)));
    assert.equal(card.skipped, 2);
    assert.deepEqual(
      progress.map(({ done, skipped }) => [done, skipped]),
      [[4, 1], [8, 1], [10, 2]], // prettier-ignore
    );

    await cp(join(at("some"), "even/2.png"), at("none/a.png"));
    await assert.rejects(
      embed(run.path, at("none"), { out: at("y.npy"), set: ON_CPU }),
      coded("IMAGE_UNREADABLE", "a.png"),
    );
  });

  it("leaves nothing where it is stopped", async () => {
    const run = await tinyCheckpoint(base());
    const before = await readdir(base());
    for (const ending of ["parquet", "npy", "safetensors"]) {
      const stop = new AbortController();
      const work = embedded(run.path, `x.${ending}`, {
        signal: stop.signal,
        onProgress: () => stop.abort(new Error("stopped")),
      });
      await assert.rejects(work, new Error("stopped"));
      assert.deepEqual(await readdir(base()), before);
    }
  });

  it("refuses, before it begins, what cannot be", async () => {
    const run = await tinyCheckpoint(base());
    const refuses = (changes: Partial<EmbedNetworkOptions>, code: string, ...words: string[]) =>
      assert.rejects(embedded(run.path, "x.npy", changes), coded(code, ...words));
    await refuses({ size: 30 }, "USAGE", "30");
    await refuses({ out: at("x.csv") }, "OUTPUT_FORMAT", "x.csv");
    await refuses({ network: "gram" }, "CHECKPOINT_NETWORK", "gram");
    await refuses({ checkpoint: 3 }, "CHECKPOINT_STEP", "5, 10");
    await refuses({ set: ["train.engin=eager"] }, "OVERRIDE_PATH", "engin");
    await assert.rejects(embedded(at("nowhere"), "x.npy"), coded("WEIGHTS_MISSING", "nowhere"));
    await assert.rejects(embedded(at("nowhere"), "x.csv"), coded("OUTPUT_FORMAT"), "before the network");
    const { folder } = await exportRun(run.path);
    await assert.rejects(embedded(folder, "x.npy", { checkpoint: 5 }), coded("USAGE", "no run"));
    await assert.rejects(embedded(folder, "x.npy", { network: "gram" }), coded("CHECKPOINT_NETWORK"));
    await embedded(run.path, "x.npy");
    await refuses({}, "OUTPUT_EXISTS", "x.npy.items.jsonl");
    await assert.rejects(embedded(at("nowhere"), "x.npy"), coded("OUTPUT_EXISTS"), "before the network");
    assert.deepEqual((await readdir(base())).sort(), [
      "run",
      "x.npy",
      "x.npy.card.json",
      "x.npy.items.jsonl",
    ]);
  });
});
