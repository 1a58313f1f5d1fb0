import assert from "node:assert/strict";
import { describeOptions, keysAt } from "../../../core/config/describe.ts";
import { runSchema } from "../../../core/config/schema.ts";
import { z } from "../../../core/plugin.ts";

describe("descriptions of schemas", () => {
  it("lists options with type, default and text", () => {
    const schema = z.strictObject({
      weight: z.number().default(1).describe("of the loss"),
      crops: z.strictObject({ scale: z.tuple([z.number(), z.number()]).default([0, 1]) }).prefault({}),
      mode: z.enum(["a", "b"]),
      every: z.union([z.number(), z.literal("never")]).optional(),
      names: z.array(z.string()).optional(),
      dense: z.union([z.literal(false), z.strictObject({ masks: z.string() })]).optional(),
    });
    const options = describeOptions(schema);
    assert.deepEqual(
      options.map(({ path, type, required, default: value }) => [path, type, required, value]),
      [
        ["weight", "number", false, 1],
        ["crops.scale", "[number, number]", false, [0, 1]],
        ["mode", "one of a, b", true, undefined],
        ["every", 'number or "never"', false, undefined],
        ["names", "list of string", false, undefined],
        ["dense", "false or object", false, undefined],
        ["dense.masks", "string", true, undefined],
      ],
    );
    assert.equal(options[0]?.description, "of the loss");
  });

  it("knows the keys at a path, through lists and unions", () => {
    assert.deepEqual(keysAt(runSchema, ["train", "adam"]), ["beta1", "beta2", "epsilon"]);
    assert.deepEqual(keysAt(runSchema, ["plugins", 4]), ["use", "with"]);
    assert.deepEqual(keysAt(runSchema, ["train", "lr"]), []);
    assert.deepEqual(keysAt(runSchema, ["nowhere"]), []);
  });

  it("has a text for every option of a run that its name does not explain", () => {
    const bare = describeOptions(runSchema).filter(({ description }) => description === undefined);
    assert.deepEqual(
      bare.map(({ path }) => path),
      [
        "train.adam.beta1",
        "train.adam.beta2",
        "train.adam.epsilon",
        "checkpoint.everyEpochs",
        "checkpoint.everySteps",
      ],
    );
  });
});
