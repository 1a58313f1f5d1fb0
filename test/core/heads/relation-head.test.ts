/** SERE's relation heads: z and p, and the running statistics that a step moves. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { HeadModule, HeadState } from "../../../core/contexts.ts";
import type { Engine } from "../../../core/engine/engine.ts";
import { RelationHeads, RelationPredictor, RelationProjection } from "../../../core/heads/relation-head.ts";
import { Random } from "../../../core/random.ts";
import { makeEngine } from "../../support/engines.ts";
import { assertClose, assertGradients, normal, useCpuBackend } from "../math/numeric.ts";
import {
  at,
  coded,
  distance,
  globalViews,
  localViews,
  plugin,
  tinyBatch,
  tinyTraining,
  valuesOf,
} from "../trainer/tiny.ts";

const DIM = 3;
const ROWS = 7;

/** Remembers nothing, and tells what would be made of buffers that are all 2. */
function alone(updates = new Map<string, tf.Tensor>()): HeadState {
  return {
    batch: { mean: (x) => x, sum: (x) => x, gather: (x) => x },
    once: (_, compute) => compute(),
    update: (buffer, next) => updates.set(buffer, next(tf.fill([DIM], 2))),
  };
}

describe("core/heads relation head", () => {
  useCpuBackend();

  const weightsOf = (head: HeadModule) =>
    new Map(head.parameters().map(({ name, shape }) => [name, normal(name, [...shape], 0.7)]));
  const forward = (head: HeadModule, rows: tf.Tensor2D, updates?: Map<string, tf.Tensor>) => {
    const weights = weightsOf(head);
    return head.forward((name) => weights.get(name)!, rows, alone(updates));
  };
  const rows = () => tf.add(normal<tf.Rank.R2>("rows", [ROWS, DIM], 2), 1) as tf.Tensor2D;

  /** ReLU(BN(x)) of one column, value by value. */
  const normRelu = (column: number[], gamma: number, beta: number) => {
    const mean = column.reduce((a, b) => a + b) / column.length;
    const variance = column.reduce((sum, x) => sum + (x - mean) ** 2, 0) / column.length;
    const y = column.map((x) => Math.max(0, ((x - mean) / Math.sqrt(variance + 1e-5)) * gamma + beta));
    return { y, mean, variance };
  };
  const columnsOf = (x: tf.Tensor2D) => tf.transpose(x).arraySync() as number[][];
  /** Of each column, with the head's scales and shifts. */
  const ofColumns = (x: tf.Tensor2D, head: HeadModule, layer: string) => {
    const weights = weightsOf(head);
    const [gamma, beta] = ["weight", "bias"].map((w) => weights.get(`${layer}.${w}`)!.dataSync());
    return columnsOf(x).map((column, c) => normRelu(column, gamma![c]!, beta![c]!));
  };

  it("RelationProjection is z = ReLU(BN(x))", () => {
    const head = new RelationProjection({ dim: DIM });
    const want = ofColumns(rows(), head, "0").map(({ y }) => y);
    assertClose(forward(head, rows()), tf.transpose(tf.tensor2d(want)), 1e-6);
    assert.ok(want.flat().some((y) => y === 0) && want.flat().some((y) => y > 0.1));
  });

  it("RelationPredictor is p = ReLU(BN(W z))", () => {
    const head = new RelationPredictor({ dim: DIM });
    const weight = weightsOf(head).get("0.weight") as tf.Tensor2D;
    const product = tf.matMul(rows(), weight, false, true) as tf.Tensor2D;
    const want = ofColumns(product, head, "1").map(({ y }) => y);
    assertClose(forward(head, rows()), tf.transpose(tf.tensor2d(want)), 1e-6);
  });

  it("both have the gradients of the rows and of every weight", () => {
    // Shifts that keep most values off the corner of the ReLU.
    for (const head of [new RelationProjection({ dim: DIM }), new RelationPredictor({ dim: DIM })]) {
      const weights = weightsOf(head);
      for (const name of weights.keys()) if (name.endsWith("bias")) weights.set(name, tf.tensor1d([5, 6, 7]));
      const names = [...weights.keys()];
      assertGradients(
        (x, ...given) => head.forward((name) => given[names.indexOf(name)]!, x as tf.Tensor2D, alone()),
        [rows(), ...weights.values()],
      );
    }
  });

  it("moves the running statistics by 0.1 towards the batch's mean and unbiased variance", () => {
    const updates = new Map<string, tf.Tensor>();
    const head = new RelationProjection({ dim: DIM });
    forward(head, rows(), updates);
    const columns = ofColumns(rows(), head, "0");
    assert.deepEqual([...updates.keys()], ["0.running_mean", "0.running_var"]);
    assertClose(
      updates.get("0.running_mean")!,
      tf.tensor1d(columns.map(({ mean }) => 0.9 * 2 + 0.1 * mean)),
      1e-6,
    );
    const unbiased = columns.map(({ variance }) => (variance * ROWS) / (ROWS - 1));
    assertClose(updates.get("0.running_var")!, tf.tensor1d(unbiased.map((v) => 0.9 * 2 + 0.1 * v)), 1e-6);
  });

  it("takes the variance of a single row for none", () => {
    const updates = new Map<string, tf.Tensor>();
    forward(new RelationProjection({ dim: DIM }), normal("row", [1, DIM]), updates);
    assertClose(updates.get("0.running_var")!, tf.fill([DIM], 0.9 * 2), 1e-6);
  });

  it("counts the rows of all processes in the unbiased variance", () => {
    const updates = new Map<string, tf.Tensor>();
    const head = new RelationProjection({ dim: DIM });
    const weights = weightsOf(head);
    const { batch, ...state } = alone(updates);
    const twice = { ...batch, sum: <T extends tf.Tensor>(x: T): T => tf.mul(x, 2) };
    head.forward((name) => weights.get(name)!, rows(), { ...state, batch: twice });
    const want = ofColumns(rows(), head, "0").map(({ variance }) => (variance * 2 * ROWS) / (2 * ROWS - 1));
    assertClose(updates.get("0.running_var")!, tf.tensor1d(want.map((v) => 0.9 * 2 + 0.1 * v)), 1e-6);
  });

  it("starts as PyTorch does, with the official names", () => {
    const named = (specs: ReturnType<HeadModule["parameters"]>) =>
      specs.map(({ name, shape, init }) => [name, shape.join(), init.kind]);
    const [projection, predictor] = [new RelationProjection({ dim: 4 }), new RelationPredictor({ dim: 4 })];
    assert.deepEqual(named([...projection.parameters(), ...projection.buffers()]), [
      ["0.weight", "4", "ones"],
      ["0.bias", "4", "zeros"],
      ["0.running_mean", "4", "zeros"],
      ["0.running_var", "4", "ones"],
    ]);
    assert.deepEqual(named([...predictor.parameters(), ...predictor.buffers()]), [
      ["0.weight", "4,4", "uniform"],
      ["1.weight", "4", "ones"],
      ["1.bias", "4", "zeros"],
      ["1.running_mean", "4", "zeros"],
      ["1.running_var", "4", "ones"],
    ]);
    assert.deepEqual(predictor.parameters()[0]!.init, { kind: "uniform", bound: 0.5 });
  });
});

