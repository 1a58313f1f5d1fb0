import assert from "node:assert/strict";
import { fewShot, fewShotClasses, type FewShotOptions } from "../../../core/eval/few-shot.ts";
import { Random } from "../../../core/random.ts";
import { coded } from "../trainer/tiny.ts";

/** Features of `classes` directions, each with noise. */
function noisy(count: number, classes: number, noise: number, seed: number) {
  const random = new Random(seed, "noisy");
  const labels = Int32Array.from({ length: count }, (_, i) => i % classes);
  const data = Float32Array.from(
    { length: count * classes },
    (_, i) => Number(labels[Math.floor(i / classes)] === i % classes) + noise * random.normal(),
  );
  return { features: { data, count, dim: classes }, labels };
}

function options(noise: number, changes: Partial<FewShotOptions> = {}): FewShotOptions {
  const [support, queries] = [noisy(60, 6, noise, 1), noisy(48, 6, noise, 2)];
  return {
    support: support.features,
    supportLabels: support.labels,
    queries: queries.features,
    queryLabels: queries.labels,
    numClasses: 6,
    ways: 4,
    shots: 2,
    queriesPerClass: 5,
    episodes: 200,
    seed: 0,
    ...changes,
  };
}

describe("fewShot", () => {
  it("is right where classes lie apart, and by chance where they do not", () => {
    assert.equal(fewShot(options(0.01)).accuracy, 1);
    const { accuracy, interval } = fewShot(options(100, { episodes: 600 }));
    assert.ok(Math.abs(accuracy - 0.25) < 3 * interval, `${accuracy} +- ${interval}`);
  });

  it("learns more of more shots, and is less right among more ways", () => {
    const { accuracy } = fewShot(options(0.7));
    assert.ok(fewShot(options(0.7, { shots: 8 })).accuracy > accuracy + 0.05);
    assert.ok(fewShot(options(0.7, { ways: 6 })).accuracy < accuracy - 0.03);
  });

  it("gives the interval that means of other episodes keep to", () => {
    const { interval, accuracies } = fewShot(options(0.7, { episodes: 400 }));
    const others = Array.from({ length: 40 }, (_, seed) =>
      fewShot(options(0.7, { episodes: 400, seed: seed + 1 })),
    );
    const mean = others.reduce((sum, { accuracy }) => sum + accuracy, 0) / others.length;
    const inside = others.filter(({ accuracy }) => Math.abs(accuracy - mean) <= interval).length;
    assert.ok(inside >= 34 && inside <= 40, `${inside} of 40 in the 95 % interval`);
    assert.equal(accuracies.length, 400);
  });

  it("draws an episode by the seed and its number alone", () => {
    const few = fewShot(options(0.7, { episodes: 10 })).accuracies;
    const many = fewShot(options(0.7, { episodes: 20 })).accuracies;
    assert.deepEqual(many.subarray(0, 10), few);
    assert.notDeepEqual(fewShot(options(0.7, { episodes: 10, seed: 1 })).accuracies, few);
  });

  it("does not see how long features are", () => {
    const given = options(0.7);
    const { data, count, dim } = given.queries;
    const longer = { data: data.map((x, i) => x * (1 + Math.floor(i / dim))), count, dim };
    assert.deepEqual(fewShot({ ...given, queries: longer }).accuracies, fewShot(given).accuracies);
  });

  it("leaves out classes with too few images, and refuses more ways than are left", () => {
    const given = { supportLabels: [0, 0, 1, 1, 2, 3, 3], queryLabels: [0, 1, 2], numClasses: 4, shots: 2 };
    assert.deepEqual(fewShotClasses(given), [0, 1]);
    assert.throws(() => fewShot(options(1, { ways: 7 })), coded("EVAL_INVALID", "7 ways, and 6 classes"));
    assert.throws(() => fewShot(options(1, { shots: 11 })), coded("EVAL_INVALID", "0 classes with 11"));
    assert.throws(() => fewShot(options(1, { episodes: 1 })), coded("EVAL_INVALID", "1 episodes"));
  });
});
