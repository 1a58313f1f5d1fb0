/** relata's SERE and iBOT steps against the official ones (see test/fixtures/README.md). */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { Engine, Feeds } from "../../../core/engine/engine.ts";
import { definePlugin, softmaxCrossEntropy, z, type PluginUse } from "../../../core/plugin.ts";
import { maskedRows } from "../../../core/trainer/mask-rows.ts";
import { AdamW } from "../../../core/trainer/optimizer.ts";
import type { Training } from "../../../core/trainer/training.ts";
import channelRelation from "../../../plugins/channel-relation/index.ts";
import dino from "../../../plugins/dino/index.ts";
import ibot from "../../../plugins/ibot/index.ts";
import pixelRelation from "../../../plugins/pixel-relation/index.ts";
import {
  assertNear,
  assertOfficialUpdate,
  assertWithin,
  fixture,
  fixtureBatch,
  fixtureMasks,
  fixtureTraining,
  headOptions,
  officialName,
  officialParameter,
  saved,
} from "../../support/official-fixture.ts";
import { engineKinds, makeEngine } from "../../support/engines.ts";
import { readFixtureJson } from "../../support/safetensors-fixture.ts";

interface Terms {
  readonly cls: number;
  readonly patch: number;
  readonly pixel: number;
  readonly channel: number;
  readonly total: number;
}

const golden = readFixtureJson<{
  config: { it: number };
  step: Terms & { lr: number; wd: number; momentum: number };
  pairs: Record<"pixel" | "channel", Record<string, number>>;
  trajectory: Terms[];
  param_groups: { decayed: string[] };
  ibot: Terms;
  no_locals: Terms;
}>("parity/sere.json");
const { it: firstStep } = golden.config;

/** SERE's weights: the coefficients of the four losses sum to 4. */
const ALPHA = 0.2;
const BETA = 0.5;
const REST = (4 - ALPHA - BETA) / 2;

const pixel = (weight: number) => pixelRelation({ weight, overlapSide: { global: 5, local: 6 } });
const channel = (weight: number) => channelRelation({ weight, divisor: { global: 14, local: 6 } });
const distillation = (weight: number) => [dino({ ...headOptions, weight }), ibot({ ...headOptions, weight })];
const sere = [...distillation(REST), pixel(ALPHA), channel(BETA)];

/** Leaves the losses as they are and the student's global views masked: the relations alone see masks too. */
const masksOnly = definePlugin(
  { name: "masks-only", api: "^1", summary: "the fixture's masks", options: z.strictObject({}) },
  (hooks, { name }) => {
    hooks.setup.tap(name, (setup) => {
      const student = setup.network("student");
      const mask = setup.mask("global", { most: 16, sample: fixtureMasks });
      const token = setup.variable("maskToken", [1, 64], { kind: "zeros" }, { ema: false });
      hooks.embed.tap(name, (x, { pass, masked, read }) => {
        if (pass.network !== student || pass.views.group !== "global") return x;
        const cells = tf.expandDims(masked(mask)!.cells, 2);
        return tf.add(tf.mul(x, tf.sub(1, cells)), tf.mul(read(token), cells));
      });
    });
  },
)();

/** What the step is fed with, with the fixture's masks in the place of drawn ones. */
function feedsOf(training: Training, step: number, locals?: number): Feeds {
  const feeds = { ...training.feeds(fixtureBatch(locals), { step, epoch: step / 4 }) };
  const input = training.declarations.masks.get("global");
  return input ? { ...feeds, [input.name]: maskedRows(fixtureMasks(), 4, 16) } : feeds;
}

async function outputsOf(training: Training, step = firstStep, locals?: number) {
  const feeds = feedsOf(training, step, locals);
  return (await training.program("train", step / 4, feeds)).run(feeds);
}

type Outputs = Awaited<ReturnType<typeof outputsOf>>;

/** `zero` names tensors whose gradient is zero in theory and rounding in practice. */
function assertGradients(outputs: Outputs, prefix: string, zero: readonly string[] = []): void {
  const gradients = Object.entries(outputs).filter(([name]) => name.startsWith("gradient/"));
  assert.ok(gradients.length > 20);
  for (const [output, values] of gradients) {
    const name = officialParameter(output.slice("gradient/".length));
    if (zero.includes(name)) continue;
    assertWithin(`${prefix} ${name}`, values, fixture(`${prefix}/grad.${name}`).values, 1e-4);
  }
}

