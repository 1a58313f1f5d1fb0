/** Which protocols a run is evaluated by. What they measure is tested with them, how runs use them with `train`. */
import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { silentLogger } from "../../../core/logger.ts";
import { assemble } from "../../../core/trainer/assemble.ts";
import type { PluginUse } from "../../../core/plugin.ts";
import { makeEvaluator, type EvaluatorOptions } from "../../../core/trainer/evaluate.ts";
import supervised from "../../../plugins/supervised/index.ts";
import { pictureFolder, resolved, tinyConfig, tinyDino, views, type TinyConfig } from "./runs.ts";
import { coded } from "./tiny.ts";

describe("makeEvaluator", () => {
  const base = pictureFolder();

  async function evaluate(config: TinyConfig, options?: EvaluatorOptions, method: PluginUse = tinyDino) {
    const numbers = { engine: "eager", backend: "cpu" } as const;
    const assembly = await assemble(
      tinyConfig({ ...config, train: numbers }),
      [views, method].map(resolved),
      {
        baseDir: base(),
        checkpoints: "",
        logger: silentLogger,
      },
    );
    try {
      await assembly.training.initialize();
      const evaluator = await makeEvaluator(assembly, options);
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
    assert.deepEqual(Object.keys(both.scalars), [
      "knn/top1",
      "views/top1",
      "views/recall5",
      "views/mrr",
      "rankMe",
    ]);
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

  it("learns from a share of each class and tests on the rest, by the protocols that are asked for", async () => {
    const evaluation: TinyConfig["evaluation"] = {
      protocols: ["cluster"],
      linear: { epochs: 2, lrs: [0.1, 1], choose: "test" },
      fewShot: { shots: [1, 2], episodes: 10, perClass: [1], draws: 2 },
      cluster: { restarts: 2 },
    };
    const told: string[] = [];
    const protocols = ["linear", "logistic", "few-shot"] as const;
    const found = await evaluate(
      { evaluation },
      {
        protocols,
        progress: (what) => void told.push(what),
      },
    );
    const share = (of: number, n: number) => `${of} % of each class of images, ${n}`;
    const sides = [share(20, 2), share(80, 8)];
    assert.deepEqual(tasksOf(found), [
      ["linear probe", ...sides],
      ["logistic regression", ...sides],
      ["2-way 1-shot", ...sides],
      ["2-way 2-shot", ...sides],
      ["low-shot", ...sides],
    ]);
    const { card, sweep } = found.results[0]!;
    assert.deepEqual([card.epochs, card.batchSize, card.lrSweep, sweep!.length], [2, 8, [0.1, 1], 2]);
    assert.equal(card.features, "cls tokens of the last 2 blocks, each after the final norm");
    for (const { figures } of found.results) {
      for (const { value, baselines } of figures) {
        assert.deepEqual(
          baselines.map(({ name }) => name),
          ["raw pixels", "untrained backbone"],
        );
        assert.equal(baselines[1]!.value, value, "nothing was trained in between");
      }
    }
    for (const who of ["untrained backbone", "teacher", "raw pixels"])
      assert.ok(told.includes(`${who}: linear probe, epoch 2 of 2`), who);
    assert.deepEqual(tasksOf(await evaluate({ evaluation })), [["clustering", sides[0], sides[0]]]);
  });

  it("tests on the images of a folder where the config names one", async () => {
    const test = join(base(), "tested");
    await cp(join(base(), "images"), test, { recursive: true });
    const evaluation: TinyConfig["evaluation"] = { protocols: ["logistic"], test };
    const { results } = await evaluate({ evaluation });
    const { bank, queries, n } = results[0]!.card;
    assert.deepEqual([bank, queries, n], ["all of images, 10", "all of tested, 10", 10]);
  });

  it("refuses what takes labels where there are none", async () => {
    const unlabelled: TinyConfig = {
      data: { path: "images/odd" },
      evaluation: { protocols: ["knn", "linear"] },
    };
    await assert.rejects(evaluate(unlabelled), coded("EVAL_UNLABELLED", "linear", "odd"));
  });

  it("stops between batches of images, and wherever progress is told", async () => {
    const stop = new Error("stop");
    const stopped = AbortSignal.abort(stop);
    const classified: TinyConfig = { data: { split: "train" } };
    const isStop = (error: unknown) => error === stop;
    await assert.rejects(evaluate({}, { signal: stopped }), isStop);
    await assert.rejects(evaluate(classified, { signal: stopped }, supervised()), isStop);
    const midway = new AbortController();
    const progress = (what: string) => {
      if (what.endsWith("k-means")) midway.abort(stop);
    };
    const linear = { epochs: 1, lrs: [1], choose: "test" as const };
    const evaluation: TinyConfig["evaluation"] = { protocols: ["cluster", "linear"], linear };
    await assert.rejects(evaluate({ evaluation }, { signal: midway.signal, progress }), isStop);
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
