/** timm builds the exported model as it is, and gets the features that relata gets. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs-core";
import { runSchema } from "../../core/config/schema.ts";
import { Random } from "../../core/random.ts";
import { listDataset } from "../../core/data/dataset.ts";
import { exportRun } from "../../core/run/export.ts";
import { networkSource } from "../../core/run/network-source.ts";
import { FeatureExtractor } from "../../core/trainer/features.ts";
import { ConvNext } from "../../plugins/convnext/convnext.ts";
import { resolvePlugins } from "../../registry/resolve.ts";
import { useCpuBackend } from "../core/math/numeric.ts";
import { tokensOf, type Tokens } from "../core/run/tokens-of.ts";
import { tinyCheckpoint, type TinyCheckpointOptions } from "../core/run/tiny-checkpoint.ts";
import { temporaryFolder } from "../core/trainer/temporary-folder.ts";
import { pythonWith } from "./python-with.ts";

const program = fileURLToPath(new URL("timm_features.py", import.meta.url));
const COUNT = 3;
const SIZE = 32;

/** [COUNT, SIZE, SIZE, channels], as a normalised image is. */
function pixelsOf(channels: number): tf.Tensor4D {
  const random = new Random(1, "pixels");
  const values = Float32Array.from({ length: COUNT * SIZE * SIZE * channels }, () => random.normal());
  return tf.tensor4d(values, [COUNT, SIZE, SIZE, channels]);
}

const difference = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)));

describe("timm", function () {
  this.timeout(120_000);
  useCpuBackend();
  const base = temporaryFolder();
  const python = pythonWith("timm");

  const cases: Record<string, TinyCheckpointOptions> = {
    "a plain transformer": {},
    "registers, layer scale and no biases of queries, keys and values": {
      backbone: { registerTokens: 3, layerScale: 0.1, qkvBias: false, mlpRatio: 2.53 },
    },
    "grey images": { data: { channels: 1 } },
  };
  for (const [name, options] of Object.entries(cases)) {
    it(`has the features of ${name}`, async () => {
      const run = await tinyCheckpoint(base(), options);
      const { folder } = await exportRun(run);
      const { data } = runSchema.parse(run.readConfig());
      const pixels = pixelsOf(data.channels);
      const file = join(base(), "pixels.bin");
      writeFileSync(file, tf.transpose(pixels, [0, 3, 1, 2]).dataSync());

      const { status, stdout, stderr } = spawnSync(python(), [program, folder, file, String(COUNT)], {
        encoding: "utf8",
        maxBuffer: 2 ** 26,
      });
      assert.equal(status, 0, stderr);
      const timm = JSON.parse(stdout) as Tokens & {
        pooled: number[];
        input: { input_size: number[]; mean: number[]; std: number[]; crop_pct: number };
      };
      const own = await tokensOf(run, pixels);
      assert.equal(timm.patches.length, own.patches.length);
      assert.ok(
        difference(timm.cls, own.cls) < 1e-4,
        `class tokens differ by ${difference(timm.cls, own.cls)}`,
      );
      assert.ok(difference(timm.patches, own.patches) < 1e-4);
      assert.deepEqual(timm.pooled, Array.from(timm.cls));
      const { input_size, mean, std, crop_pct } = timm.input;
      assert.deepEqual(input_size, [data.channels, SIZE, SIZE]);
      assert.deepEqual([mean, std, crop_pct], [data.mean, data.std, 0.875]);
    });
  }

  it("has the features of a ConvNeXt", async () => {
    const sizes = { depths: [1, 2, 1, 1], dims: [4, 8, 8, 12] };
    const brought = new ConvNext({ ...sizes, channels: 3, dropPathRate: 0, layerScale: 1 });
    const plugins = [{ use: "convnext", with: sizes }];
    const run = await tinyCheckpoint(base(), { brought, plugins, size: 224 });
    const { folder } = await exportRun(run);

    const opened = await networkSource(run.path, {
      set: ["train.engine=eager", "train.backend=cpu"],
      resolvePlugins,
    });
    const network = await opened.open(listDataset({ name: "none", ids: [], pathOf: (id) => id }));
    const random = new Random(1, "bytes");
    const bytes = Uint8Array.from({ length: 224 * 224 * 3 }, () => random.integer(0, 256));
    const images = { pixels: bytes, count: 1, size: 224, channels: 3 };
    const own = await new FeatureExtractor(network, { size: 224, batchSize: 1 }).pooled(images);

    const { mean, std } = network.normalisation;
    const values = Float32Array.from(bytes, (byte, i) => (byte / 255 - mean[i % 3]!) / std[i % 3]!);
    const file = join(base(), "pixels.bin");
    writeFileSync(file, tf.transpose(tf.tensor4d(values, [1, 224, 224, 3]), [0, 3, 1, 2]).dataSync());
    const { status, stdout, stderr } = spawnSync(python(), [program, folder, file, "1"], {
      encoding: "utf8",
      maxBuffer: 2 ** 26,
    });
    assert.equal(status, 0, stderr);
    const { pooled } = JSON.parse(stdout) as { pooled: number[] };
    assert.equal(pooled.length, own.data.length);
    assert.ok(difference(pooled, own.data) < 1e-4, `they differ by ${difference(pooled, own.data)}`);
  });
});
