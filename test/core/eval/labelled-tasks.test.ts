import assert from "node:assert/strict";
import { clusterTask, fewShotTask, logisticTask, lowShotTask } from "../../../core/eval/labelled-tasks.ts";
import { fitSoftmaxRegression } from "../../../core/eval/softmax-regression.ts";
import type { Task } from "../../../core/eval/task.ts";
import { coded } from "../trainer/tiny.ts";
import { CLASSES, labelledSets, noisyRows, nobody } from "./labelled-sets.ts";

const train = noisyRows(20, 0.4, 1);
const test = noisyRows(10, 0.4, 2);
const sets = labelledSets(train, test);
const logistic = { c: 1, standardise: true };
const measure = (task: Task) => task.measure(nobody, () => {});

describe("evaluations by labels", () => {
  it("logisticTask tells accuracy, C and whether the optimum was reached", async () => {
    const [{ card, figures }] = (await measure(logisticTask({ ...sets, ...logistic }))) as [never];
    const { steps } = await fitSoftmaxRegression(train.pooled, train.labels, CLASSES, {
      l2: 1,
      standardise: true,
    });
    assert.deepEqual(card, {
      task: "logistic regression",
      features: "cls token",
      fitted: `logistic regression on standardised features, converged in ${steps} L-BFGS steps`,
      crop: "whole",
      c: 1,
      seed: 0,
      bank: "train, 120",
      queries: "test, 60",
      n: 60,
    });
    const [top1, top5] = figures as { key: string; value: number }[];
    assert.deepEqual([top1!.key, top5!.key], ["logistic/top1", "logistic/top5"]);
    assert.ok(top1!.value > 0.7 && top5!.value > top1!.value, `${top1!.value}, ${top5!.value}`);
  });

  it("fewShotTask has a result for each number of shots, of as many ways as there are classes", async () => {
    const warnings: string[] = [];
    const warn = (message: string) => void warnings.push(message);
    const options = { ...sets, ways: 20, shots: [1, 5, 21], queries: 4, episodes: 50, warn };
    const results = await measure(fewShotTask(options));
    assert.deepEqual(
      results.map(({ card: { task, ways, shots, queriesPerClass, episodes } }) => [
        task,
        ways,
        shots,
        queriesPerClass,
        episodes,
      ]),
      [
        ["6-way 1-shot", 6, 1, 4, 50],
        ["6-way 5-shot", 6, 5, 4, 50],
      ],
    );
    const [one, five] = results.map(({ figures }) => figures[0]!);
    assert.deepEqual([one!.key, five!.key], ["few-shot/6-way 1-shot", "few-shot/6-way 5-shot"]);
    assert.ok(five!.value > one!.value && one!.value > 1.5 / 6);
    assert.ok(one!.interval! > 0 && one!.interval! < 0.05);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /21-shot is left out/);
    await assert.rejects(
      measure(fewShotTask({ ...options, shots: [21] })),
      coded("EVAL_INVALID", "0 of 6 classes have 21 training images"),
    );
  });

  it("lowShotTask learns from so many images of every class, drawn several times", async () => {
    const options = { ...sets, ...logistic, draws: 4 };
    const [few] = await measure(lowShotTask({ ...options, perClass: [1, 5, 0.5] }));
    assert.deepEqual(
      few!.figures.map(({ name, key }) => [name, key]),
      [
        ["1 a class", "low-shot/1"],
        ["5 a class", "low-shot/5"],
        ["50 % of each class", "low-shot/50 %"],
      ],
    );
    const values = few!.figures.map(({ value }) => value);
    assert.ok(values[0]! < values[1]! && values[1]! < values[2]!, values.join());
    // All there are, whatever is drawn.
    const [all] = await measure(lowShotTask({ ...options, perClass: [20] }));
    const [whole] = await measure(logisticTask({ ...sets, ...logistic }));
    assert.ok(Math.abs(all!.figures[0]!.value - whole!.figures[0]!.value) < 1e-9);
  });

  it("clusterTask compares as many clusters as the test images have classes with these", async () => {
    const clear = labelledSets(train, noisyRows(10, 0.05, 3));
    const [{ card, figures }] = (await measure(clusterTask({ ...clear, restarts: 10 }))) as [
      Awaited<ReturnType<Task["measure"]>>[number],
    ];
    assert.deepEqual([card.clusters, card.restarts, card.bank], [6, 10, "test, 60"]);
    assert.deepEqual(
      figures.map(({ key, value }) => [key, Number(value.toFixed(9))]),
      [
        ["cluster/nmi", 1],
        ["cluster/ari", 1],
      ],
    );
    const noise = await measure(clusterTask({ ...labelledSets(train, noisyRows(20, 50, 4)), restarts: 2 }));
    assert.ok(Math.abs(noise[0]!.figures[1]!.value) < 0.1);
  });
});
