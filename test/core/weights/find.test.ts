import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { aboutWeights } from "../../../core/weights/about.ts";
import { findWeights, folderAbout, labelOf } from "../../../core/weights/find.ts";
import { openWeights } from "../../../core/weights/open.ts";
import { writeSafetensors } from "../../../core/trainer/safetensors.ts";
import { coded } from "../trainer/tiny.ts";
import { temporaryFolder } from "../trainer/temporary-folder.ts";
import { tinyCheckpoint } from "../run/tiny-checkpoint.ts";
import { fixturePath } from "./fixtures.ts";

function flipLastByte(file: string): void {
  const bytes = readFileSync(file);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(file, bytes);
}

describe("weights by what a person names", () => {
  const folder = temporaryFolder();
  let made = 0;
  /** A folder with empty files. */
  const folderWith = (...files: readonly string[]): string => {
    const path = join(folder(), `model-${++made}`);
    for (const file of files) {
      mkdirSync(join(path, file, ".."), { recursive: true });
      writeFileSync(join(path, file), "");
    }
    return path;
  };

  it("are a file, or what a folder has of one", async () => {
    const path = folderWith("pytorch_model.bin", "model.safetensors", "other.pth");
    assert.equal(await findWeights(join(path, "other.pth")), join(path, "other.pth"));
    assert.equal(await findWeights(path), join(path, "model.safetensors"));
    const one = folderWith("dino_deitsmall16_pretrain.pth", "README.md");
    assert.equal(await findWeights(one), join(one, "dino_deitsmall16_pretrain.pth"));
    assert.equal(labelOf(await findWeights(one)), "dino_deitsmall16_pretrain.pth");
  });

  it("are the newest checkpoint of a run, by its folder or its name, or any by its JSON", async () => {
    const { path: run, checkpoints } = await tinyCheckpoint(folder());
    const at = (step: string) => join(checkpoints, `step-000000${step}`);
    const newest = `${at("10")}.safetensors`;
    assert.equal(await findWeights(run), newest);
    assert.equal(await findWeights("run", undefined, folder()), newest);
    assert.equal(await findWeights(`${at("05")}.json`), `${at("05")}.safetensors`);
    assert.equal(folderAbout(newest), run);
    assert.equal(labelOf(newest), "run after 10 steps");
  });

  it("are those of the checkpoint before one that is damaged", async () => {
    const { path: run, checkpoints } = await tinyCheckpoint(folder());
    const at = (step: string) => join(checkpoints, `step-000000${step}.safetensors`);
    const told: string[] = [];
    const warn = (message: string) => told.push(message);
    flipLastByte(at("10"));
    assert.equal(await findWeights(run, { warn }), at("05"));
    assert.deepEqual(
      told.map((text) => text.includes("step-00000010")),
      [true],
    );
    const damaged = coded("CHECKPOINT_DAMAGED", "step-00000010");
    await assert.rejects(findWeights(at("10").replace("safetensors", "json")), damaged);
    flipLastByte(at("05"));
    await assert.rejects(findWeights(run), damaged);
  });

  it("are missing where there is none, or more than one", async () => {
    const missing = (path: string, ...words: readonly string[]) =>
      assert.rejects(findWeights(path), coded("WEIGHTS_MISSING", ...words));
    await missing(join(folder(), "nothing"), "there is nothing");
    await missing(folderWith("README.md"), "no file of weights");
    await missing(folderWith("a.pth", "b.pth"), "several", "a.pth, b.pth");
    await missing(folderWith("config.resolved.json"), "no checkpoint");
  });

  it("lie in several files where an index says so", async () => {
    const path = folderWith("model.safetensors.index.json");
    const tensor = (name: string, ...shape: number[]) => ({
      name,
      shape,
      values: new Float32Array(shape.reduce((a, b) => a * b, 1)),
    });
    await writeSafetensors(join(path, "one.safetensors"), [tensor("patch_embed.proj.weight", 4, 3, 2, 2)]);
    await writeSafetensors(join(path, "two.safetensors"), [tensor("norm.weight", 4)]);
    const index = (map: object) =>
      writeFileSync(join(path, "model.safetensors.index.json"), JSON.stringify({ weight_map: map }));
    index({ "patch_embed.proj.weight": "one.safetensors", "norm.weight": "two.safetensors" });
    const { networks } = await openWeights(path);
    assert.deepEqual([...networks[0]!.backbone().keys()], ["patch_embed.proj.weight", "norm.weight"]);
    for (const name of ["../one.safetensors", 1, "model.safetensors.index.json", ".", "..", "none"]) {
      index({ a: name });
      await assert.rejects(openWeights(path), coded("WEIGHTS_DAMAGED", "files beside it"));
    }
    index({});
    await assert.rejects(openWeights(path), coded("WEIGHTS_DAMAGED", "files beside it"));
  });

  it("have beside them what their shapes do not tell", () => {
    const path = folderWith("model.safetensors");
    assert.deepEqual(aboutWeights(path), { numHeads: undefined, mean: undefined, std: undefined });
    const said = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };
    const timm = { architecture: "vit_x", model_args: { num_heads: 3 }, pretrained_cfg: said };
    writeFileSync(join(path, "config.json"), JSON.stringify(timm));
    assert.deepEqual(aboutWeights(path), { numHeads: 3, ...said });
    writeFileSync(join(path, "config.json"), '{"model_args": {"num_heads": "three"}, "pretrained_cfg": 1}');
    assert.equal(aboutWeights(path).numHeads, undefined);
    writeFileSync(join(path, "config.json"), "not JSON");
    assert.equal(aboutWeights(path).numHeads, undefined);
    const run = JSON.stringify({ backbone: { numHeads: 2 }, data: said });
    writeFileSync(join(path, "config.resolved.json"), run);
    assert.deepEqual(aboutWeights(path), { numHeads: 2, ...said });
  });

  it("of neither form are refused", async () => {
    const path = join(folder(), "weights.bin");
    for (const bytes of ["", "short", "version https://git-lfs.github.com/spec/v1"]) {
      writeFileSync(path, bytes);
      await assert.rejects(openWeights(path), coded("WEIGHTS_FORMAT", "neither a safetensors file nor"));
    }
    copyFileSync(fixturePath("golden.json"), path);
    await assert.rejects(openWeights(path), coded("WEIGHTS_FORMAT"));
  });
});
