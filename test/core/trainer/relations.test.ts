/** The relation slot: what `crossView` gives against the same computed sample by sample in plain JavaScript. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { CrossView, Pass, RelationSink } from "../../../core/contexts.ts";
import type { ViewBatch } from "../../../core/data/pipeline.ts";
import type { Engine } from "../../../core/engine/engine.ts";
import { Random } from "../../../core/random.ts";
import { makeEngine } from "../../support/engines.ts";
import { at, coded, globalViews, localViews, outputsOf, plugin, tinyBatch, tinyTraining } from "./tiny.ts";

const BATCH = 2;
const WIDTH = 6;
/** Patches per side of the two view groups. */
const grids = { global: 2, local: 1 } as const;
type Group = keyof typeof grids;
const sides = { global: 4, local: 3 };

/** x, y, width, height, flip. */
type Rect = readonly [number, number, number, number, number];
/** Views by sample: overlapping, mirrored; then apart, and touching. */
const rects: Record<Group, readonly (readonly Rect[])[]> = {
  global: [
    [
      [10, 5, 40, 30, 0],
      [0, 0, 20, 20, 1],
    ],
    [
      [20, 10, 30, 40, 1],
      [30, 30, 20, 20, 0],
    ],
  ],
  local: [
    [
      [15, 10, 12, 12, 1],
      [20, 0, 10, 10, 0],
    ],
    [
      [2, 2, 9, 9, 0],
      [32, 31, 8, 12, 1],
    ],
  ],
};

/** A pass's features: random, but the same on both sides of the comparison. [count * B, N, WIDTH] */
function featuresOf(pass: string, group: Group): Float32Array {
  const random = new Random(1, "features", pass);
  return Float32Array.from({ length: 2 * BATCH * grids[group] ** 2 * WIDTH }, () => random.normal());
}

type Matrix = number[][];

/** Rows of one sample of one view. */
function sampleOf(pass: string, group: Group, view: number, sample: number): Matrix {
  const tokens = grids[group] ** 2;
  const first = (view * BATCH + sample) * tokens * WIDTH;
  const all = featuresOf(pass, group);
  return Array.from({ length: tokens }, (_, n) => [
    ...all.subarray(first + n * WIDTH, first + (n + 1) * WIDTH),
  ]);
}

/** The sample's features at the points that both crops see; zero where they see nothing in common. */
function alignedOf(features: Matrix, own: Rect, other: Rect, grid: number, side: number): Matrix {
  const low = [0, 1].map((i) => Math.max(own[i]!, other[i]!));
  const high = [0, 1].map((i) => Math.min(own[i]! + own[i + 2]!, other[i]! + other[i + 2]!));
  const points: Matrix = [];
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const point = new Array<number>(WIDTH).fill(0);
      if (low.every((value, i) => value < high[i]!)) {
        const [u, v] = [column, row].map(
          (step, i) => (low[i]! + (step / (side - 1)) * (high[i]! - low[i]!) - own[i]!) / own[i + 2]!,
        );
        const x = (own[4] === 1 ? 1 - u! : u!) * grid - 0.5;
        const y = v! * grid - 0.5;
        features.forEach((feature, n) => {
          const weight =
            Math.max(0, 1 - Math.abs(x - (n % grid))) * Math.max(0, 1 - Math.abs(y - Math.floor(n / grid)));
          feature.forEach((value, d) => (point[d]! += weight * value));
        });
      }
      points.push(point);
    }
  }
  return points;
}

const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, i) => sum + value * b[i]!, 0);
const columns = (matrix: Matrix): Matrix => matrix[0]!.map((_, d) => matrix.map((row) => row[d]!));
const gram = (rows: Matrix): Matrix => rows.map((a) => rows.map((b) => dot(a, b)));

/** mean((teacher - 2 student)^2): tells the two sides apart. */
const compare: Parameters<CrossView>[1] = (teacher, student) =>
  tf.mean(tf.square(tf.sub(teacher, tf.mul(student, 2))));
const compared = (teacher: Matrix, student: Matrix): number => {
  const squares = teacher.flatMap((row, i) => row.map((value, j) => (value - 2 * student[i]![j]!) ** 2));
  return squares.reduce((a, b) => a + b) / squares.length;
};

