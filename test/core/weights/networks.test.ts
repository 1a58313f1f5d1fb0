import assert from "node:assert/strict";
import { inferBackbone, settingsOf } from "../../../core/weights/infer-backbone.ts";
import { matchWeights, requireWholeBackbone } from "../../../core/weights/match.ts";
import { networksOf } from "../../../core/weights/networks.ts";
import type { StoredTensor } from "../../../core/weights/stored-tensor.ts";
import { coded } from "../trainer/tiny.ts";

/** A tensor whose values are all its place in the list. */
const tensors = (shapes: Readonly<Record<string, readonly number[]>>, prefix = ""): StoredTensor[] =>
  Object.entries(shapes).map(([name, shape], i) => ({
    name: prefix + name,
    shape,
    read: () => Promise.resolve(new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(i)),
  }));

/** A backbone of 2 x 2 patches. */
const vit = {
  cls_token: [1, 1, 64],
  pos_embed: [1, 5, 64],
  "patch_embed.proj.weight": [64, 3, 8, 8],
  "blocks.0.norm1.weight": [64],
  "blocks.0.mlp.fc1.weight": [128, 64],
  "blocks.0.attn.qkv.bias": [192],
};
const wantedOf = (shapes: Readonly<Record<string, readonly number[]>>) =>
  Object.entries(shapes).map(([name, shape]) => ({ name: `backbone.${name}`, shape }));

describe("the networks of a file", () => {
  const rolesOf = (...prefixes: readonly string[]) =>
    networksOf(prefixes.flatMap((prefix) => tensors(vit, prefix))).map(({ role }) => role);

  it("are told by the names that DINO, iBOT, SERE, DINOv2, timm and relata give", () => {
    assert.deepEqual(rolesOf(""), ["network"]);
    assert.deepEqual(rolesOf("module."), ["network"]);
    assert.deepEqual(rolesOf("state_dict.backbone."), ["network"]);
    assert.deepEqual(rolesOf("student.module.backbone.", "teacher.backbone."), ["student", "teacher"]);
    assert.deepEqual(rolesOf("teacher.backbone."), ["teacher"]);
    assert.deepEqual(rolesOf("student/backbone.", "teacher/backbone.", "adam.m/backbone."), [
      "student",
      "teacher",
    ]);
    assert.deepEqual(rolesOf("state_dict.", "state_dict_ema.").sort(), ["student", "teacher"]);
    assert.deepEqual(rolesOf("model.", "model_ema.").sort(), ["student", "teacher"]);
    assert.deepEqual(networksOf(tensors({ "fc.weight": [2, 2] })), []);
  });

  it("of relata have any backbone", () => {
    const [network] = networksOf(tensors({ "stages.0.weight": [1] }, "teacher/backbone."));
    assert.equal(network!.find("backbone.stages.0.weight")?.name, "teacher/backbone.stages.0.weight");
  });

  it("have heads by the official names, and by PyTorch's parametrised ones", () => {
    const heads = {
      "head.mlp.0.weight": [1],
      "head.last_layer.weight_v": [2],
      "head.last_layer2.parametrizations.weight.original1": [3],
      "backbone.masked_embed": [4],
      "backbone.pixel_sere.projection.0.weight": [5],
      "backbone.channel_sere_local.predictor.0.weight": [6],
    };
    const prefix = "student.module.";
    const [network] = networksOf([...tensors(vit, `${prefix}backbone.`), ...tensors(heads, prefix)]);
    const wanted = [
      "projection.mlp.0.weight",
      "projection.cls.last_layer.weight_v",
      "projection.patch.last_layer.weight_v",
      "ibot.maskToken",
      "pixel-relation.head.projection.0.weight",
      "channel-relation.localHead.predictor.0.weight",
    ];
    assert.deepEqual(
      wanted.map((name) => network!.find(name)?.shape[0]),
      [1, 2, 3, 4, 5, 6],
    );
  });
});

