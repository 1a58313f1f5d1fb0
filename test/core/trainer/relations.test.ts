/** The relation slot: what `crossView` gives against the same computed sample by sample in plain JavaScript. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { CrossView, Pass, RelationSink, SetupContext } from "../../../core/contexts.ts";
import type { ViewBatch } from "../../../core/data/pipeline.ts";
import type { Engine } from "../../../core/engine/engine.ts";
import type { PluginUse } from "../../../core/plugin.ts";
import { Random } from "../../../core/random.ts";
import { makeEngine } from "../../support/engines.ts";
import {
  at,
  coded,
  declares,
  globalViews,
  localViews,
  outputsOf,
  plugin,
  tinyBatch,
  tinyTraining,
} from "./tiny.ts";

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
type Compare = Parameters<CrossView>[1];

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
const compare: Compare = (teacher, student) => tf.mean(tf.square(tf.sub(teacher, tf.mul(student, 2))));
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

function input(setup: SetupContext, pass: string, group: Group) {
  const shape = [2 * BATCH, grids[group] ** 2, WIDTH];
  return [pass, setup.input(pass, { shape, sample: () => featuresOf(pass, group) })] as const;
}

/** A plugin that adds relations of the known features, and logs `crossView` of them. */
function relating(
  relate: (relations: RelationSink, features: tf.Tensor3D, pass: Pass) => void,
  options?: Parameters<CrossView>[2],
  {
    comparison = compare,
    more = () => [],
  }: { comparison?: Compare; more?: (setup: SetupContext) => readonly Pass[] } = {},
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
          return input(setup, key, group);
        }),
      );
      for (const { key, views } of more(setup)) inputs.set(...input(setup, key, views.group as Group));
      hooks.relation.tap(name, (relations, step) => {
        relate(relations, step.value(inputs.get(step.pass.key)!) as tf.Tensor3D, step.pass);
      });
      const one = setup.variable("one", [1], { kind: "ones" });
      hooks.loss.tap(name, (losses, { crossView, read }) => {
        losses.add(name, 1, tf.sum(read(one)));
        losses.metric("value", crossView("known", comparison, options));
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
    const own = await makeEngine("eager on cpu");
    const training = await tinyTraining(own, [relating(...given)], { views });
    const { scalars } = await training.step("train", batchWithRects(training), at(0));
    own.close();
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

  const tokens = (relations: RelationSink, features: tf.Tensor3D) =>
    relations.addBilinear("known", features, { axis: "token" });

  it("samples what is the same everywhere as the same on all of an overlap, with padding border", async () => {
    const flat = (relations: RelationSink, features: tf.Tensor3D) => tokens(relations, tf.onesLike(features));
    const perPair: Compare = (teacher, student) =>
      tf.mean(tf.add(tf.abs(tf.sub(teacher, WIDTH)), tf.abs(tf.sub(student, WIDTH))), [1, 2, 3]);
    const options = { overlapSide: sides, disjoint: "skip" } as const;
    const apart = (padding: "zeros" | "border") =>
      valueOf(flat, { ...options, padding }, { comparison: perPair });
    const [zeros, border] = [await apart("zeros"), await apart("border")];
    assert.ok(border < 1e-5, `every product is ${WIDTH}: ${border}`);
    assert.ok(zeros > 0.1, `points at the crops' edges are dimmed: ${zeros}`);
  });
  const channels = (relations: RelationSink, features: tf.Tensor3D) =>
    relations.addBilinear("known", features, { axis: "channel" });
  const rowMeans = (relations: RelationSink, features: tf.Tensor3D) =>
    relations.add("known", tf.mean(features, 1));

  /** The aligned token relations of a pair, and whether its crops overlap. */
  const pairOf = (group: Group, t: number, s: number, b: number, teacherPass = "teacher/global") => {
    const [own, other] = [rects.global[b]![t]!, rects[group][b]![s]!];
    const side = sides[group];
    const teacher = alignedOf(sampleOf(teacherPass, "global", t, b), own, other, grids.global, side);
    const student = alignedOf(sampleOf(`student/${group}`, group, s, b), other, own, grids[group], side);
    const overlap = [0, 1].every(
      (i) => Math.max(own[i]!, other[i]!) < Math.min(own[i]! + own[i + 2]!, other[i]! + other[i + 2]!),
    );
    return { teacher: gram(teacher), student: gram(student), overlap };
  };

  /** `compare` for each matrix, and for each of its rows. */
  const perMatrix: Compare = (teacher, student) =>
    tf.mean(tf.square(tf.sub(teacher, tf.mul(student, 2))), [1, 2, 3]);
  const perRow: Compare = (teacher, student) =>
    tf.reshape(tf.mean(tf.square(tf.sub(teacher, tf.mul(student, 2))), -1), [-1]);

  it("makes the target of each teacher relation before it is compared", async () => {
    const target = (teacher: tf.Tensor) => tf.add(teacher, 3);
    const aligned = await valueOf(tokens, { overlapSide: sides, target });
    const want = directly((group, t, s, b) => {
      const { teacher, student } = pairOf(group, t, s, b);
      return compared(
        teacher.map((row) => row.map((value) => value + 3)),
        student,
      );
    });
    close(aligned, want);
    const shifted: Compare = (teacher, student, pairs) => compare(target(teacher), student, pairs);
    for (const relate of [channels, rowMeans]) {
      close(await valueOf(relate, { target }), await valueOf(relate, {}, { comparison: shifted }));
    }
  });

  it("may average unaligned targets of one view first, where the comparison is linear in them", async () => {
    let calls = 0;
    const linear: Compare = (teacher, student) => {
      calls++;
      return tf.mean(tf.mul(teacher, tf.sin(student)));
    };
    const perSample: Compare = (teacher, student) =>
      tf.mean(tf.reshape(tf.mul(teacher, tf.sin(student)), [BATCH, -1]), 1);
    const target = (teacher: tf.Tensor) => tf.softmax(teacher);
    const callsOf = async (options: object, comparison: Compare, relate = channels) => {
      calls = 0;
      const value = await valueOf(relate, { target, ...options }, { comparison });
      return { value, calls };
    };
    for (const relate of [channels, rowMeans]) {
      const apart = await callsOf({}, linear, relate);
      const merged = await callsOf({ linear: true }, linear, relate);
      close(merged.value, apart.value);
      // Either global view has one teacher, the other one; both local views have two.
      assert.deepEqual([apart.calls, merged.calls], [6, 4]);
      const skipped = await callsOf({ linear: true, disjoint: "skip" }, perSample, relate);
      close(skipped.value, apart.value);
    }
  });

  it("leaves pairs of crops without an overlap out of the mean if told so", async () => {
    const values: number[] = [];
    directly((group, t, s, b) => {
      const { teacher, student, overlap } = pairOf(group, t, s, b);
      if (overlap) values.push(compared(teacher, student));
      return 0;
    });
    assert.ok(values.length > 2 && values.length < 12);
    const want = values.reduce((a, b) => a + b) / values.length;
    for (const comparison of [perMatrix, perRow]) {
      close(await valueOf(tokens, { overlapSide: sides, disjoint: "skip" }, { comparison }), want);
      const all = directly((group, t, s, b) => {
        const { teacher, student } = pairOf(group, t, s, b);
        return compared(teacher, student);
      });
      close(await valueOf(tokens, { overlapSide: sides, disjoint: "count" }, { comparison }), all);
    }
  });

  it("gives 0 where no pair overlaps and such pairs are left out", async () => {
    const own = await makeEngine("eager on cpu");
    const options = { overlapSide: sides, disjoint: "skip" } as const;
    const use = relating(tokens, options, { comparison: (t, s, p) => tf.add(perMatrix(t, s, p), 5) });
    const training = await tinyTraining(own, [use], { views });
    const apart = (count: number) =>
      Float32Array.from({ length: 5 * count }, (_, i) => (i % 5 < 2 ? 20 * i : i % 5 < 4 ? 5 : 0));
    const batch = { ...tinyBatch(training), rects: new Map([["global", apart(4)], ["local", apart(8).subarray(20)]]) }; // prettier-ignore
    const { scalars } = await training.step("train", batch, at(0));
    assert.equal(scalars["metric/relating.value"], 0);
    own.close();
  });

  it("tells comparisons which pairs overlap, of aligned relations alone", async () => {
    const told: (number | undefined)[] = [];
    const comparison: Compare = (teacher, student, pairs) => {
      assert.equal(pairs.teacher.key, "teacher/global");
      told.push(pairs.overlaps?.size);
      return compare(teacher, student, pairs);
    };
    await valueOf(tokens, { overlapSide: sides }, { comparison });
    assert.deepEqual(told, [2 * BATCH, 4 * BATCH]);
    await valueOf(channels, {}, { comparison });
    assert.ok(told.slice(2).every((size) => size === undefined));
  });

  it("refuses a comparison that gives a wrong number of values, or their mean where some do not count", async () => {
    const refused = async (comparison: Compare, disjoint: "count" | "skip", ...words: string[]) => {
      for (const relate of [tokens, channels]) {
        const own = await makeEngine("eager on cpu");
        const use = relating(relate, { disjoint }, { comparison });
        const training = await tinyTraining(own, [use], { views });
        const step = training.step("train", batchWithRects(training), at(0));
        await assert.rejects(step, coded("RELATION_COMPARISON", '"relating"', '"known"', ...words));
        own.close();
      }
    };
    for (const disjoint of ["count", "skip"] as const)
      await refused(() => tf.zeros([5]), disjoint, "returns [5]");
    await refused(compare, "skip", "returns []");
  });

  it("compares the teacher's relations alone, whoever else follows, or those of the network it is told", async () => {
    const gramNetwork = (setup: SetupContext) => [
      setup.pass({
        network: setup.network("gram", { from: "teacher", update: "frozen" }),
        views: "global",
        outputs: { patches: true },
      }),
    ];
    for (const relate of [tokens, channels]) {
      const options = { overlapSide: sides };
      const alone = await valueOf(relate, options);
      const beside = await valueOf(relate, options, { more: gramNetwork });
      assert.equal(beside, alone);
      const taught = await valueOf(relate, { ...options, teacher: "gram" }, { more: gramNetwork });
      assert.ok(Math.abs(taught - alone) > 1e-3 * alone);
    }
    const got = await valueOf(tokens, { overlapSide: sides, teacher: "gram" }, { more: gramNetwork });
    const want = directly((group, t, s, b) => {
      const { teacher, student } = pairOf(group, t, s, b, "gram/global");
      return compared(teacher, student);
    });
    close(got, want);
  });

  it("takes no notice of what other plugins ask the teacher for", async () => {
    const asks = declares("asks", (setup) => {
      setup.pass({ network: setup.network("teacher"), views: "local", outputs: { patches: true } });
    });
    const adds = plugin("adds", (hooks, name) => {
      hooks.relation.tap(name, (relations, { patchTokens }) =>
        relations.addBilinear(name, patchTokens, { axis: "token" }),
      );
      hooks.loss.tap(name, (losses, { crossView }) => losses.add(name, 1, crossView(name, compare)));
    });
    const lossOf = async (...plugins: PluginUse[]) => {
      const own = await makeEngine("eager on cpu");
      const outputs = await outputsOf(await tinyTraining(own, plugins, { views }));
      own.close();
      return outputs["loss/adds"]![0]!;
    };
    assert.ok(Math.abs((await lossOf(adds, asks)) - (await lossOf(adds))) < 1e-6, "another loss");
  });

  it("takes no notice of passes that are left unmasked", async () => {
    const more = (setup: SetupContext) =>
      (["student", "teacher"] as const).map((network) =>
        setup.pass({
          network: setup.network(network),
          views: "global",
          unmasked: true,
          outputs: { patches: true },
        }),
      );
    for (const relate of [tokens, channels, rowMeans])
      assert.equal(await valueOf(relate, {}, { more }), await valueOf(relate, {}));
  });

  it("asks no relations of auxiliary views, and no pass over them for relations' sake", async () => {
    const large = { ...globalViews, group: "large", auxiliary: true };
    const asked: string[] = [];
    const relates = plugin("relates", (hooks, name) => {
      hooks.setup.tap(name, (setup) => {
        const teacher = setup.network("teacher");
        setup.pass({ network: teacher, views: "large", outputs: { patches: true } });
      });
      hooks.relation.tap(name, (relations, { pass, patchTokens }) => {
        asked.push(pass.key);
        relations.addBilinear("known", patchTokens, { axis: "token" });
      });
      hooks.loss.tap(name, (losses, { crossView }) => losses.add(name, 1, crossView("known", compare)));
    });
    const training = await tinyTraining(engine, [relates], { views: [large, ...views] });
    const { scalars } = await training.step("train", tinyBatch(training), at(0));
    assert.ok(Number.isFinite(scalars["loss/relates"]), "the comparison has its views");
    assert.deepEqual(asked, ["teacher/global", "student/global", "student/local"]);
    const passes = [...training.declarations.passes.keys()];
    assert.deepEqual(passes, ["teacher/large", "teacher/global", "student/global", "student/local"]);
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
