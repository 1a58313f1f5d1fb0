/** The targets against golden values, and by their properties. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { sinkhornKnopp } from "../../../plugins/sinkhorn-knopp/sinkhorn.ts";
import { assertClose, normal, useCpuBackend } from "../../core/math/numeric.ts";

interface Golden {
  readonly rows: number;
  readonly prototypes: number;
  readonly cases: readonly {
    readonly scale: number;
    readonly temperature: number;
    readonly iterations: number;
    readonly used: readonly number[];
    /** By row, of those that are used. */
    readonly targets: Readonly<Record<string, readonly number[]>>;
  }[];
}

/** Made by reference.py. */
const golden = JSON.parse(readFileSync(new URL("golden.json", import.meta.url), "utf8")) as Golden;

type Gather = <T extends tf.Tensor>(x: T) => T;
const alone: Gather = (x) => x;

describe("sinkhornKnopp", () => {
  useCpuBackend();

  const assign = (
    logits: tf.Tensor2D,
    {
      temperature = 0.1,
      iterations = 3,
      used,
      gather = alone,
    }: { temperature?: number; iterations?: number; used?: readonly number[]; gather?: Gather } = {},
  ) =>
    sinkhornKnopp({
      logits,
      temperature: tf.scalar(temperature),
      used: used && tf.tensor1d([...used]),
      iterations,
      batch: { gather },
    });
  const rowSums = (q: tf.Tensor2D) => tf.sum(q, 1);

  for (const { scale, temperature, iterations, used, targets } of golden.cases) {
    it(`has the golden values at temperature ${temperature}, ${iterations} iterations, rows ${used.join("")}`, () => {
      const logits = tf.tensor2d(
        Array.from({ length: golden.rows }, (_, r) =>
          Array.from(
            { length: golden.prototypes },
            (_, k) => scale * (Math.sin(1.3 * r + 0.7 * k) + 0.5 * Math.cos(2.9 * r * k)),
          ),
        ),
      );
      const got = assign(logits, { temperature, iterations, used });
      const rows = Object.keys(targets).map(Number);
      const own = tf.gather(got, tf.tensor1d(rows, "int32"));
      assertClose(own, tf.tensor2d(rows.map((r) => [...targets[r]!])), 2e-6);
      assertClose(rowSums(got), tf.ones([golden.rows]), 1e-6, "sums of all rows");
    });
  }

  it("uses all prototypes alike after many iterations", () => {
    const logits = normal<tf.Rank.R2>("logits", [12, 5]);
    const shares = (iterations: number) => tf.sum(assign(logits, { temperature: 0.5, iterations }), 0);
    const apart = (iterations: number) => tf.max(tf.abs(tf.sub(shares(iterations), 12 / 5))).dataSync()[0]!;
    assert.ok(apart(1) > 1e-2, `one iteration is off by ${apart(1)}`);
    assert.ok(apart(3) < apart(1) / 2, `three are off by ${apart(3)}`);
    assert.ok(apart(200) < 5e-5, `many are off by ${apart(200)}`);
  });

  it("is the softmax where all prototypes get as much already", () => {
    const [row] = normal("row", [1, 6]).arraySync() as number[][];
    const circulant = tf.tensor2d(row!.map((_, r) => row!.map((_, k) => row![(k + r) % 6]!)));
    assertClose(assign(circulant), tf.softmax(tf.div(circulant, 0.1)), 1e-5);
  });

  it("takes no notice of what is added to a prototype's logits, as a center does not", () => {
    const logits = normal<tf.Rank.R2>("logits", [7, 5]);
    const shifted = tf.add(logits, normal("shift", [1, 5], 3)) as tf.Tensor2D;
    assertClose(assign(shifted), assign(logits), 1e-4);
  });

  it("is finite for logits of any size, and still uses prototypes that no row is near", () => {
    const logits = tf.mul(normal("logits", [6, 4]), 1000) as tf.Tensor2D;
    const favoured = tf.add(logits, tf.tensor2d([[1e5, 0, 0, -1e5]])) as tf.Tensor2D;
    const targets = assign(favoured, { temperature: 0.04 });
    assertClose(rowSums(targets), tf.ones([6]), 1e-6);
    const shares = tf.sum(targets, 0).dataSync();
    assert.ok(Math.min(...shares) > 0.5, `the prototypes get ${shares.join(" ")}`);
  });

  it("does not count unused rows, whatever is in them, and is finite where all are unused", () => {
    const logits = normal<tf.Rank.R2>("logits", [5, 4]);
    const padding = tf.mul(normal("padding", [3, 4]), 50) as tf.Tensor2D;
    const padded = tf.concat([logits, padding]);
    const used = [1, 1, 1, 1, 1, 0, 0, 0];
    assertClose(tf.slice(assign(padded, { used }), [0, 0], [5, 4]), assign(logits), 1e-6);
    assertClose(assign(logits, { used: [0, 0, 0, 0, 0] }), tf.fill([5, 4], 1 / 4), 1e-6);
  });

  it("gives two processes, one with fewer rows and one with none, what one gets with all rows", () => {
    const logits = normal<tf.Rank.R2>("logits", [6, 4]);
    for (const used of [
      [1, 1, 1, 1, 0, 1],
      [0, 0, 0, 1, 1, 1],
    ]) {
      // prettier-ignore
      const halves = tf.split(logits, 2) as [tf.Tensor2D, tf.Tensor2D];
      const own = [used.slice(0, 3), used.slice(3)];
      const got = onTwoProcesses((process, gather) =>
        assign(halves[process]!, { used: own[process], gather }),
      );
      assertClose(tf.concat(got), assign(logits, { used }), 1e-5, used.join(""));
    }
  });

  it("has no gradient", () => {
    const sum = (x: tf.Tensor) => tf.sum(tf.square(assign(x as tf.Tensor2D)));
    assert.throws(() => tf.grad(sum)(normal("logits", [3, 4])), /gradient/);
  });
});

/**
 * Runs both processes, in which what `gather` gives depends on what the other has given before: again and again, with
 * one more call right each time.
 */
function onTwoProcesses(run: (process: 0 | 1, gather: Gather) => tf.Tensor2D): tf.Tensor2D[] {
  let known: tf.Tensor[][] = [[], []];
  for (;;) {
    const given: tf.Tensor[][] = [[], []];
    const results = ([0, 1] as const).map((process) =>
      run(process, <T extends tf.Tensor>(x: T) => {
        const call = given[process]!.push(x) - 1;
        const other = known[1 - process]![call] ?? x;
        return tf.concat(process === 0 ? [x, other] : [other, x]) as T;
      }),
    );
    const settled = given.every((calls, process) =>
      calls.every((x, call) => {
        const before = known[process]![call];
        return before !== undefined && tf.equal(x, before).dataSync().every(Boolean);
      }),
    );
    if (settled) return results;
    known = given;
  }
}