describe("a match", () => {
  const only = (shapes: Readonly<Record<string, readonly number[]>>) => networksOf(tensors(shapes))[0]!;

  async function valuesOf(wanted: Readonly<Record<string, readonly number[]>>, file: typeof wanted) {
    const { match, values } = matchWeights(wantedOf(wanted), only(file));
    const read: Record<string, Float32Array> = {};
    for await (const [name, value] of values()) read[name] = value;
    return { match, read };
  }

  it("lists what is kept, resized, missing, of another shape, and not expected", async () => {
    const { "blocks.0.attn.qkv.bias": _, ...rest } = vit;
    const file = { ...rest, pos_embed: [1, 10, 64], cls_token: [1, 1, 32], "head.weight": [10, 64] };
    const { match, read } = await valuesOf(vit, file);
    assert.deepEqual(match, {
      kept: [
        "backbone.patch_embed.proj.weight",
        "backbone.blocks.0.norm1.weight",
        "backbone.blocks.0.mlp.fc1.weight",
      ],
      resized: [{ name: "backbone.pos_embed", from: 3, to: 2 }],
      missing: ["backbone.blocks.0.attn.qkv.bias"],
      ofAnotherShape: [{ name: "backbone.cls_token", file: [1, 1, 32], here: [1, 1, 64] }],
      unexpected: ["head.weight"],
    });
    assert.deepEqual(Object.keys(read), ["backbone.pos_embed", ...match.kept]);
    assert.equal(read["backbone.pos_embed"]!.length, 5 * 64);
    assert.equal(read["backbone.blocks.0.norm1.weight"]![0], 3, "of its own tensor");
  });

  it("of another patch size or width keeps what fits", async () => {
    const { match } = await valuesOf(vit, { ...vit, "patch_embed.proj.weight": [64, 3, 16, 16] });
    assert.deepEqual(
      match.ofAnotherShape.map(({ name }) => name),
      ["backbone.patch_embed.proj.weight"],
    );
    const wide = { ...vit, pos_embed: [1, 5, 32] };
    assert.deepEqual(
      (await valuesOf(vit, wide)).match.ofAnotherShape.map(({ name }) => name),
      ["backbone.pos_embed"],
    );
  });

  it("puts registers and positions into relata's form", async () => {
    const here = { ...vit, register_tokens: [1, 2, 64] };
    const patchesAlone = await valuesOf(here, { ...vit, pos_embed: [1, 4, 64], reg_token: [1, 2, 64] });
    assert.deepEqual(patchesAlone.match.missing, []);
    const positions = patchesAlone.read["backbone.pos_embed"]!;
    assert.deepEqual(
      [positions.length, positions[0], positions[64]],
      [5 * 64, 0, 1],
      "zero for the class token",
    );
    assert.equal(patchesAlone.read["backbone.register_tokens"]![0], 6);
    const placed = await valuesOf(here, { ...vit, pos_embed: [1, 7, 64], reg_token: [1, 2, 64] });
    assert.deepEqual([placed.read["backbone.pos_embed"]!.length, placed.match.resized], [5 * 64, []]);
    assert.equal(placed.read["backbone.register_tokens"]![0], 6 + 1, "with its position");
  });

  it("of a network that is used as it is must be whole, with nothing of a transformer left over", () => {
    const whole = { path: "x.pth", skipped: [] };
    const check = (wanted: Readonly<Record<string, readonly number[]>>, file: typeof wanted) => {
      const network = only(file);
      requireWholeBackbone(whole, network, matchWeights(wantedOf(wanted), network).match);
    };
    check(vit, { ...vit, "head.weight": [10, 64], mask_token: [1, 64] });
    const { cls_token: _, ...without } = vit;
    assert.throws(() => check(vit, without), coded("WEIGHTS_MISMATCH", "missing: backbone.cls_token"));
    assert.throws(
      () => check(vit, { ...vit, cls_token: [1, 1, 2] }),
      coded("WEIGHTS_MISMATCH", "backbone.cls_token [1, 1, 2], here [1, 1, 64]"),
    );
    for (const name of ["blocks.0.attn.q_norm.weight", "norm_pre.weight", "dist_token"])
      assert.throws(() => check(vit, { ...vit, [name]: [64] }), coded("WEIGHTS_MISMATCH", name));
  });
});

describe("the backbone of weights", () => {
  const infer = (shapes: Readonly<Record<string, readonly number[]>>, about = {}) =>
    inferBackbone("x.pth", networksOf(tensors(shapes))[0]!, about);

  it("shows in the shapes", () => {
    assert.deepEqual(infer(vit), {
      channels: 3,
      backbone: {
        arch: "vit",
        embedDim: 64,
        depth: 1,
        numHeads: 1,
        mlpRatio: 2,
        patchSize: 8,
        imageSize: 16,
        registerTokens: 0,
        qkvBias: true,
      },
    });
    const { "blocks.0.attn.qkv.bias": _, ...rest } = vit;
    const other = infer({
      ...rest,
      "patch_embed.proj.weight": [64, 1, 4, 4],
      "blocks.0.ls1.gamma": [64],
      "blocks.1.norm1.weight": [64],
      reg_token: [1, 4, 64],
      pos_embed: [1, 9, 64],
    });
    assert.equal(other.channels, 1);
    const { qkvBias, layerScale, depth, registerTokens, imageSize } = other.backbone;
    assert.deepEqual([qkvBias, depth, registerTokens, imageSize], [false, 2, 4, 12]);
    assert.ok(layerScale! > 0);
  });

  it("has the heads that are said, or as many as published ones of its width", () => {
    assert.equal(infer(vit, { numHeads: 4 }).backbone.numHeads, 4);
    const ofWidth = (D: number) =>
      infer({ ...vit, "patch_embed.proj.weight": [D, 3, 8, 8] }).backbone.numHeads;
    assert.deepEqual([192, 384, 768, 1024, 1280].map(ofWidth), [3, 6, 12, 16, 16]);
    assert.throws(() => ofWidth(100), coded("WEIGHTS_MISMATCH", "width of 100"));
  });

  it("is refused where it is no plain ViT", () => {
    const { pos_embed: _, ...without } = vit;
    assert.throws(() => infer(without), coded("WEIGHTS_MISMATCH", "no pos_embed"));
    assert.throws(
      () => infer({ ...vit, pos_embed: [1, 7, 64] }),
      coded("WEIGHTS_MISMATCH", "no square grid"),
    );
  });

  it("is told as a config says it", () => {
    const small = { ...infer(vit).backbone, embedDim: 384, depth: 12, numHeads: 6, mlpRatio: 4 };
    assert.equal(settingsOf(small), "backbone.arch=vit-small backbone.patchSize=8");
    assert.match(settingsOf(infer(vit).backbone), /arch=vit backbone.embedDim=64 .* backbone.mlpRatio=2/);
  });
});
