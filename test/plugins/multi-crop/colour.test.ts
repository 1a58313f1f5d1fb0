import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { applyColour, colourStages } from "../../../plugins/multi-crop/colour.ts";
import {
  ColourLayout,
  encodeColour,
  firstGlobalColour,
  localColour,
  secondGlobalColour,
} from "../../../plugins/multi-crop/sampling.ts";
import {
  allStages,
  augment,
  difference,
  loadColourCases,
  neutral,
  type ColourCase,
} from "./colour-fixture.ts";

/** Largest and mean difference from PIL in levels: its rounding to 8 bits after each operation and inside hue. */
const pilTolerance: Record<string, readonly [number, number]> = {
  brightness: [1, 0.5],
  contrast: [1, 0.5],
  saturation: [1, 0.5],
  hue: [10.1, 0.8],
  sigma: [2.6, 0.6],
  grayscale: [0.51, 0.3],
  solarise: [1e-3, 1e-3],
  "clip per operation": [2.6, 1],
  chain: [11, 2],
};

describe("colour augmentation", () => {
  const cases = loadColourCases();
  const small = cases.filter(({ size }) => size === 24);
  const run = (list: readonly ColourCase[]) =>
    augment(
      list.map(({ input }) => input),
      list,
    );

  before(() => tf.setBackend("cpu"));

  it("equals the formulas in float64, each image of a batch with its own operations and order", () => {
    for (const size of [24, 40]) {
      const list = cases.filter((c) => c.size === size);
      run(list).forEach((output, i) => {
        const { max } = difference(output, list[i]!.exact);
        assert.ok(max < 4e-3, `${list[i]!.name} ${i}: ${max} levels`);
      });
    }
  });

  it("equals PIL up to its rounding to 8 bits", () => {
    run(small).forEach((output, i) => {
      const { name, pil } = small[i]!;
      const { max, mean } = difference(output, pil);
      const [largest, average] = pilTolerance[name]!;
      assert.ok(max <= largest && mean <= average, `${name} ${i}: max ${max}, mean ${mean} levels`);
    });
  });

  it("is checked with the hue shift at each of its four places", () => {
    const places = cases.filter(({ name }) => name === "chain").map(({ order }) => order.indexOf("hue"));
    assert.deepEqual([...new Set(places)].sort(), [0, 1, 2, 3]);
  });

  it("clips after each operation, not once at the end", () => {
    const halves = (bright: number, dark: number) =>
      Float32Array.from({ length: 8 * 8 * 3 }, (_, i) => (i < 96 ? bright : dark));
    const [first, second] = augment(
      [halves(0.9, 0.1), halves(0.9, 0.1)],
      [
        { ...neutral, brightness: 2, contrast: 0.5 },
        { ...neutral, order: ["contrast", "brightness", "hue", "saturation"], brightness: 0.5, contrast: 2 },
      ],
    );
    // 1 and 0.2 after the brightness, mean 0.6; clipped at the end it would be 1 and 0.6
    assert.ok(difference(first!, halves(0.8, 0.4)).max < 1e-3);
    // 1 and 0 after the contrast; clipped at the end it would be 0.65 and 0
    assert.ok(difference(second!, halves(0.5, 0)).max < 1e-3);
  });

  it("computes each image as if it were alone", () => {
    const chosen = small.filter(({ name }) => name === "chain").slice(0, 4);
    const together = run(chosen);
    chosen.forEach((one, i) => assert.deepEqual(run([one])[0], together[i]));
  });

  it("leaves an image alone whose draw does nothing", () => {
    const { input } = small[small.length - 1]!;
    const [among] = augment([input, input], [neutral, small[0]!]);
    assert.ok(difference(among!, input).max < 1e-4);
  });

  it("returns the very same values without jitter", () => {
    const { input } = small[0]!;
    const [output] = augment([input], [neutral], { ...allStages, jitter: false });
    assert.deepEqual(output, input);
  });

  it("shifts hue by whole thirds as an exchange of channels", () => {
    const input = Float32Array.of(0.9, 0.3, 0.1, 0.2, 0.7, 0.7, 0.5, 0.5, 0.5, 0, 0, 0);
    const turned = Float32Array.of(0.1, 0.9, 0.3, 0.7, 0.2, 0.7, 0.5, 0.5, 0.5, 0, 0, 0);
    const [output] = augment([input], [{ ...neutral, hue: 1 / 3 }]);
    assert.ok(difference(output!, turned).max < 1e-3);
    const [back] = augment([turned], [{ ...neutral, hue: -1 / 3 }]);
    assert.ok(difference(back!, input).max < 1e-3);
  });

  it("inverts levels from 128 up, and only those", () => {
    const input = Float32Array.from({ length: 16 * 16 * 3 }, (_, i) => Math.floor(i / 3) / 255);
    const [output, untouched] = augment([input, input], [{ ...neutral, solarise: true }, neutral], {
      ...allStages,
      jitter: false,
    });
    const expected = input.map((x) => (Math.round(255 * x) >= 128 ? 1 - x : x));
    assert.ok(difference(output!, expected).max < 1e-4);
    assert.deepEqual(untouched, input);
  });

  it("leaves out the stages that no view of the group asks for", () => {
    const globals = colourStages([firstGlobalColour.parse({}), secondGlobalColour.parse({})]);
    assert.equal(globals.solarise, true);
    const locals = colourStages([localColour.parse({})]);
    assert.deepEqual(locals, { ...globals, solarise: false });
    const off = { jitter: { p: 0 }, grayscale: { p: 0 }, blur: { p: 0 } };
    const none = colourStages([localColour.parse(off)]);
    assert.deepEqual(none, { jitter: false, grayscale: false, maxBoxRadius: 0, solarise: false });

    const { input } = small[0]!;
    const everything = { ...small[small.length - 1]!, solarise: true };
    const [output] = augment([input], [everything], none);
    assert.deepEqual(output, input);
  });

  it("frees what it makes on the way", () => {
    const images = tf.zeros<tf.Rank.R4>([1, 8, 8, 3]);
    const params = tf.tensor2d(encodeColour({ ...neutral, sigma: 1 }), [1, ColourLayout.length]);
    const before = tf.memory().numTensors;
    const output = tf.tidy(() => applyColour(images, params, allStages));
    assert.equal(tf.memory().numTensors, before + 1);
    tf.dispose([images, params, output]);
  });
});
