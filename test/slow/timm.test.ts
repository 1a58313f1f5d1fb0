/** timm builds the exported model as it is, and gets the features that relata gets. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs-core";
import { findPython } from "../../benchmarks/baselines/python.ts";
import { runSchema } from "../../core/config/schema.ts";
import { Random } from "../../core/random.ts";
import { exportRun } from "../../core/run/export.ts";
import { backboneOf, findCheckpoint } from "../../core/run/find-checkpoint.ts";
import type { RunFolder } from "../../core/run/folder.ts";
import { silentLogger } from "../../core/logger.ts";
import { VisionTransformer } from "../../core/vit/vit.ts";
import { useCpuBackend } from "../core/math/numeric.ts";
import { tinyCheckpoint, type TinyCheckpointOptions } from "../core/run/tiny-checkpoint.ts";
import { temporaryFolder } from "../core/trainer/temporary-folder.ts";

const program = fileURLToPath(new URL("timm_features.py", import.meta.url));
const COUNT = 3;
const SIZE = 32;

interface Features {
  readonly cls: ArrayLike<number>;
  readonly patches: ArrayLike<number>;
}

/** [COUNT, SIZE, SIZE, channels], as a normalised image is. */
function pixelsOf(channels: number): tf.Tensor4D {
  const random = new Random(1, "pixels");
  const values = Float32Array.from({ length: COUNT * SIZE * SIZE * channels }, () => random.normal());
  return tf.tensor4d(values, [COUNT, SIZE, SIZE, channels]);
}

/** The class and patch tokens after the final norm, by relata. */
async function ownFeatures(run: RunFolder, pixels: tf.Tensor4D): Promise<Features> {
  const { backbone, data } = runSchema.parse(run.readConfig());
  const vit = new VisionTransformer({ ...backbone, imageSize: SIZE, channels: data.channels });
  const { weights } = backboneOf(await findCheckpoint(run, undefined, silentLogger), undefined);
  const parameters = (name: string) => tf.tensor(weights.get(name)!.values, [...weights.get(name)!.shape]);
  const grid = vit.grid(SIZE);
  const tokens = vit.prepare(parameters, vit.patchify(parameters, pixels), grid);
  const normed = vit.norm(parameters, vit.blocks(parameters, [{ tokens }])[0]!.tokens);
  const front = 1 + vit.registerTokens;
  return {
    cls: tf.slice(normed, [0, 0, 0], [-1, 1, -1]).dataSync(),
    patches: tf.slice(normed, [0, front, 0], [-1, -1, -1]).dataSync(),
  };
}

const difference = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)));

describe("timm", function () {
  this.timeout(120_000);
  useCpuBackend();
  const base = temporaryFolder();
  let python: string;

  before(function () {
    const found = findPython();
    if (found !== undefined && spawnSync(found, ["-c", "import timm"]).status === 0) {
      python = found;
      return;
    }
    process.stderr.write("skipped: no Python has timm; name one by RELATA_PYTHON\n");
    this.skip();
  });

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

      const { status, stdout, stderr } = spawnSync(python, [program, folder, file, String(COUNT)], {
        encoding: "utf8",
        maxBuffer: 2 ** 26,
      });
      assert.equal(status, 0, stderr);
      const timm = JSON.parse(stdout) as Features & {
        pooled: number[];
        input: { input_size: number[]; mean: number[]; std: number[]; crop_pct: number };
      };
      const own = await ownFeatures(run, pixels);
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
});
