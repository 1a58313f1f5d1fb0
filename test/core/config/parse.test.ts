import assert from "node:assert/strict";
import { parseConfig } from "../../../core/config/parse.ts";
import { definePlugin, z } from "../../../core/plugin.ts";
import { RelataError } from "../../../core/errors.ts";

const base = "/home/me/project";
type Section = Record<string, unknown>;

/** A valid config with some values changed. */
function config(
  changes: { data?: Section; backbone?: Section; train?: Section; plugins?: unknown } = {},
): Section {
  return {
    data: { path: "images", ...changes.data },
    backbone: changes.backbone ?? {},
    train: { epochs: 20, batchSize: 64, ...changes.train },
    plugins: changes.plugins ?? ["dino"],
  };
}

function failure(value: unknown): RelataError {
  try {
    parseConfig(value, base);
  } catch (error) {
    assert.ok(error instanceof RelataError, String(error));
    return error;
  }
  assert.fail("the config was accepted");
}

function refuses(value: unknown, code: string, message: string | RegExp) {
  const error = failure(value);
  assert.equal(error.code, code);
  if (typeof message === "string") assert.equal(error.message, message);
  else assert.match(error.message, message);
}

describe("config schema", () => {
  describe("defaults", () => {
    it("fills in every default of the smallest config", () => {
      const { workers, ...data } = parseConfig(config(), base).data;
      assert.ok(workers === 1 || workers === 2);
      assert.deepEqual(data, {
        dataset: "image-folder",
        path: "/home/me/project/images",
        channels: 3,
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
        background: "#ffffff",
        prefetch: 2,
        readTimeout: 60,
        maxUnreadable: 0.1,
        split: "all",
      });
      const { train, teacher, seed } = parseConfig(config(), base);
      assert.deepEqual(train, {
        epochs: 20,
        batchSize: 64,
        microBatch: 64,
        lr: 5e-4,
        minLr: 1e-6,
        warmupEpochs: 10,
        weightDecay: 0.04,
        weightDecayEnd: 0.4,
        decayBiases: false,
        clipGrad: 3,
        adam: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
        precision: "fp32",
        engine: "graph",
        backend: "tensorflow",
        device: "auto",
        jit: "fused",
        threads: { intra: 0, inter: 0 },
      });
      assert.deepEqual(teacher, { momentum: 0.996, momentumEnd: 1 });
      assert.equal(seed, 0);
    });

    it("derives defaults from other values", () => {
      const grey = parseConfig(config({ data: { channels: 1 } }), base).data;
      assert.deepEqual([grey.mean, grey.std], [[0.449], [0.226]]);
      assert.equal(parseConfig(config({ train: { epochs: 3 } }), base).train.warmupEpochs, 3);
      assert.equal(parseConfig(config({ train: { clipGrad: null } }), base).train.clipGrad, 0);
      const small = parseConfig(config({ backbone: { arch: "vit-small", depth: 6 } }), base).backbone;
      assert.deepEqual([small.embedDim, small.depth, small.numHeads], [384, 6, 6]);
      const free = { arch: "vit", embedDim: 64, depth: 2, numHeads: 4 };
      assert.equal(parseConfig(config({ backbone: free }), base).backbone.embedDim, 64);
    });

    it("leaves a resolved config as it is, also after it was saved", () => {
      const resolved = parseConfig(config({ plugins: ["dino", "./own.ts"] }), base);
      assert.deepEqual(parseConfig(JSON.parse(JSON.stringify(resolved)), "/elsewhere"), resolved);
    });

    it("takes masks from the config's folder, but for alpha, which is none", () => {
      const dense = (value?: unknown) =>
        parseConfig({ ...config(), evaluation: value === undefined ? {} : { dense: value } }, base).evaluation
          .dense;
      assert.deepEqual(dense(), {});
      assert.equal(dense(false), false);
      assert.deepEqual(dense({ masks: "alpha" }), { masks: "alpha" });
      assert.deepEqual(dense({ masks: "./alpha" }), { masks: `${base}/alpha` });
    });

    it("takes the folder that is tested on from the config's folder", () => {
      const test = (value?: string) =>
        parseConfig({ ...config(), evaluation: { test: value } }, base).evaluation.test;
      assert.deepEqual([test(), test("./test"), test("/test")], [undefined, `${base}/test`, "/test"]);
    });

    it("accepts plugins as names, with options, and as values", () => {
      const own = definePlugin(
        { name: "own", api: "^1", summary: "", options: z.strictObject({ a: z.number() }) },
        () => {},
      );
      const use = own({ a: 1 });
      const plugins = ["dino", { use: "ibot", with: { b: 2 } }, { use: "../own.ts" }, "@acme/ssl", use];
      assert.deepEqual(parseConfig(config({ plugins }), base).plugins, [
        { use: "dino", with: {} },
        { use: "ibot", with: { b: 2 } },
        { use: "/home/me/own.ts", with: {} },
        { use: "@acme/ssl", with: {} },
        use,
      ]);
    });
  });

  describe("unknown keys", () => {
    it("names the path and what was probably meant", () => {
      const error = failure(config({ train: { weightDecya: 0.1 } }));
      assert.equal(error.code, "CONFIG_UNKNOWN_KEY");
      assert.equal(error.message, 'train.weightDecya: unknown key. Did you mean "weightDecay"?');
      assert.match(error.fix, /use one of: epochs, maxSteps, batchSize, /);
    });

    it("lists the keys where none is near", () => {
      refuses(
        { ...config(), teacher: { tau: 1 } },
        "CONFIG_UNKNOWN_KEY",
        "teacher.tau: unknown key. There is momentum, momentumEnd.",
      );
    });

    it("finds a key that belongs in a section", () => {
      refuses({ ...config(), lr: 1 }, "CONFIG_UNKNOWN_KEY", 'lr: unknown key. Did you mean "train.lr"?');
    });

    it("looks into nested objects and plugin entries", () => {
      refuses(
        config({ train: { adam: { beta3: 1 } } }),
        "CONFIG_UNKNOWN_KEY",
        /^train\.adam\.beta3: .*"beta1"/,
      );
      const plugins = [{ use: "dino", wiht: {} }];
      refuses(
        config({ plugins }),
        "CONFIG_UNKNOWN_KEY",
        'plugins[0].wiht: unknown key. Did you mean "with"?',
      );
    });
  });

  describe("wrong values", () => {
    const cases: [what: string, value: unknown, message: string][] = [
      ["a text for a number", config({ train: { lr: "fast" } }), 'train.lr: expected a number, got "fast"'],
      [
        "a fraction for a count",
        config({ train: { epochs: 1.5 } }),
        "train.epochs: expected a whole number, got 1.5",
      ],
      [
        "a number below its range",
        config({ train: { lr: 0 } }),
        "train.lr: expected a number above 0, got 0",
      ],
      [
        "a number above its range",
        { ...config(), teacher: { momentum: 2 } },
        "teacher.momentum: expected at most 1, got 2",
      ],
      [
        "an unknown choice",
        config({ backbone: { arch: "vit-smal" } }),
        'backbone.arch: expected one of vit-tiny, vit-small, vit-base, vit-large, vit, got "vit-smal" (did you mean "vit-small"?)',
      ],
      ["two channels", config({ data: { channels: 2 } }), "data.channels: expected 1 or 3, got 2"],
      [
        "a colour's name",
        config({ data: { background: "white" } }),
        'data.background: expected a colour such as "#ffffff"',
      ],
      [
        "a missing value",
        config({ train: { batchSize: undefined } }),
        "train.batchSize: missing: expected a number",
      ],
      ["no plugin", config({ plugins: [] }), "plugins: list at least one, such as multi-crop and dino"],
      ["a number for a plugin", config({ plugins: [3] }), "plugins[0]: expected a text or an object, got 3"],
      [
        "a plugin without a name",
        config({ plugins: [{ with: {} }] }),
        "plugins[0].use: missing: expected a text",
      ],
      [
        "a list for options",
        config({ plugins: [{ use: "a", with: [1] }] }),
        "plugins[0].with: expected an object, got [ 1 ]",
      ],
      ["a list for a section", { ...config(), teacher: [] }, "teacher: expected an object, got []"],
    ];
    for (const [what, value, message] of cases) {
      it(`refuses ${what}`, () => refuses(value, "CONFIG_INVALID", message));
    }

    it("refuses what is no object", () => {
      refuses(null, "CONFIG_INVALID", "config: expected an object with data, train and plugins, got null");
      refuses([], "CONFIG_INVALID", /got \[\]$/);
    });
  });

  describe("values that do not fit together", () => {
    const cases: [what: string, value: unknown, message: string][] = [
      [
        "an image-folder without path",
        config({ data: { path: undefined } }),
        "data.path: an image-folder needs the folder's path",
      ],
      [
        "a mean of another length",
        config({ data: { mean: [0.5] } }),
        "data.mean: expected one number for each of the 3 channels, got 1",
      ],
      [
        "a std of another length",
        config({ data: { channels: 1, std: [1, 1] } }),
        "data.std: expected one number for each of the 1 channels, got 2",
      ],
      [
        "a micro-batch that does not divide",
        config({ train: { microBatch: 48 } }),
        "train.microBatch: batchSize 64 is not a multiple of microBatch 48",
      ],
      [
        "a warm-up longer than the run",
        config({ train: { warmupEpochs: 21 } }),
        "train.warmupEpochs: 21 epochs of warm-up do not fit in 20 epochs",
      ],
      [
        "bf16 without a graph",
        config({ train: { engine: "eager", precision: "bf16" } }),
        "train.precision: the eager engine computes in fp32 only",
      ],
      [
        "a GPU without a graph",
        config({ train: { engine: "eager", device: "gpu" } }),
        "train.device: the eager engine runs on the CPU only",
      ],
      [
        "heads that do not divide",
        config({ backbone: { numHeads: 5 } }),
        "backbone.numHeads: embedDim 384 is not a multiple of numHeads 5",
      ],
      [
        "patches that do not divide",
        config({ backbone: { imageSize: 100 } }),
        "backbone.imageSize: 100 is not a multiple of patchSize 16",
      ],
      [
        "a free arch without a size",
        config({ backbone: { arch: "vit", embedDim: 8, numHeads: 2 } }),
        'backbone.depth: arch "vit" has no size of its own: give embedDim, depth, numHeads',
      ],
    ];
    for (const [what, value, message] of cases) {
      it(`refuses ${what}`, () => refuses(value, "CONFIG_INVALID", message));
    }
  });

  it("reports all problems at once", () => {
    const error = failure({
      trian: {},
      data: { path: "x", mean: [1] },
      train: { epochs: 3, batchSize: "8", lrr: 1 },
      plugins: [{ use: "a", wiht: 1 }],
    });
    assert.equal(error.code, "CONFIG_PROBLEMS");
    assert.deepEqual(error.message.split("\n"), [
      "5 problems in the config:",
      "  - data.mean: expected one number for each of the 3 channels, got 1",
      '  - train.batchSize: expected a number, got "8"',
      '  - train.lrr: unknown key. Did you mean "lr"?',
      '  - plugins[0].wiht: unknown key. Did you mean "with"?',
      '  - trian: unknown key. Did you mean "train"?',
    ]);
    assert.equal((error.cause as AggregateError).errors.length, 5);
  });
});
