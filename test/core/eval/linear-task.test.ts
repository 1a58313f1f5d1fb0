import assert from "node:assert/strict";
import type { Engine } from "../../../core/engine/engine.ts";
import { LinearSweep, type SweepAccuracy, type SweepOptions } from "../../../core/eval/linear-sweep.ts";
import { linearTask, type LinearTask } from "../../../core/eval/linear-task.ts";
import { makeEngine } from "../../support/engines.ts";
import { coded } from "../trainer/tiny.ts";
import { CLASSES, labelledSets, noisyRows, nobody } from "./labelled-sets.ts";

const lrs = [0.01, 1, 30];
const options = (sweep: LinearSweep, changes: Partial<LinearTask> = {}): LinearTask => ({
  ...labelledSets(noisyRows(20, 0.4, 1), noisyRows(10, 0.4, 2)),
  sweep,
  probe: { blocks: 4, meanPatch: false },
  lrs,
  epochs: 10,
  batchSize: 32,
  choose: "held-out",
  heldOut: 0.25,
  ...changes,
});

/** Remembers what it was asked, and answers with accuracies as they are listed. */
class Told extends LinearSweep {
  asked: SweepOptions | undefined;
  private readonly answers: readonly (readonly number[])[];

  constructor(...answers: readonly (readonly number[])[]) {
    super(undefined as unknown as Engine);
    this.answers = answers;
  }

  override run(options: SweepOptions): Promise<readonly SweepAccuracy[]> {
    this.asked = options;
    return Promise.resolve(this.answers.map((top1) => ({ top1, top5: top1.map(() => 1) })));
  }
}

async function measure(task: LinearTask) {
  const told: string[] = [];
  const [measured] = await linearTask(task).measure(nobody, (what) => told.push(what));
  return { ...measured!, told };
}

describe("linearTask", () => {
  it("chooses the learning rate on held-out training images, and reports it on the test images", async () => {
    const sweep = new Told([0.9, 0.6, 0.2], [0.1, 0.7, 0.3]);
    const { figures, card, sweep: points } = await measure(options(sweep));
    assert.deepEqual(figures, [
      { name: "top-1", key: "linear/top1", value: 0.6 },
      { name: "top-5", key: "linear/top5", value: 1 },
    ]);
    assert.deepEqual(points, [
      { lr: 0.01, heldOut: 0.1, test: 0.9 },
      { lr: 1, heldOut: 0.7, test: 0.6 },
      { lr: 30, heldOut: 0.3, test: 0.2 },
    ]);
    const { lr, lrSweep, lrChosenOn, bank, queries, n, features } = card;
    assert.deepEqual([lr, lrSweep, lrChosenOn], [1, lrs, "30 training images held out"]);
    assert.deepEqual([bank, queries, n, features], ["train, 90", "test, 60", 60, "cls tokens of 4"]);
    const { train, tested } = sweep.asked!;
    assert.deepEqual(
      [train, ...tested].map(({ features }) => features.count),
      [90, 60, 30],
    );
    const rows = ({ data, dim }: { data: Float32Array; dim: number }) =>
      Array.from({ length: data.length / dim }, (_, i) => data.slice(i * dim, (i + 1) * dim).join());
    const all = rows(noisyRows(20, 0.4, 1).probe);
    assert.deepEqual([...rows(train.features), ...rows(tested[1]!.features)].sort(), all.sort());
    const perClass = Array.from({ length: CLASSES }, (_, c) =>
      Array.from(tested[1]!.labels).filter((label) => label === c),
    );
    assert.deepEqual(
      perClass.map((list) => list.length),
      perClass.map(() => 5),
    );
  });

  it("takes the middle one of learning rates that do equally well", async () => {
    const chosen = async (heldOut: number[]) => {
      const { card } = await measure(options(new Told([0.9, 0.6, 0.2], heldOut)));
      return card.lr;
    };
    assert.equal(await chosen([0.5, 0.5, 0.5]), 1);
    assert.equal(await chosen([0.5, 0.5, 0.4]), 1);
    assert.equal(await chosen([0.5, 0.4, 0.5]), 30);
  });

  it("chooses it on the test images where it is told so, trains on all, and says so", async () => {
    const sweep = new Told([0.9, 0.6, 0.2]);
    const { figures, card, sweep: points } = await measure(options(sweep, { choose: "test" }));
    assert.equal(figures[0]!.value, 0.9);
    assert.equal(card.lr, 0.01);
    assert.match(card.lrChosenOn!, /test images/);
    assert.equal(card.bank, "train, 120");
    assert.deepEqual(points![1], { lr: 1, test: 0.6 });
    assert.equal(sweep.asked!.train.features.count, 120);
  });

  it("trains on mirror images of what is not held out, where there are any", async () => {
    const train = noisyRows(20, 0.4, 1);
    const { data, count, dim } = train.probe;
    const mirrored = { data: data.map((x) => -x), count, dim };
    const sweep = new Told([1, 1, 1], [1, 1, 1]);
    const sets = labelledSets({ ...train, mirrored }, noisyRows(10, 0.4, 2));
    const { card } = await measure(options(sweep, sets));
    const { train: kept, mirrored: keptMirrored } = sweep.asked!;
    assert.deepEqual(
      keptMirrored!.data,
      kept.features.data.map((x) => -x),
    );
    assert.match(card.crop, /mirror image/);
  });

  it("refuses to hold out of classes with one image each", async () => {
    const sets = labelledSets(noisyRows(1, 0.4, 1), noisyRows(1, 0.4, 2));
    await assert.rejects(
      measure(options(new Told(), sets)),
      coded("EVAL_INVALID", "no class has two training images"),
    );
  });

  it("learns what can be told apart, and tells of its epochs", async () => {
    const engine = await makeEngine("eager on cpu");
    try {
      const { figures, told } = await measure(options(new LinearSweep(engine)));
      assert.ok(figures[0]!.value > 0.6, `${figures[0]!.value}`);
      assert.equal(told.at(-1), "linear probe, epoch 10 of 10");
    } finally {
      engine.close();
    }
  });
});
