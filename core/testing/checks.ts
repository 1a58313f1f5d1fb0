/** What the contract asks of every plugin, each as a function that throws where it does not hold. */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { ViewGroupSpec } from "../contexts.ts";
import { createEngine } from "../engine/create-engine.ts";
import type { Engine, HostArray } from "../engine/engine.ts";
import { ensureLibrary } from "../engine/install.ts";
import type { PluginUse } from "../plugin.ts";
import { Random } from "../random.ts";
import type { Training } from "../trainer/training.ts";
import {
  at,
  descent,
  distance,
  outputsOf,
  partOf,
  tinyBatch,
  tinyTraining,
  valuesOf,
  type TinyOptions,
} from "./tiny-run.ts";

/** A method to check: the plugin with some options, and what trains beside it. */
export interface Subject {
  readonly method: readonly PluginUse[];
  readonly views: readonly ViewGroupSpec[];
  readonly batchSize: number;
  /** Number of classes, where images are labelled. */
  readonly labels?: number;
  /** It normalises with the batch at hand: two halves of a batch are not the whole. */
  readonly batchStatistics: boolean;
}

export interface Check {
  readonly title: string;
  /** Whether it applies. */
  readonly applies?: (subject: Subject) => boolean;
  readonly run: (subject: Subject) => Promise<void>;
}

type Outputs = Record<string, HostArray>;

const gradientsOf = (outputs: Outputs) =>
  Object.entries(outputs).filter(([name]) => name.startsWith("gradient/")) as [string, Float32Array][];

/**
 * Elements from which on the captured engine compiles: pieces on patches, and few of the updates. A smaller piece is
 * held to what it returns as well; to compile every one would make the check several times as slow.
 */
const FUSE_FROM = 256;

/** Runs `use` with an engine that is closed afterwards; the captured one compiles as a run does. */
async function onEngine<T>(kind: "captured" | "eager", use: (engine: Engine) => Promise<T>): Promise<T> {
  const engine = await createEngine({
    engine: kind === "captured" ? "graph" : "eager",
    backend: kind === "captured" ? "tensorflow" : "cpu",
    device: "cpu",
    precision: "fp32",
    jit: "fused",
    fuseFrom: FUSE_FROM,
    threads: { intra: 0, inter: 0 },
    library: () => ensureLibrary({}),
  });
  try {
    return await use(engine);
  } finally {
    engine.close();
  }
}

const make = (
  engine: Engine,
  { method, views, batchSize, labels }: Subject,
  { run, ...options }: TinyOptions = {},
): Promise<Training> => {
  const own = { batchSize, globalBatchSize: batchSize, numClasses: labels, ...run };
  return tinyTraining(engine, method, { views, run: own, ...options });
};

const sizeOf = (values: ArrayLike<number>) => distance(values, new Float32Array(values.length));

/**
 * Two steps gave the same, up to `tolerance` of each output's largest value and rounding of values of size 1. Gradients
 * are rounded with the largest of all: they come from one backward pass, and one that is zero by an identity, as that of
 * a bias in front of BatchNorm, is rounding alone.
 */
function assertAlike(got: Outputs, want: Outputs, tolerance: number, what: string): void {
  assert.deepEqual(Object.keys(got).sort(), Object.keys(want).sort(), `${what}: other outputs`);
  const ofGradients = Math.max(1, ...gradientsOf(want).map(([, values]) => sizeOf(values)));
  for (const [name, values] of Object.entries(want)) {
    const largest = sizeOf(values);
    const apart = distance(got[name]!, values);
    const rounding = ROUNDING * (name.startsWith("gradient/") ? ofGradients : 1);
    const allowed = tolerance === 0 ? 0 : tolerance * largest + rounding;
    assert.ok(apart <= allowed, `${what}: ${name} differs by ${apart}, of ${largest}`);
  }
}

