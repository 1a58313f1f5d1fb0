import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exportRun } from "../../../core/run/export.ts";
import { checkpointOf } from "../trainer/runs.ts";
import { readSafetensors } from "../../../core/trainer/safetensors.ts";
import { temporaryFolder } from "../trainer/temporary-folder.ts";
import { coded } from "../trainer/tiny.ts";
import { tinyCheckpoint } from "./tiny-checkpoint.ts";

describe("exportRun", () => {
  const base = temporaryFolder();
  const normOf = async (folder: string) =>
    (await readSafetensors(join(folder, "model.safetensors"))).tensors.get("norm.weight")!.values;
  const saved = async (name: string) =>
    (await checkpointOf(base())).tensors.find((t) => t.name === name)!.values;

  it("writes the newest teacher's backbone, and how to build and feed it", async () => {
    const run = await tinyCheckpoint(base(), { data: { mean: [0.1, 0.2, 0.3] } });
    const summary = await exportRun(run);
    const folder = join(run.path, "export-teacher-10");
    const { tensors } = await readSafetensors(join(folder, "model.safetensors"));
    const parameters = [...tensors.values()].reduce((sum, { values }) => sum + values.length, 0);
    assert.deepEqual(summary, {
      folder,
      architecture: "vit_base_patch16_224",
      network: "teacher",
      step: 10,
      parameters,
    });
    assert.deepEqual(await normOf(folder), await saved("teacher/backbone.norm.weight"));
    assert.ok(!tensors.has("dino.head.weight"), "what is no backbone was exported");
    const config = JSON.parse(await readFile(join(folder, "config.json"), "utf8")) as {
      model_args: { num_heads: number };
      pretrained_cfg: { mean: number[]; crop_pct: number };
    };
    assert.equal(config.model_args.num_heads, 2);
    assert.deepEqual(config.pretrained_cfg.mean, [0.1, 0.2, 0.3]);
    assert.equal(config.pretrained_cfg.crop_pct, 0.875);
    assert.deepEqual((await readdir(folder)).sort(), ["config.json", "model.safetensors"]);
  });

  it("notes in the file what the weights are", async () => {
    const run = await tinyCheckpoint(base());
    const { folder } = await exportRun(run);
    const bytes = await readFile(join(folder, "model.safetensors"));
    const header = bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString();
    const { __metadata__: metadata } = JSON.parse(header) as { __metadata__: Record<string, string> };
    const { producer, ...rest } = metadata;
    assert.match(producer!, /^relata \d/);
    assert.deepEqual(rest, {
      format: "pt",
      run: "run",
      network: "teacher",
      step: "10",
      plugins: "multi-crop dino",
    });
  });

  it("takes another network, another checkpoint and another folder", async () => {
    const run = await tinyCheckpoint(base());
    const out = join(base(), "out");
    const { step, network } = await exportRun(run, { network: "student", checkpoint: 5, out });
    assert.deepEqual([step, network], [5, "student"]);
    const byPath = join(run.checkpoints, "step-00000005.safetensors");
    const again = await exportRun(run, { network: "student", checkpoint: byPath });
    assert.deepEqual(await normOf(out), await normOf(again.folder));
    const newest = await exportRun(run, { network: "student" });
    assert.notDeepEqual(await normOf(out), await normOf(newest.folder));
  });

  it("takes the student where there is no teacher", async () => {
    const run = await tinyCheckpoint(base(), { networks: ["student"], steps: [1] });
    assert.equal((await exportRun(run)).network, "student");
  });

  it("refuses what is not there, and to write over something", async () => {
    const run = await tinyCheckpoint(base());
    await assert.rejects(exportRun(run, { network: "gram" }), (error: Error) => {
      assert.ok(coded("CHECKPOINT_NETWORK", "gram")(error));
      assert.match(String(error), /student, teacher\b/);
      return true;
    });
    await assert.rejects(exportRun(run, { checkpoint: 7 }), coded("CHECKPOINT_STEP", "step 7", "5, 10"));
    await assert.rejects(exportRun(run, { checkpoint: "nowhere.json" }), coded("CHECKPOINT_MISSING"));
    await exportRun(run);
    await assert.rejects(exportRun(run), coded("OUTPUT_EXISTS", "export-teacher-10"));
    await writeFile(run.configFile, JSON.stringify({ ...(run.readConfig() as object), backbone: {} }));
    await assert.rejects(exportRun(run, { out: join(base(), "other") }), coded("EXPORT_BACKBONE"));
    assert.deepEqual((await readdir(base())).sort(), ["run"]);
  });
});