/** The mean over pairs and samples of `ofPair`, which is given every teacher view with every other student view. */
function directly(
  ofPair: (group: Group, teacherView: number, studentView: number, sample: number) => number,
): number {
  const values: number[] = [];
  for (const group of ["global", "local"] as const) {
    for (let t = 0; t < 2; t++) {
      for (let s = 0; s < 2; s++) {
        if (group === "global" && s === t) continue;
        for (let b = 0; b < BATCH; b++) values.push(ofPair(group, t, s, b));
      }
    }
  }
  return values.reduce((a, b) => a + b) / values.length;
}

/** A plugin that adds relations of the known features, and logs `crossView` of them. */
function relating(
  relate: (relations: RelationSink, features: tf.Tensor3D, pass: Pass) => void,
  options?: Parameters<CrossView>[2],
) {
  return plugin("relating", (hooks, name) => {
    hooks.setup.tap(name, (setup) => {
      const network = { teacher: setup.network("teacher"), student: setup.network("student") };
      const inputs = new Map(
        (["teacher/global", "student/global", "student/local"] as const).map((key) => {
          const [of, group] = key.split("/") as ["teacher" | "student", Group];
          const { key: found } = setup.pass({
            network: network[of],
            views: group,
            outputs: { patches: true },
          });
          assert.equal(found, key);
          const shape = [2 * BATCH, grids[group] ** 2, WIDTH];
          return [key as string, setup.input(key, { shape, sample: () => featuresOf(key, group) })] as const;
        }),
      );
      hooks.relation.tap(name, (relations, step) => {
        relate(relations, step.value(inputs.get(step.pass.key)!) as tf.Tensor3D, step.pass);
      });
      const one = setup.variable("one", [1], { kind: "ones" });
      hooks.loss.tap(name, (losses, { crossView, read }) => {
        losses.add(name, 1, tf.sum(read(one)));
        losses.metric("value", crossView("known", compare, options));
      });
    });
  });
}

function batchWithRects(training: Parameters<typeof tinyBatch>[0]): ViewBatch {
  const rows = (group: Group) =>
    [0, 1].flatMap((view) => rects[group].flatMap((sample) => [...sample[view]!]));
  const all = new Map(
    [...Object.keys(rects)].map((group) => [group, Float32Array.from(rows(group as Group))]),
  );
  return { ...tinyBatch(training), rects: all };
}