/** Rows of known values, by step. */
const knownRows = (step: number, call: number): Float32Array => {
  const random = new Random(1, "rows", step, call);
  return Float32Array.from({ length: ROWS * DIM }, () => random.normal() + call + step);
};

/** The statistics of a column of rows. */
function moments(rows: Float32Array, column: number): { mean: number; unbiased: number } {
  const values = [...rows].filter((_, i) => i % DIM === column);
  const mean = values.reduce((a, b) => a + b) / ROWS;
  return { mean, unbiased: values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (ROWS - 1) };
}

/** What running statistics become that start at 0 and 1 and see these rows one after the other. */
function running(...batches: Float32Array[]): { mean: number[]; variance: number[] } {
  const start = { mean: [0, 0, 0], variance: [1, 1, 1] };
  return batches.reduce(
    ({ mean, variance }, rows) => ({
      mean: mean.map((m, c) => 0.9 * m + 0.1 * moments(rows, c).mean),
      variance: variance.map((v, c) => 0.9 * v + 0.1 * moments(rows, c).unbiased),
    }),
    start,
  );
}

/** A head of each network on known rows: the student's as often as `calls`, the teacher's once. */
const heads = (calls: number, poison: (step: number) => boolean = () => false) =>
  plugin("heads", (hooks, name) => {
    hooks.setup.tap(name, (setup) => {
      const [student, teacher] = [setup.network("student"), setup.network("teacher")];
      const pass = setup.pass({ network: student, views: "global", outputs: { cls: true } });
      const head = setup.head("h", new RelationProjection({ dim: DIM }));
      const inputs = Array.from({ length: calls + 1 }, (_, call) =>
        setup.input(`rows ${call}`, {
          shape: [ROWS, DIM],
          sample: ({ step }) => (poison(step) ? new Float32Array(ROWS * DIM).fill(NaN) : knownRows(step, call)), // prettier-ignore
        }),
      );
      hooks.loss.tap(name, (losses, step) => {
        const z = inputs.map((rows, call) =>
          step.apply(head, call < calls ? student : teacher, step.value(rows) as tf.Tensor2D),
        );
        const cls = tf.mean(step.output(pass).clsToken);
        losses.add(name, 1, tf.add(cls, tf.mean(tf.concat(z.slice(0, calls)))));
      });
    });
  });

