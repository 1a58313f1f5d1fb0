/** The plugin in a step: its view groups, its options, and what it does to their pixels. */
import assert from "node:assert/strict";
import type { Engine } from "../../../core/engine/engine.ts";
import type { Training } from "../../../core/trainer/training.ts";
import multiCrop from "../../../plugins/multi-crop/index.ts";
import { ColourLayout } from "../../../plugins/multi-crop/sampling.ts";
import { at, distance, globalViews, learnsOnes, tinyBatch, tinyTraining } from "../../core/trainer/tiny.ts";
import { makeEngine } from "../../support/engines.ts";

const crops = { globalCrops: { size: 16 }, localCrops: { size: 8, count: 3 } };
const never = { p: 0 };
const noColour = { jitter: never, grayscale: never, blur: never, solarise: never };

describe("the multi-crop plugin", () => {
  let engines: Engine[] = [];
  const engine = async (kind: Parameters<typeof makeEngine>[0] = "eager on cpu") => {
    engines.push(await makeEngine(kind));
    return engines.at(-1)!;
  };
  afterEach(() => {
    engines.forEach((own) => own.close());
    engines = [];
  });

  type Options = Parameters<typeof multiCrop>[0];
  const make = async (
    options: Options,
    run: { channels?: number; batchSize?: number } = {},
    kind?: Parameters<typeof engine>[0],
  ) => {
    const normalisation = {
      mean: new Array<number>(run.channels ?? 3).fill(0),
      std: new Array<number>(run.channels ?? 3).fill(1),
    };
    return tinyTraining(await engine(kind), [multiCrop(options), learnsOnes], {
      views: [],
      run,
      settings: { normalisation },
    });
  };

  async function augmented(training: Training, step = 0): Promise<Record<string, ArrayLike<number>>> {
    const feeds = training.feeds(tinyBatch(training), at(step));
    return (await training.engine.program("views", training.traceViews(feeds))).run(feeds);
  }

  it("makes the view groups of the paper by itself, and those that are asked for", async () => {
    const defaults = multiCrop.manifest.options.parse({});
    const { globalCrops, localCrops } = defaults;
    assert.deepEqual([globalCrops.count, globalCrops.size, globalCrops.scale], [2, 224, [0.4, 1]]);
    assert.deepEqual([localCrops.count, localCrops.size, localCrops.scale], [8, 96, [0.05, 0.4]]);
    const { declarations } = await make({ ...crops, globalCrops: { size: 16, flip: 0, ratio: [1, 1] } });
    assert.deepEqual(declarations.views, [
      { group: "global", count: 2, size: 16, scale: [0.4, 1], ratio: [1, 1], flip: 0 },
      { group: "local", count: 3, size: 8, scale: [0.05, 0.4], ratio: [3 / 4, 4 / 3], flip: 0.5 },
    ]);
  });

  it("makes no local group without local crops", async () => {
    const training = await make({ ...crops, localCrops: { count: 0 } });
    assert.deepEqual(
      training.declarations.views.map(({ group }) => group),
      ["global"],
    );
    assert.deepEqual([...training.declarations.inputs.keys()], ["multi-crop.colour.global"]);
  });

  it("checks its options", () => {
    const refused = (given: object, path: string) => {
      const { success, error } = multiCrop.manifest.options.safeParse(given);
      assert.equal(success, false, JSON.stringify(given));
      assert.equal(error!.issues[0]!.path.join("."), path);
    };
    refused({ globalCrops: { count: 0 } }, "globalCrops");
    refused({ globalCrops: { count: 1.5 } }, "globalCrops.count");
    refused({ localCrops: { size: 0 } }, "localCrops.size");
    refused({ localCrops: { scale: [0.5, 0.1] } }, "localCrops.scale");
    refused({ localCrops: { scale: [0, 0.1] } }, "localCrops.scale.0");
    refused({ localCrops: { scale: [0.5, 1.1] } }, "localCrops.scale.1");
    refused({ globalCrops: { ratio: [2, 1] } }, "globalCrops.ratio");
    refused({ globalCrops: { flip: 2 } }, "globalCrops.flip");
    refused({ colour: { local: { jitter: { hue: 0.5 } } } }, "colour.local.jitter.hue");
    refused({ colour: { locals: {} } }, "colour");
    refused({ crops: 2 }, "");
  });

  it("draws colour parameters per view and sample, whatever the sample's place in the batch", async () => {
    const training = await make(crops, { batchSize: 4 });
    const rowsOf = (indices: number[], step: number, group: string) => {
      const batch = { ...tinyBatch(training), indices: Int32Array.from(indices) };
      const values = training.feeds(batch, at(step))[`multi-crop.colour.${group}`]!;
      return (view: number, row: number) => {
        const from = (view * 4 + row) * ColourLayout.length;
        return [...values.subarray(from, from + ColourLayout.length)];
      };
    };
    const { inputs } = training.declarations;
    assert.deepEqual(inputs.get("multi-crop.colour.global")!.shape, [2 * 4, ColourLayout.length]);
    assert.deepEqual(inputs.get("multi-crop.colour.local")!.shape, [3 * 4, ColourLayout.length]);
    for (const [group, count] of [
      ["global", 2],
      ["local", 3],
    ] as const) {
      const [forward, backward] = [rowsOf([3, 5, 8, 9], 2, group), rowsOf([9, 8, 5, 3], 2, group)];
      const later = rowsOf([3, 5, 8, 9], 3, group);
      const all = new Set<string>();
      for (let view = 0; view < count; view++) {
        for (const row of [0, 1, 2, 3]) {
          assert.deepEqual(forward(view, row), backward(view, 3 - row));
          assert.notDeepEqual(forward(view, row), later(view, row));
          all.add(forward(view, row).join());
        }
      }
      assert.equal(all.size, 4 * count);
    }
  });

  it("blurs every first global view and solarises some of the others, as in BYOL's appendix", async () => {
    const samples = 200;
    const training = await make({ ...crops, globalCrops: { size: 16, count: 3 } }, { batchSize: samples });
    const batch = { ...tinyBatch(training), indices: Int32Array.from({ length: samples }, (_, i) => i) };
    const feeds = training.feeds(batch, at(0));
    const share = (group: string, view: number, column: number) => {
      const values = feeds[`multi-crop.colour.${group}`]!;
      const rows = Array.from(
        { length: samples },
        (_, b) => values[(view * samples + b) * ColourLayout.length + column]!,
      );
      return rows.filter((value) => value > 0).length / samples;
    };
    const near = (got: number, want: number) =>
      assert.ok(Math.abs(got - want) <= 4 * Math.sqrt((want * (1 - want)) / samples), `${got}, ${want}`);
    near(share("global", 0, ColourLayout.boxRadius), 1);
    near(share("global", 0, ColourLayout.solarise), 0);
    for (const view of [1, 2]) {
      near(share("global", view, ColourLayout.boxRadius), 0.1);
      near(share("global", view, ColourLayout.solarise), 0.2);
    }
    near(share("local", 0, ColourLayout.boxRadius), 0.5);
    near(share("local", 2, ColourLayout.solarise), 0);
    near(share("local", 1, ColourLayout.grayscale), 0.2);
  });

  it("leaves pixels as they are without colour changes, and other plugins' views always", async () => {
    const colour = { firstGlobal: noColour, otherGlobals: noColour, local: noColour };
    const plain = await make({ ...crops, colour });
    const { pixels } = tinyBatch(plain);
    const units = (group: string) => Float32Array.from(pixels.get(group)!, (byte) => byte / 255);
    const views = await augmented(plain);
    for (const group of ["global", "local"]) assert.ok(distance(views[group]!, units(group)) < 1e-6);

    const other = { ...globalViews, group: "other" };
    const beside = await tinyTraining(await engine(), [multiCrop(crops), learnsOnes], { views: [other] });
    const given = Float32Array.from(tinyBatch(beside).pixels.get("other")!, (byte) => byte / 255);
    const { other: untouched, global } = await augmented(beside);
    assert.ok(distance(untouched!, given) < 1e-6);
    const changed = tinyBatch(beside).pixels.get("global")!;
    assert.ok(
      distance(
        global!,
        Float32Array.from(changed, (byte) => byte / 255),
      ) > 0.1,
    );
  });

  for (const channels of [3, 1]) {
    it(`gives the same captured, compiled and op by op, with ${channels} channels`, async () => {
      const [captured, compiled, eager] = [
        await make(crops, { channels }, "captured"),
        await make(crops, { channels }, "compiled"),
        await make(crops, { channels }),
      ];
      for (const [training, step] of [
        [captured, 0],
        [captured, 1],
        [compiled, 1],
      ] as const) {
        const [a, b] = [await augmented(training, step), await augmented(eager, step)];
        for (const [group, rows, size] of [
          ["global", 4, 16],
          ["local", 6, 8],
        ] as const) {
          assert.equal(a[group]!.length, rows * size * size * channels);
          assert.ok(distance(a[group]!, b[group]!) < 2e-5, group);
          assert.ok(Array.from(a[group]!).every((value) => value >= 0 && value <= 1));
        }
      }
    });
  }

  it("augments a grey view as a coloured one of equal channels", async () => {
    const [grey, coloured] = [await make(crops, { channels: 1 }), await make(crops, { channels: 3 })];
    const batch = tinyBatch(grey);
    const inColour = new Map(
      [...batch.pixels].map(([g, bytes]) => [
        g,
        Uint8Array.from({ length: 3 * bytes.length }, (_, i) => bytes[Math.floor(i / 3)]!),
      ]),
    );
    const viewsOf = async (training: Training, given: typeof batch) => {
      const feeds = training.feeds(given, at(0));
      return (await training.engine.program("views", training.traceViews(feeds))).run(feeds);
    };
    const [one, three] = [
      await viewsOf(grey, batch),
      await viewsOf(coloured, { ...batch, pixels: inColour }),
    ];
    for (const group of ["global", "local"]) {
      const spread = Float32Array.from(
        { length: 3 * one[group]!.length },
        (_, i) => one[group]![Math.floor(i / 3)]!,
      );
      assert.ok(distance(spread, three[group]!) < 2e-5, group);
      assert.ok(
        distance(
          one[group]!,
          Float32Array.from(batch.pixels.get(group)!, (byte) => byte / 255),
        ) > 0.1,
      );
    }
  });
});