describe("crossView", () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await makeEngine("eager on cpu");
  });
  afterEach(() => engine.close());

  const views = [globalViews, localViews];

  async function valueOf(...given: Parameters<typeof relating>): Promise<number> {
    const training = await tinyTraining(engine, [relating(...given)], { views });
    const { scalars } = await training.step("train", batchWithRects(training), at(0));
    return scalars["metric/relating.value"]!;
  }

  const close = (got: number, want: number) =>
    assert.ok(Math.abs(got - want) <= 2e-5 * Math.abs(want), `${got}, ${want}`);

  it("compares token relations on the points that both views see, also of views that share none", async () => {
    const got = await valueOf(
      (relations, features) => relations.addBilinear("known", features, { axis: "token", scale: 0.5 }),
      { overlapSide: sides },
    );
    const relationOf = (rows: Matrix) => gram(rows).map((row) => row.map((value) => 0.5 * value));
    const want = directly((group, t, s, b) => {
      const [own, other] = [rects.global[b]![t]!, rects[group][b]![s]!];
      const side = sides[group];
      const teacher = alignedOf(sampleOf("teacher/global", "global", t, b), own, other, grids.global, side);
      const student = alignedOf(sampleOf(`student/${group}`, group, s, b), other, own, grids[group], side);
      return compared(relationOf(teacher), relationOf(student));
    });
    close(got, want);
  });

  it("gives a view pair that shares nothing relations of zero", async () => {
    const pairs = directly((group, t, s, b) => {
      const [own, other] = [rects.global[b]![t]!, rects[group][b]![s]!];
      const points = alignedOf(sampleOf("teacher/global", "global", t, b), own, other, grids.global, 3);
      return points.flat().every((value) => value === 0) ? 1 : 0;
    });
    assert.ok(pairs > 0.2 && pairs < 0.8, "some of the pairs above are disjoint, and some are not");
  });

  it("splits features into heads", async () => {
    const got = await valueOf(
      (relations, features) => relations.addBilinear("known", features, { axis: "token", heads: 2 }),
      { overlapSide: sides },
    );
    const headOf = (rows: Matrix, head: number) => rows.map((row) => row.slice(3 * head, 3 * head + 3));
    const want = directly((group, t, s, b) => {
      const [own, other] = [rects.global[b]![t]!, rects[group][b]![s]!];
      const teacher = alignedOf(
        sampleOf("teacher/global", "global", t, b),
        own,
        other,
        grids.global,
        sides[group],
      );
      const student = alignedOf(
        sampleOf(`student/${group}`, group, s, b),
        other,
        own,
        grids[group],
        sides[group],
      );
      const ofHead = (head: number) => compared(gram(headOf(teacher, head)), gram(headOf(student, head)));
      return (ofHead(0) + ofHead(1)) / 2;
    });
    close(got, want);
  });

  it("compares channel relations unaligned", async () => {
    const got = await valueOf((relations, features) =>
      relations.addBilinear("known", features, { axis: "channel", scale: 2 }),
    );
    const relationOf = (rows: Matrix) => gram(columns(rows)).map((row) => row.map((value) => 2 * value));
    const want = directly((group, t, s, b) =>
      compared(
        relationOf(sampleOf("teacher/global", "global", t, b)),
        relationOf(sampleOf(`student/${group}`, group, s, b)),
      ),
    );
    close(got, want);
  });

  it("compares any other matrix as it is", async () => {
    const got = await valueOf((relations, features) => relations.add("known", tf.mean(features, 1)));
    const want = directly((group, t, s, b) => {
      const meanOf = (rows: Matrix): Matrix => [
        columns(rows).map((c) => c.reduce((x, y) => x + y) / c.length),
      ];
      return compared(
        meanOf(sampleOf("teacher/global", "global", t, b)),
        meanOf(sampleOf(`student/${group}`, group, s, b)),
      );
    });
    close(got, want);
  });

  it("samples 13 points per side of two global views and 6 of a global and a local one by itself", async () => {
    const shapes = new Set<string>();
    const watches = plugin("watches", (hooks, name) => {
      hooks.relation.tap(name, (relations, { patchTokens }) =>
        relations.addBilinear("own", patchTokens, { axis: "token" }),
      );
      hooks.loss.tap(name, (losses, { crossView }) => {
        const loss = crossView("own", (teacher, student, pairs) => {
          assert.deepEqual(teacher.shape, student.shape);
          shapes.add(student.shape.join("x"));
          return compare(teacher, student, pairs);
        });
        losses.add(name, 1, loss);
      });
    });
    // Nobody asked for a pass: relations bring their own.
    const training = await tinyTraining(engine, [watches], { views });
    const outputs = await outputsOf(training);
    assert.deepEqual([...shapes], ["4x1x169x169", "8x1x36x36"]);
    assert.deepEqual(
      [...training.declarations.passes.keys()],
      ["teacher/global", "student/global", "student/local"],
    );
    const gradient = outputs["gradient/backbone.blocks.0.attn.qkv.weight"] as Float32Array;
    assert.ok(gradient.some((value) => value !== 0) && gradient.every(Number.isFinite));
  });

  it("refuses a relation that nobody adds, one that is added twice, and a single view", async () => {
    const bad = (relate: (relations: RelationSink, tokens: tf.Tensor3D) => void) =>
      plugin("bad", (hooks, name) => {
        hooks.relation.tap(name, (relations, { patchTokens }) => relate(relations, patchTokens));
        hooks.loss.tap(name, (losses, { crossView }) => losses.add(name, 1, crossView("known", compare)));
      });
    const fails = async (
      relate: Parameters<typeof bad>[0],
      expected: ReturnType<typeof coded>,
      count = 2,
    ) => {
      const own = await makeEngine("eager on cpu");
      const training = await tinyTraining(own, [bad(relate)], { views: [{ ...globalViews, count }] });
      await assert.rejects(training.step("train", tinyBatch(training), at(0)), expected);
      own.close();
    };
    const add = (name: string) => (relations: RelationSink, tokens: tf.Tensor3D) =>
      relations.addBilinear(name, tokens, { axis: "token" });
    await fails(add("other"), coded("RELATION_MISSING", '"bad"', '"known"', "other"));
    await fails(
      (relations, tokens) => [0, 1].forEach(() => add("known")(relations, tokens)),
      coded("DECLARED_TWICE", '"known"'),
    );
    await fails(add("known"), coded("NO_VIEW_PAIRS", '"bad"', '"global"'), 1);
  });
});