for (const kind of ["captured", "eager on cpu"] as const) {
  describe(`running statistics in a step, ${kind}`, () => {
    let engine: Engine;
    beforeEach(async () => {
      engine = await makeEngine(kind);
    });
    afterEach(() => engine.close());

    type Tiny = Awaited<ReturnType<typeof tinyTraining>>;
    async function assertStatistics(training: Tiny, network: string, ...batches: Float32Array[]) {
      const values = await valuesOf(training);
      const { mean, variance } = running(...batches);
      assert.ok(distance(values.get(`${network}/h.0.running_mean`)!, mean) < 1e-5, `${network}'s mean`);
      assert.ok(
        distance(values.get(`${network}/h.0.running_var`)!, variance) < 1e-5,
        `${network}'s variance`,
      );
    }

    it("move once a step, for each network with its own rows", async () => {
      const training = await tinyTraining(engine, [heads(1)]);
      await assertStatistics(training, "student");
      await training.step("train", tinyBatch(training), at(0));
      await assertStatistics(training, "student", knownRows(0, 0));
      await assertStatistics(training, "teacher", knownRows(0, 1));
      await training.step("train", tinyBatch(training), at(1));
      await assertStatistics(training, "student", knownRows(0, 0), knownRows(1, 0));
      await assertStatistics(training, "teacher", knownRows(0, 1), knownRows(1, 1));
    });

    it("move as often as the head runs, in the order of its calls", async () => {
      const training = await tinyTraining(engine, [heads(3)]);
      await training.step("train", tinyBatch(training), at(0));
      await assertStatistics(training, "student", knownRows(0, 0), knownRows(0, 1), knownRows(0, 2));
      await assertStatistics(training, "teacher", knownRows(0, 3));
    });

    it("move with every micro-batch", async () => {
      const training = await tinyTraining(engine, [heads(1)], { settings: { accumulation: 2 } });
      await training.step("accumulate", tinyBatch(training), at(0));
      await assertStatistics(training, "student", knownRows(0, 0));
      await training.step("apply", tinyBatch(training), at(0));
      await assertStatistics(training, "student", knownRows(0, 0), knownRows(0, 0));
      await assertStatistics(training, "teacher", knownRows(0, 1), knownRows(0, 1));
    });

    it("stay where the step was not finite", async () => {
      const training = await tinyTraining(engine, [heads(1, (step) => step === 1)]);
      await training.step("train", tinyBatch(training), at(0));
      const { finite } = await training.step("train", tinyBatch(training), at(1));
      assert.equal(finite, false);
      await assertStatistics(training, "student", knownRows(0, 0));
      await assertStatistics(training, "teacher", knownRows(0, 1));
    });
  });
}

