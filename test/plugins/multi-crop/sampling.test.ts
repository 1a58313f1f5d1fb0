import assert from "node:assert/strict";
import { Random } from "../../../core/random.ts";
import {
  boxRadius,
  ColourLayout,
  drawColour,
  encodeColour,
  firstGlobalColour,
  localColour,
  sampleColour,
  secondGlobalColour,
  type ColourDraw,
  type ColourSpec,
} from "../../../plugins/multi-crop/sampling.ts";
import { neutral } from "./colour-fixture.ts";

const DRAWS = 24_000;

function draws(spec: ColourSpec): ColourDraw[] {
  return Array.from({ length: DRAWS }, (_, sample) => drawColour(new Random(7, "colour", sample), spec));
}

/** Four standard errors of a proportion. */
function assertProportion(count: number, total: number, p: number): void {
  const tolerance = 4 * Math.sqrt((p * (1 - p)) / total) + 1e-12;
  assert.ok(Math.abs(count / total - p) <= tolerance, `${count / total}, not ${p} +- ${tolerance}`);
}

/** The values fill [low, high) evenly. */
function assertUniform(values: readonly number[], low: number, high: number): void {
  const bins = new Array<number>(8).fill(0);
  for (const value of values) {
    assert.ok(value >= low && value < high, `${value} outside [${low}, ${high})`);
    bins[Math.floor((8 * (value - low)) / (high - low))]!++;
  }
  for (const count of bins) assertProportion(count, values.length, 1 / 8);
}

describe("colour sampling", () => {
  it("has the published defaults for each view", () => {
    const [first, second, local] = [firstGlobalColour, secondGlobalColour, localColour].map((s) =>
      s.parse({}),
    );
    const jitter = { p: 0.8, brightness: 0.4, contrast: 0.4, saturation: 0.2, hue: 0.1 };
    const common = { jitter, grayscale: { p: 0.2 } };
    assert.deepEqual(first, { ...common, blur: { p: 1, sigma: [0.1, 2] }, solarise: { p: 0 } });
    assert.deepEqual(second, { ...common, blur: { p: 0.1, sigma: [0.1, 2] }, solarise: { p: 0.2 } });
    assert.deepEqual(local, { ...common, blur: { p: 0.5, sigma: [0.1, 2] }, solarise: { p: 0 } });
  });

  it("keeps the other defaults of a view when one is set", () => {
    const spec = secondGlobalColour.parse({ blur: { sigma: [0, 1] }, jitter: { hue: 0 } });
    assert.deepEqual(spec.blur, { p: 0.1, sigma: [0, 1] });
    assert.equal(spec.jitter.brightness, 0.4);
    assert.equal(spec.solarise.p, 0.2);
  });

  it("refuses what cannot be", () => {
    const refused = [
      { jitter: { p: 1.5 } },
      { jitter: { brightness: -0.1 } },
      { jitter: { hue: 0.4 } },
      { blur: { sigma: [2, 1] } },
      { blur: { sigma: [-1, 1] } },
      { solarize: { p: 0.2 } },
    ];
    for (const options of refused) assert.equal(localColour.safeParse(options).success, false);
  });

  it("draws with the given probabilities and ranges", () => {
    const spec = secondGlobalColour.parse({ blur: { p: 0.3 } });
    const all = draws(spec);
    const jittered = all.filter(({ brightness }) => brightness !== 1);
    assertProportion(jittered.length, DRAWS, 0.8);
    assertUniform(
      jittered.map(({ brightness }) => brightness),
      0.6,
      1.4,
    );
    assertUniform(
      jittered.map(({ contrast }) => contrast),
      0.6,
      1.4,
    );
    assertUniform(
      jittered.map(({ saturation }) => saturation),
      0.8,
      1.2,
    );
    assertUniform(
      jittered.map(({ hue }) => hue),
      -0.1,
      0.1,
    );
    const still = all.filter(({ brightness }) => brightness === 1);
    assert.ok(
      still.every(({ contrast, saturation, hue }) => contrast === 1 && saturation === 1 && hue === 0),
    );

    assertProportion(all.filter(({ grayscale }) => grayscale).length, DRAWS, 0.2);
    assertProportion(all.filter(({ solarise }) => solarise).length, DRAWS, 0.2);
    const blurred = all.filter(({ sigma }) => sigma > 0);
    assertProportion(blurred.length, DRAWS, 0.3);
    assertUniform(
      blurred.map(({ sigma }) => sigma),
      0.1,
      2,
    );
  });

  it("draws the events independently", () => {
    const all = draws(secondGlobalColour.parse({ blur: { p: 0.5 } }));
    const both = (a: (d: ColourDraw) => boolean, b: (d: ColourDraw) => boolean) =>
      all.filter((d) => a(d) && b(d)).length;
    const jittered = (d: ColourDraw) => d.brightness !== 1;
    assertProportion(
      both(jittered, (d) => d.grayscale),
      DRAWS,
      0.8 * 0.2,
    );
    assertProportion(
      both(
        (d) => d.sigma > 0,
        (d) => d.solarise,
      ),
      DRAWS,
      0.5 * 0.2,
    );
    assertProportion(
      both(
        (d) => d.brightness > 1,
        (d) => d.contrast > 1,
      ),
      DRAWS,
      0.8 / 4,
    );
  });

  it("draws each of the 24 orders equally often", () => {
    const counts = new Map<string, number>();
    for (const { order } of draws(localColour.parse({}))) {
      counts.set(order.join(), (counts.get(order.join()) ?? 0) + 1);
    }
    assert.equal(counts.size, 24);
    for (const count of counts.values()) assertProportion(count, DRAWS, 1 / 24);
  });

  it("does not draw a negative factor", () => {
    const spec = localColour.parse({ jitter: { p: 1, contrast: 1.5 } });
    assertUniform(
      draws(spec).map(({ contrast }) => contrast),
      0,
      2.5,
    );
  });

  it("moves no other draw when an option changes", () => {
    const one = drawColour(new Random(1, "colour"), localColour.parse({ jitter: { p: 1 }, blur: { p: 1 } }));
    const two = drawColour(new Random(1, "colour"), localColour.parse({ jitter: { p: 0 }, blur: { p: 1 } }));
    assert.equal(one.sigma, two.sigma);
    assert.equal(one.grayscale, two.grayscale);
    assert.notEqual(one.brightness, two.brightness);
  });

  it("gives one image the same row each time", () => {
    const spec = firstGlobalColour.parse({});
    const row = () => sampleColour(new Random(3, "colour", 5), spec);
    assert.equal(row().length, ColourLayout.length);
    assert.deepEqual(row(), row());
    assert.notDeepEqual(row(), sampleColour(new Random(3, "colour", 6), spec));
  });

  it("encodes the blends on either side of the hue shift in their order", () => {
    const row = encodeColour({
      ...neutral,
      order: ["saturation", "hue", "contrast", "brightness"],
      brightness: 1.25,
      contrast: 0.75,
      saturation: 1.5,
      hue: 0.0625,
      grayscale: true,
      sigma: 1,
      solarise: true,
    });
    const nothing = [1, 0, 0];
    const before = [1.5, -0.5, 0, ...nothing, ...nothing];
    const after = [0.75, 0, 0.25, 1.25, 0, 0, ...nothing];
    assert.deepEqual(Array.from(row), [...before, 0.0625, ...after, 1, boxRadius(1), 1]);
    assert.equal(boxRadius(1), 0.25);
  });
});
