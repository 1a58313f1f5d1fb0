/** Which protocols a run is evaluated by. What they measure is tested with them, how runs use them with `train`. */
import assert from "node:assert/strict";
import { silentLogger } from "../../../core/logger.ts";
import { assemble } from "../../../core/trainer/assemble.ts";
import { makeEvaluator } from "../../../core/trainer/evaluate.ts";
import { pictureFolder, resolved, tinyConfig, tinyDino, views, type TinyConfig } from "./runs.ts";

describe("makeEvaluator", () => {
  const base = pictureFolder();

  async function evaluate(config: TinyConfig) {
    const numbers = { engine: "eager", backend: "cpu" } as const;
    const assembly = await assemble(
      tinyConfig({ ...config, train: numbers }),
      [views, tinyDino].map(resolved),
      {
        baseDir: base(),
        checkpoints: "",
        logger: silentLogger,
      },
    );
    try {
      await assembly.training.initialize();
      const evaluator = await makeEvaluator(assembly);
      await evaluator.measureUntrained();
      return { ...(await evaluator.evaluate()), untrained: evaluator.untrained };
    } finally {
      assembly.engine.close();
    }
  }

  const tasksOf = ({ results }: Awaited<ReturnType<typeof evaluate>>) =>
    results.map(({ card }) => [card.task, card.queries, card.bank]);

  it("classifies labelled images by their neighbours, and finds unlabelled ones by a view", async () => {
    assert.deepEqual(tasksOf(await evaluate({})), [["leave-one-out k-NN", "images, 10", "images, 10"]]);
    const one = ["view retrieval", "one view of each of odd, 5", "odd, 5"];
    assert.deepEqual(tasksOf(await evaluate({ data: { path: "images/odd" } })), [one]);
  });

  it("does both or neither where the config says so, on as many images as it says", async () => {
    const both = await evaluate({ evaluation: { viewRetrieval: true, limit: 4 } });
    assert.deepEqual(tasksOf(both), [
      ["leave-one-out k-NN", "images, 4", "images, 4"],
      ["view retrieval", "one view of each of images, 4", "images, 4"],
    ]);
    assert.deepEqual(Object.keys(both.scalars), ["knn/top1", "views/top1", "views/recall5", "views/mrr"]);
    assert.equal(both.found.length, 1);
    assert.deepEqual(
      tasksOf(await evaluate({ data: { path: "images/odd" }, evaluation: { viewRetrieval: false } })),
      [],
    );
  });

  it("asks no more neighbours than there are", async () => {
    const { results } = await evaluate({ evaluation: { knn: { k: 50 } } });
    assert.equal(results[0]!.card.k, 9);
  });

  it("looks Twitter's emoji up among Google's", async () => {
    const evaluated = await evaluate({ data: { dataset: "emoji", limit: 24 }, evaluation: { limit: 12 } });
    assert.deepEqual(tasksOf(evaluated), [
      ["category k-NN", "Twitter emoji, 6", "Google emoji, 6"],
      ["same-emoji retrieval", "Twitter emoji, 6", "Google emoji, 6"],
      ["linear patch probe", "Twitter emoji, 6", "Google emoji, 6"],
      ["PCA foreground", "Twitter emoji, 6", "Google emoji, 6"],
      ["attention foreground", "Twitter emoji, 6", "Google emoji, 6"],
    ]);
    const { untrained, scalars } = evaluated;
    assert.deepEqual(untrained, scalars, "nothing was trained in between");
    for (const { figures } of evaluated.results) {
      for (const { value, baselines } of figures) assert.equal(baselines.at(-1)!.value, value);
    }
  });
});