function requireFinite(outputs: Outputs): void {
  const told = ["loss", ...gradientsOf(outputs).map(([name]) => name)];
  const bad = told.filter((name) => !outputs[name]!.every(Number.isFinite));
  const [first] = bad;
  const more = bad.length > 1 ? `, and ${bad.length - 1} more` : "";
  assert.ok(first === undefined, `not finite near the initial weights: ${first}${more}`);
}

/** Of sums of a few thousand float32 values of size 1. */
const ROUNDING = 2e-6;

export const checks: readonly Check[] = [
  {
    title: "trains: its losses are finite scalars, and some weight learns",
    run: (subject) =>
      onEngine("eager", async (engine) => {
        const training = await make(engine, subject);
        for (const step of [0, 1, 6]) {
          const batch = tinyBatch(training, step);
          const outcome = await training.step("train", batch, at(step));
          if (!outcome.finite) throw await training.notFinite("train", at(step), outcome);
          const bad = Object.entries(outcome.scalars).flatMap(([name, v]) =>
            Number.isFinite(v) ? [] : [name],
          );
          assert.deepEqual(bad, [], `of step ${step} these are not finite`);
        }
        const gradients = gradientsOf(await outputsOf(training, 6));
        assert.ok(
          gradients.some(([, values]) => values.some((value) => value !== 0)),
          "every gradient is zero",
        );
      }),
  },
  {
    title: "gives the same for the same seed",
    run: (subject) =>
      onEngine("eager", async (engine) => {
        const training = await make(engine, subject);
        const first = await outputsOf(training, 1);
        const again = await onEngine("eager", async (other) => outputsOf(await make(other, subject), 1));
        assertAlike(again, first, 0, "a second run");
      }),
  },
  {
    title: "frees every tensor that it makes",
    run: (subject) =>
      onEngine("eager", async (engine) => {
        const training = await make(engine, subject);
        const step = async (i: number) => {
          await training.step("train", tinyBatch(training), at(i));
          return tf.memory().numTensors;
        };
        await step(0);
        const before = await step(1);
        const after = await step(2);
        assert.equal(after - before, 0, `${after - before} tensors more after a step`);
      }),
  },
  {
    title: "has the gradient of its loss",
    run: (subject) =>
      onEngine("eager", async (engine) => {
        const training = await make(engine, subject);
        const random = new Random(0, "direction");
        // The student apart from the teacher: where they are the same, a loss between them has no slope.
        const values = new Map(
          [...(await valuesOf(training))].map(([name, v]) => [
            name,
            name.startsWith("student/") ? v.map((x) => x + 0.02 * random.normal()) : v.slice(),
          ]),
        );
        await training.initialize(values);
        const outputs = await outputsOf(training, 1);
        requireFinite(outputs);
        const gradients = new Map(gradientsOf(outputs));
        const direction = new Map(
          [...gradients].map(([name, gradient]) => [
            `student/${name.slice("gradient/".length)}`,
            // Along the gradient, where the loss moves most, and a little to all sides.
            gradient.map((g) => g + 0.01 * Math.abs(g) * random.normal()),
          ]),
        );
        const length = Math.sqrt(
          [...direction.values()].reduce((sum, d) => sum + d.reduce((s, x) => s + x * x, 0), 0),
        );
        assert.ok(length > 0, "every gradient is zero");
        const slope = [...gradients].reduce((sum, [name, gradient]) => {
          const along = direction.get(`student/${name.slice("gradient/".length)}`)!;
          return sum + gradient.reduce((s, g, i) => s + (g * along[i]!) / length, 0);
        }, 0);
        const lossAt = async (distanceAlong: number) => {
          const moved = new Map(values);
          for (const [name, along] of direction) {
            moved.set(
              name,
              values.get(name)!.map((v, i) => v + (distanceAlong * along[i]!) / length),
            );
          }
          await training.initialize(moved);
          return (await outputsOf(training, 1))["loss"]![0]!;
        };
        // Near enough for the loss to be straight, far enough for its rounding not to matter: that distance varies.
        const loss = Math.abs(await lossAt(0));
        const tried: string[] = [];
        for (const part of [1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6]) {
          const h = (part * Math.max(1, loss)) / Math.abs(slope);
          const rounding = (2 ** -22 * loss) / h;
          if (!(rounding < 0.05 * Math.abs(slope))) continue;
          const measured = ((await lossAt(h)) - (await lossAt(-h))) / (2 * h);
          if (Math.abs(measured - slope) <= 0.03 * Math.abs(slope) + rounding) return;
          tried.push(measured.toPrecision(3));
        }
        assert.fail(
          `the loss changes by ${tried.join(", ")} along a direction, its gradient says ${slope.toPrecision(3)}`,
        );
      }),
  },
  {
    title: "goes on from its saved state as if it had not stopped",
    run: (subject) =>
      onEngine("eager", async (engine) => {
        const training = await make(engine, subject);
        await training.step("train", tinyBatch(training, 1), at(1));
        const saved = new Map([...(await valuesOf(training))].map(([name, v]) => [name, v.slice()]));
        const next = await outputsOf(training, 2);
        const resumed = await onEngine("eager", async (other) => {
          const second = await make(other, subject);
          await second.initialize(saved);
          return outputsOf(second, 2);
        });
        assertAlike(resumed, next, 0, "the resumed run");
      }),
  },
  {
    title: "learns from two halves of a batch as from the whole",
    applies: ({ batchStatistics }) => !batchStatistics,
    run: (subject) =>
      onEngine("eager", async (engine) => {
        const options = { optimizer: descent, run: { batchSize: 4, globalBatchSize: 4 } };
        const whole = await make(engine, subject, options);
        const batch = tinyBatch(whole, 1);
        await whole.step("train", batch, at(6));
        const wanted = await valuesOf(whole);
        const start = await onEngine("eager", async (other) => valuesOf(await make(other, subject, options)));
        await onEngine("eager", async (other) => {
          const halves = await make(other, subject, {
            ...options,
            run: { batchSize: 2, globalBatchSize: 4 },
            settings: { accumulation: 2 },
          });
          const half = (from: number) => partOf(batch, whole.declarations.viewGroups, 4, from, from + 2);
          await halves.step("accumulate", half(0), at(6));
          await halves.step("apply", half(2), at(6));
          const got = await valuesOf(halves);
          for (const [name, values] of wanted) {
            if (!name.startsWith("student/")) continue;
            const moved = distance(values, start.get(name)!);
            const apart = distance(got.get(name)!, values);
            assert.ok(apart <= 1e-4 * moved + ROUNDING, `${name} moves by ${moved}, and differs by ${apart}`);
          }
        });
      }),
  },
  {
    title: "is the same captured into a graph, with nothing frozen into it",
    run: (subject) =>
      onEngine("captured", async (engine) => {
        const training = await make(engine, subject);
        /** Two steps, each from the initial weights: a second update would make much of rounding. */
        const steps = async (own: Training) => {
          const first = await outputsOf(own, 1);
          await own.initialize();
          return [first, await outputsOf(own, 7, tinyBatch(own, 3))] as const;
        };
        const eager = await onEngine("eager", async (other) => steps(await make(other, subject)));
        const captured = await steps(training);
        captured.forEach((outputs, i) => assertAlike(outputs, eager[i]!, 2e-4, `captured step ${i + 1}`));
        training.verify();
      }),
  },
];

/** The outputs of the first step are the golden ones, to `tolerance` of the largest of each. */
export async function checkGolden(
  subject: Subject,
  golden: Readonly<Record<string, readonly number[]>>,
  tolerance: number,
): Promise<void> {
  await onEngine("eager", async (engine) => {
    const outputs = await outputsOf(await make(engine, subject));
    for (const [name, values] of Object.entries(golden)) {
      assert.ok(outputs[name], `there is no output ${name}; there is ${Object.keys(outputs).join(", ")}`);
      const apart = distance(outputs[name], values);
      const largest = Math.max(...values.map(Math.abs));
      assert.ok(apart <= tolerance * largest, `${name} differs by ${apart}, of ${largest}`);
    }
  });
}