function assertTerms(outputs: Outputs, want: Terms, tolerance: number): void {
  const got = {
    cls: outputs["loss/dino"]![0]!,
    patch: outputs["loss/ibot"]![0]!,
    pixel: outputs["loss/pixel-relation"]?.[0],
    channel: outputs["loss/channel-relation"]?.[0],
    total: outputs["loss"]![0]!,
  };
  for (const [name, value] of Object.entries(got)) {
    if (value !== undefined) assertNear(name, value, want[name as keyof Terms], tolerance);
  }
}

/** Gives the relation matrices that are compared, and the loss of every pair of views. */
const watches = definePlugin(
  { name: "watches", api: "^1", summary: "relations and pairs", options: z.strictObject({}) },
  (hooks, { name }) => {
    hooks.loss.tap(name, (losses, { crossView }) => {
      /** Rows lie by teacher view, sample, other view: to teacher view, other view, sample. */
      const byPair = (x: tf.Tensor, others: number) =>
        tf.transpose(tf.reshape(x, [2, 2, others, -1]), [0, 2, 1, 3]);
      crossView(
        "pixel-relation",
        (teacher, student, { student: { views } }) => {
          const others = views.group === "global" ? 1 : 3;
          losses.metric(`teacher/${views.group}`, byPair(teacher, others));
          losses.metric(`student/${views.group}`, byPair(student, others));
          const rows = softmaxCrossEntropy(tf.softmax(teacher), student);
          losses.metric(`pixel/${views.group}`, tf.mean(byPair(rows, others), [2, 3]));
          return rows;
        },
        { target: (relation) => tf.div(relation, 0.5), overlapSide: { global: 5, local: 6 } },
      );
      // By student view: its teachers in order.
      const channels: tf.Tensor[] = [];
      crossView(
        "channel-relation",
        (teacher, student) => {
          const rows = softmaxCrossEntropy(tf.softmax(tf.div(teacher, 0.1)), student);
          channels.push(tf.mean(rows));
          return rows;
        },
        {},
      );
      losses.metric("channel", tf.stack(channels));
    });
  },
)();

