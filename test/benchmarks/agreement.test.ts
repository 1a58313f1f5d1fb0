import assert from "node:assert/strict";
import { Differences } from "../../benchmarks/baselines/agreement.ts";
import { officialName } from "../../benchmarks/baselines/official-names.ts";
import { UsageError } from "../../benchmarks/command.ts";

describe("the agreement of two sides", () => {
  const of = (precision: string, one: Record<string, number>, other: Record<string, number>) => {
    const differences = new Differences(precision);
    differences.add(one, other);
    return differences;
  };

  it("keeps the largest relative difference of each scalar", () => {
    const differences = of("fp32", { total: 2.5, gradNorm: 1 }, { total: 2, gradNorm: 1 });
    differences.add({ total: 2, gradNorm: 3 }, { total: 2, gradNorm: 4 });
    assert.deepEqual(differences.largest, { total: 0.25, gradNorm: 0.25 });
  });

  it("allows bf16 more than fp32, and a gradient's norm more than a loss", () => {
    const scalars = { total: 1.0005, gradNorm: 1.0005 };
    assert.match(
      of("fp32", scalars, { total: 1, gradNorm: 1 }).problems().join(),
      /^total differs[^,]*, relative/,
    );
    assert.deepEqual(of("fp32", { gradNorm: 1.0005 }, { gradNorm: 1 }).problems(), []);
    assert.deepEqual(of("bf16", scalars, { total: 1, gradNorm: 1 }).problems(), []);
  });

  it("does not take NaN for agreement, also where numbers follow", () => {
    const differences = of("bf16", { total: NaN }, { total: 1 });
    differences.add({ total: 1 }, { total: 1 });
    assert.equal(differences.problems().length, 1);
  });

  it("refuses sides with different losses, and a precision that it knows nothing of", () => {
    assert.throws(() => of("fp32", { total: 1, ibot: 1 }, { total: 1 }), /one side has ibot, total/);
    assert.throws(() => new Differences("fp64"), UsageError);
  });
});

describe("official names", () => {
  for (const [own, official] of [
    ["student/backbone.blocks.0.attn.qkv.weight", "student.backbone.blocks.0.attn.qkv.weight"],
    ["student/projection.mlp.0.weight", "student.head.mlp.0.weight"],
    ["student/ibot.maskToken", "student.backbone.masked_embed"],
    ["teacher/pixel-relation.head.projection.0.weight", "teacher.backbone.pixel_sere.projection.0.weight"],
    [
      "student/channel-relation.localHead.predictor.0.weight",
      "student.backbone.channel_sere_local.predictor.0.weight",
    ],
  ] as const)
    it(`of ${own}`, () => assert.equal(officialName(own), official));
});
