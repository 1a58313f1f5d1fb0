/** Tokens, positions and the decoder of MAE against golden values, and by their properties. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { DecoderEmbed, PixelDecoder } from "../../../plugins/mae/decoder.ts";
import { normalisePatches, patchPixels, reconstructionLoss } from "../../../plugins/mae/loss.ts";
import { positionsInOrder, sinCosPositions } from "../../../plugins/mae/positions.ts";
import { keepPatches, keptPatches, tokensAt } from "../../../plugins/mae/tokens.ts";
import { assertClose, assertGradients, normal, useCpuBackend } from "../../core/math/numeric.ts";
import { distance } from "../../core/trainer/tiny.ts";
import { formula, golden, grid, images, KEPT, order, placesOf, sizes, VALUES } from "./golden.ts";

const { decoderDim, depth, inDim, numHeads } = sizes;
const PATCHES = grid.rows * grid.columns;
const dropped = PATCHES - KEPT;

describe("keptPatches", () => {
  it("is the whole part of what the ratio leaves", () => {
    const cases = [[196, 0.75, 49], [100, 0.9, 10], [9, 0.75, 2], [4, 0.8, 0], [4, 0.5, 2]] as const; // prettier-ignore
    for (const [patches, ratio, kept] of cases)
      assert.equal(keptPatches(patches, ratio), kept, `${patches}, ${ratio}`);
  });
});

describe("keepPatches", () => {
  useCpuBackend();

  for (const front of [0, 1, 3]) {
    it(`keeps ${front} tokens in front and the chosen patches in their order`, () => {
      const tokens = normal<tf.Rank.R3>("tokens", [2, front + PATCHES, 5]);
      const rows = tokens.arraySync() as number[][][];
      const want = order.map((places, r) => [
        ...rows[r]!.slice(0, front),
        ...places.slice(0, KEPT).map((place) => rows[r]![front + place]!),
      ]);
      assert.deepEqual(keepPatches(tokens, placesOf(0, KEPT), front).arraySync(), want);
    });
  }

  it("sends gradients to the kept patches alone", () => {
    const tokens = normal<tf.Rank.R3>("tokens", [2, 1 + PATCHES, 3]);
    assertGradients((x) => keepPatches(x as tf.Tensor3D, placesOf(0, KEPT), 1), [tokens]);
  });
});

describe("sinCosPositions", () => {
  useCpuBackend();

  it("has the golden values, which tell columns and rows apart", () => {
    assert.ok(distance(sinCosPositions(grid, decoderDim), golden.positions) < 1e-7, "off the golden values");
    const swapped = sinCosPositions({ rows: grid.columns, columns: grid.rows }, decoderDim);
    assert.ok(distance(swapped, golden.positions) > 0.1, "rows and columns are the same");
  });

  it("follows the patches, with none for the tokens in front", () => {
    const table = sinCosPositions(grid, decoderDim);
    const rowOf = (n: number) => [...table.subarray(n * decoderDim, (n + 1) * decoderDim)];
    const none = new Array<number>(decoderDim).fill(0);
    const want = order.map((places) => [none, none, ...places.map(rowOf)]);
    assert.deepEqual(positionsInOrder(table, placesOf(0), 2).arraySync(), want);
  });
});

describe("the decoder of mae", () => {
  useCpuBackend();

  const embed = new DecoderEmbed({ inDim, decoderDim, dropped });
  const decoder = new PixelDecoder({ decoderDim, depth, numHeads, dropped, outDim: VALUES });
  const specs = [...embed.parameters(), ...decoder.parameters()];

  const decode = (tokens: tf.Tensor3D, weights: ReadonlyMap<string, tf.Tensor>) => {
    const read = (name: string) => weights.get(name)!;
    const positions = positionsInOrder(sinCosPositions(grid, decoderDim), placesOf(0), 1);
    return decoder.forward(read, tf.add(embed.forward(read, tokens), positions));
  };
  const tokens = () => formula<tf.Rank.R3>("tokens", [sizes.images, 1 + KEPT, inDim]);
  const weights = () => specs.map(({ name, shape }) => formula(name, shape));
  const named = (values: readonly tf.Tensor[]) => new Map(specs.map(({ name }, i) => [name, values[i]!]));

  it("predicts the golden pixels of the dropped patches, whose order is not that of the reference", () => {
    const predicted = decode(tokens(), named(weights()));
    const want = tf.tensor3d([...golden.decoder.predicted], [sizes.images, dropped, VALUES]);
    assertClose(predicted, want, 1e-5);
  });

  it("has the golden gradients of every weight and of the encoder's tokens", () => {
    const target = normalisePatches(tokensAt(patchPixels(images(), sizes.patchSize), placesOf(KEPT)));
    const lossOf = (x: tf.Tensor, ...values: tf.Tensor[]) =>
      reconstructionLoss(decode(x as tf.Tensor3D, named(values)), target);
    const { value, grads } = tf.valueAndGrads(lossOf)([tokens(), ...weights()]);
    assertClose(value, tf.scalar(golden.decoder.loss[0]), 1e-5, "loss");
    const [ofTokens, ...ofWeights] = grads;
    assertClose(ofTokens!, tf.tensor3d([...golden.decoder.tokens], tokens().shape), 1e-4, "tokens");
    assert.deepEqual(specs.map(({ name }) => name).sort(), Object.keys(golden.decoder.parameters).sort());
    specs.forEach(({ name }, n) => {
      const gradient = ofWeights[n]!.dataSync<"float32">();
      const along = (wave: (i: number) => number) =>
        gradient.reduce((sum, value, i) => sum + value * wave(i), 0);
      const got = [along((i) => Math.cos(0.3 * i)), along((i) => Math.sin(1.1 * i))];
      const largest = Math.max(...gradient.map(Math.abs));
      const apart = distance(got, golden.decoder.parameters[name]!);
      assert.ok(apart < 1e-4 * largest, `${name} is off by ${apart}, of ${largest}`);
    });
  });

  it("is the student's alone, and its matrices start with the variance of the paper", () => {
    for (const { name, shape, init, studentOnly } of specs) {
      assert.equal(studentOnly, true, name);
      if (shape.length !== 2) continue;
      const bound = Math.sqrt(6 / (shape[0]! + shape[1]!));
      assert.deepEqual(init, { kind: "uniform", bound }, name);
    }
  });
});