for (const kind of engineKinds) {
  describe(`the SERE step, ${kind}, against the official code`, () => {
    let engine: Engine;
    beforeEach(async () => {
      engine = await makeEngine(kind);
    });
    afterEach(() => engine.close());

    it("has every loss within 2e-5 and its gradients within 1e-4 of each tensor's maximum", async () => {
      const training = await fixtureTraining(engine, sere, { decayBiases: true });
      const outputs = await outputsOf(training);
      assertTerms(outputs, golden.step, 2e-5);
      assertGradients(outputs, "sere");
    });

    it("has the loss of every pair within 2e-5, and the relations within 2e-5 of the maximum", async () => {
      const training = await fixtureTraining(engine, [...sere, watches]);
      const outputs = await outputsOf(training);
      const metric = (name: string) => outputs[`metric/watches.${name}`]!;
      const pairs = (relation: "pixel" | "channel", names: readonly string[]) =>
        names.map((pair) => [`${relation} ${pair}`, golden.pairs[relation][pair]!] as const);
      const withLocals = [0, 1].flatMap((t) => [0, 1, 2].map((v) => `t${t}-l${v}`));
      const want = [
        ...pairs("pixel", ["t0-s1", "t1-s0", ...withLocals]),
        ...pairs("channel", ["t1-s0", "t0-s1", ...[0, 1, 2].flatMap((v) => [`t0-l${v}`, `t1-l${v}`])]),
      ];
      const got = [...metric("pixel/global"), ...metric("pixel/local"), ...metric("channel")];
      assert.equal(got.length, want.length);
      want.forEach(([name, value], i) => assertNear(name, got[i]!, value, 2e-5));

      for (const t of [0, 1]) {
        for (const v of [0, 1, 2]) {
          const { values, shape } = fixture(`sere/act.pair.${t}.${v}.student_local`);
          const size = shape.reduce((a, b) => a * b);
          const own = (all: ArrayLike<number>) =>
            Array.from({ length: size }, (_, i) => all[(t * 3 + v) * size + i]!);
          const teacher = fixture(`sere/act.pair.${t}.${v}.teacher_global`).values;
          assertWithin(`teacher ${t} ${v}`, own(metric("teacher/local")), teacher, 2e-5);
          assertWithin(`student ${t} ${v}`, own(metric("student/local")), values, 2e-5);
        }
      }
      // The pairs are (teacher g1, student g2) and (teacher g2, student g1).
      const half = metric("student/global").length / 2;
      const student = fixture("sere/act.student_g.pixel_resampled").values;
      const swapped = [...student.subarray(half), ...student.subarray(0, half)];
      assertWithin("student g", metric("student/global"), Float32Array.from(swapped), 2e-5);
      const teacher = fixture("sere/act.teacher_g.pixel_resampled").values.map((value) => value / 0.5);
      assertWithin("teacher g", metric("teacher/global"), teacher, 2e-5);
    });

    it("has the gradients of either relation alone within 1e-4", async () => {
      // With a relation as the only loss, the last block's MLP bias only shifts what BatchNorm takes away.
      const zero = ["backbone.blocks.1.mlp.fc2.bias"];
      for (const [name, relation] of [
        ["pixel", pixel(1)],
        ["channel", channel(1)],
      ] as [string, PluginUse][]) {
        const own = await makeEngine(kind);
        const training = await fixtureTraining(own, [masksOnly, relation]);
        const outputs = await outputsOf(training);
        const want = golden.step[name as "pixel" | "channel"];
        assertNear(name, outputs["loss"]![0]!, want, 2e-5);
        assertGradients(outputs, `${name}_only`, zero);
        own.close();
      }
    });

    it("has iBOT's losses and gradients without relations, alone and with DINO", async () => {
      const training = await fixtureTraining(engine, distillation(1));
      const outputs = await outputsOf(training);
      assertTerms(outputs, golden.ibot, 2e-5);
      assertGradients(outputs, "ibot");
      const own = await makeEngine(kind);
      const alone = await outputsOf(await fixtureTraining(own, [ibot(headOptions)]));
      assertNear("patch", alone["loss"]![0]!, golden.ibot.patch, 2e-5);
      own.close();
    });

    it("has the official losses and relation gradients without local crops", async () => {
      const training = await fixtureTraining(engine, sere, { locals: 0, decayBiases: true });
      const outputs = await outputsOf(training, firstStep, 0);
      assertTerms(outputs, golden.no_locals, 2e-5);
      const heads = Object.entries(outputs).filter(([name]) => name.includes("-relation.head"));
      assert.equal(heads.filter(([name]) => name.startsWith("gradient/")).length, 10);
      for (const [output, values] of heads) {
        const name = officialParameter(output.slice("gradient/".length));
        assertWithin(name, values, fixture(`sere_0local/grad.${name}`).values, 1e-4);
      }
    });

    it("moves the centers, the teacher and the running statistics as the official step does", async () => {
      const training = await fixtureTraining(engine, sere, { decayBiases: true });
      await outputsOf(training);
      const after = await saved(training);
      const state = { "state/dino.center": "center", "state/ibot.center": "center2" };
      for (const [name, official] of Object.entries(state)) {
        assertWithin(name, after.get(name)!, fixture(`sere/after.${official}`).values, 2e-5);
      }
      const statistics = [...after].filter(([name]) => name.includes("running_"));
      assert.equal(statistics.length, 2 * (2 * 2 + 1) * 2);
      for (const [name, values] of statistics) {
        assertWithin(name, values, fixture(`sere/after.${officialName(name)}`).values, 2e-5);
      }
      for (const [name, values] of after) {
        if (!name.startsWith("teacher/") || name.includes("running_")) continue;
        const before = fixture(`init/${officialName(name)}`).values;
        const student = after.get(name.replace("teacher/", "student/"))!;
        const { momentum } = golden.step;
        const blended = before.map((t, i) => momentum * t + (1 - momentum) * student[i]!);
        assertWithin(name, values, blended, 1e-6);
      }
    });

    it("clips and updates as the official AdamW, given the official gradients, within 1e-6", async () => {
      const training = await fixtureTraining(engine, sere, { decayBiases: true });
      const optimizer = new AdamW({ beta1: 0.9, beta2: 0.999, epsilon: 1e-8, decayBiases: true });
      const { trainable } = training.state;
      const decayed = trainable.filter((p) => optimizer.decays(p)).map(({ name }) => officialParameter(name));
      assert.deepEqual(decayed.sort(), [...golden.param_groups.decayed].sort());

      const { lr, wd: weightDecay } = golden.step;
      await assertOfficialUpdate("sere", training, optimizer, { lr, weightDecay });
    });

    it("follows the official losses over six steps within 1e-4", async () => {
      const training = await fixtureTraining(engine, sere, { decayBiases: true });
      for (const [i, want] of golden.trajectory.entries()) {
        assertTerms(await outputsOf(training, firstStep + i), want, 1e-4);
      }
    });
  });
}