describe("relation heads", () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await makeEngine("eager on cpu");
  });
  afterEach(() => engine.close());

  /** A method with heads of its own; `use` runs in the relation hook of every pass. */
  const relating = (globals = "global") =>
    plugin("acme", (hooks, name) => {
      hooks.setup.tap(name, (setup) => {
        const relationHeads = new RelationHeads(setup, name, globals);
        hooks.relation.tap(name, (relations, step) => {
          const features = relationHeads.features(step);
          if (features) relations.addBilinear(name, features, { axis: "channel" });
        });
        hooks.loss.tap(name, (losses, { crossView }) => {
          losses.add(
            name,
            1,
            crossView(name, (t, s) => tf.mean(tf.mul(t, s))),
          );
        });
      });
    });

  const part = (training: Awaited<ReturnType<typeof tinyTraining>>, network: string) =>
    training.state.variables.map(({ name }) => name).filter((name) => name.startsWith(`${network}/acme.`));
  const norm = (head: string, layer: number) =>
    ["weight", "bias", "running_mean", "running_var"].map((w) => `${head}.${layer}.${w}`);

  it("are one for global views, of which the teacher has the projection, and one of the student's for others", async () => {
    const training = await tinyTraining(engine, [relating()], { views: [globalViews, localViews] });
    const of = (network: string, head: string) => [
      ...norm(`${network}/acme.${head}.projection`, 0),
      `${network}/acme.${head}.predictor.0.weight`,
      ...norm(`${network}/acme.${head}.predictor`, 1),
    ];
    const want = [...of("student", "head"), ...of("student", "localHead")];
    assert.deepEqual(part(training, "student").sort(), want.sort());
    assert.deepEqual(part(training, "teacher").sort(), norm("teacher/acme.head.projection", 0).sort());
    const { finite } = await training.step("train", tinyBatch(training), at(0));
    assert.ok(finite);
  });

  it("are one without other views", async () => {
    const training = await tinyTraining(engine, [relating()]);
    assert.deepEqual(
      part(training, "student").filter((name) => name.includes("localHead")),
      [],
    );
  });

  it("refuse views that there are not", async () => {
    await assert.rejects(
      tinyTraining(engine, [relating("huge")]),
      coded("VIEW_GROUP_MISSING", '"acme"', '"huge"'),
    );
  });

  it("cannot be read in the teacher where they are the student's alone", async () => {
    const reads = (module: HeadModule) =>
      plugin("acme", (hooks, name) => {
        hooks.setup.tap(name, (setup) => {
          const teacher = setup.network("teacher");
          const pass = setup.pass({ network: teacher, views: "global", outputs: { cls: true } });
          const head = setup.head("own", module);
          hooks.loss.tap(name, (losses, step) =>
            losses.add(name, 1, tf.mean(step.apply(head, teacher, step.output(pass).clsToken))),
          );
        });
      });
    const modules = [
      new RelationPredictor({ dim: 32 }),
      new RelationProjection({ dim: 32, studentOnly: true }),
    ];
    for (const module of modules) {
      const own = await makeEngine("eager on cpu");
      const training = await tinyTraining(own, [reads(module)]);
      const step = training.step("train", tinyBatch(training), at(0));
      await assert.rejects(step, coded("NOT_IN_NETWORK", '"acme"', '"own.0.weight"', '"teacher"'));
      own.close();
    }
  });
});
