/** Checkpoints made by torch and timm, read by relata and computed by TensorFlow: timm's features within 1e-4. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runSchema } from "../../core/config/schema.ts";
import { FeatureExtractor } from "../../core/trainer/features.ts";
import { openFrozenNetwork } from "../../core/trainer/frozen-network.ts";
import { distance } from "../core/trainer/tiny.ts";
import { goldenImages } from "../core/weights/fixtures.ts";
import { pythonWith } from "./python-with.ts";

const script = fileURLToPath(new URL("timm_checkpoints.py", import.meta.url));

describe("weights of torch and timm", function () {
  this.timeout(600_000);
  const folder = mkdtempSync(join(tmpdir(), "relata-weights-"));
  after(() => rmSync(folder, { recursive: true }));

  const python = pythonWith("timm, safetensors");

  before(() => {
    const { status, stderr } = spawnSync(python(), [script, folder], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
  });

  const train = runSchema.shape.train.parse({ epochs: 1, batchSize: 1, device: "cpu" });

  for (const name of ["timm", "bf16", "registers", "placed-registers", "dino", "state-dict", "resized"]) {
    it(`give timm's features: ${name}`, async () => {
      const own = join(folder, name);
      const { size, cls } = JSON.parse(readFileSync(join(own, "golden.json"), "utf8")) as Record<
        string,
        number
      >;
      const golden = new Float32Array(new Uint8Array(readFileSync(join(own, "features.bin"))).buffer);
      const file = readdirSync(own).find((name) => /\.(pth|safetensors)$/.test(name))!;
      const network = await openFrozenNetwork({
        weights: join(own, file),
        train,
        backbone: name === "resized" ? { imageSize: size } : {},
      });
      try {
        const extractor = new FeatureExtractor(network, { size: size!, batchSize: 2 });
        const patches: number[] = [];
        for await (const batch of extractor.patches(goldenImages(size!))) patches.push(...batch.patches);
        const pooled = await extractor.pooled(goldenImages(size!));
        const apart = [
          distance(pooled.data, golden.subarray(0, cls)),
          distance(patches, golden.subarray(cls)),
        ];
        process.stdout.write(
          `      class tokens ${apart[0]!.toExponential(1)}, patches ${apart[1]!.toExponential(1)}\n`,
        );
        assert.ok(apart.every((difference) => difference < 1e-4));
      } finally {
        network.close();
      }
    });
  }
});
