import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import type { Engine } from "../../../core/engine/engine.ts";
import { makeEngine } from "../../support/engines.ts";
import { at, globalViews, localViews, plugin, tinyBatch, tinyTraining } from "./tiny.ts";

/** Logs the class tokens of both networks and of both view groups. */
const watches = plugin("watches", (hooks, name) => {
  hooks.setup.tap(name, (setup) => {
    const outputs = { cls: true };
    const passes = (["teacher", "student"] as const).flatMap((network) =>
      ["global", "local"].map((views) => setup.pass({ network: setup.network(network), views, outputs })),
    );
    hooks.loss.tap(name, (losses, { output }) => {
      for (const pass of passes) {
        losses.metric(pass.key, output(pass).clsToken);
        losses.add(pass.key, 1, tf.mean(output(pass).clsToken));
      }
    });
  });
});

const RATE = 0.4;

describe("stochastic depth", () => {
  let engine: Engine;
  beforeEach(async () => {
    engine = await makeEngine("eager on cpu");
  });
  afterEach(() => engine.close());

  const make = (dropPathRate: number, batchSize = 2) =>
    tinyTraining(engine, [watches], { dropPathRate, views: [globalViews, localViews], run: { batchSize } });

  it("keeps a branch with 1 - rate and scales it by 1 / (1 - rate), the rates rising with depth", async () => {
    const samples = 1500;
    const training = await make(RATE, samples);
    const feeds = training.feeds(
      { ...tinyBatch(training), indices: Int32Array.from({ length: samples }, (_, i) => i) },
      at(3),
    );
    const images = 2 * samples;
    for (const group of ["global", "local"]) {
      const multipliers = feeds[`dropPath/student/${group}`]!;
      assert.equal(multipliers.length, 4 * images);
      for (const branch of [0, 1]) {
        const rows = multipliers.subarray(branch * images, (branch + 1) * images);
        assert.ok(
          rows.every((value) => value === 1),
          "the first block drops nothing",
        );
      }
      for (const branch of [2, 3]) {
        const rows = multipliers.subarray(branch * images, (branch + 1) * images);
        const kept = rows.filter((value) => value !== 0);
        assert.ok(kept.every((value) => value === Math.fround(1 / (1 - RATE))));
        const deviation = Math.sqrt((RATE * (1 - RATE)) / images);
        assert.ok(Math.abs(kept.length / images - (1 - RATE)) < 4 * deviation);
      }
      const both = Array.from(
        { length: images },
        (_, i) => multipliers[2 * images + i]! > 0 && multipliers[3 * images + i]! > 0,
      );
      const share = both.filter(Boolean).length / images;
      assert.ok(
        Math.abs(share - (1 - RATE) ** 2) < 0.04,
        "the two branches of a block are drawn on their own",
      );
    }
    assert.notDeepEqual(feeds["dropPath/student/global"], feeds["dropPath/student/local"]);
  });

  it("draws for a sample by step and view, whatever its place in the batch", async () => {
    const training = await make(RATE, 40);
    const draws = (indices: number[], step: number) => {
      const feeds = training.feeds({ ...tinyBatch(training), indices: Int32Array.from(indices) }, at(step));
      const multipliers = feeds["dropPath/student/global"]!;
      // [branch][view * 40 + row]: of one sample, all branches of both views
      return (row: number) =>
        Array.from({ length: 8 }, (_, i) => multipliers[(i >> 1) * 80 + (i & 1) * 40 + row]!);
    };
    const forward = Array.from({ length: 40 }, (_, i) => i);
    const backward = [...forward].reverse();
    const [a, b, later] = [draws(forward, 2), draws(backward, 2), draws(forward, 3)];
    for (const i of forward) assert.deepEqual(a(i), b(39 - i));
    assert.notDeepEqual(forward.map(a), forward.map(later));
    const views = forward.map((i) => [
      a(i).filter((_, j) => j % 2 === 0),
      a(i).filter((_, j) => j % 2 === 1),
    ]);
    assert.notDeepEqual(
      views.map(([first]) => first),
      views.map(([, second]) => second),
    );
  });

  it("drops the branches of the rows that it drew, of the student alone", async () => {
    const training = await make(RATE);
    const program = await training.program("train", 0, {});
    const batch = tinyBatch(training);
    const run = async (drop: (row: number) => boolean) => {
      const multipliers = Float32Array.from({ length: 16 }, (_, i) => (drop(i % 4) ? 0 : 1));
      const feeds = training.feeds(batch, at(0));
      const changed = {
        "dropPath/student/global": multipliers,
        "dropPath/student/local": new Float32Array(16).fill(1),
      };
      const outputs = await program.run({ ...feeds, ...changed });
      return (pass: string, row: number) => [
        ...outputs[`metric/watches.${pass}`]!.subarray(row * 32, (row + 1) * 32),
      ];
    };
    await training.initialize();
    const none = await run(() => false);
    await training.initialize();
    const dropped = await run((row) => row === 1 || row === 2);
    assert.deepEqual(
      dropped("student/global", 1),
      dropped("student/global", 2),
      "nothing of the pictures gets through",
    );
    for (const row of [0, 3]) assert.deepEqual(dropped("student/global", row), none("student/global", row));
    for (const row of [1, 2])
      assert.notDeepEqual(dropped("student/global", row), none("student/global", row));
    for (const pass of ["teacher/global", "teacher/local", "student/local"]) {
      for (const row of [0, 1, 2, 3]) assert.deepEqual(dropped(pass, row), none(pass, row), pass);
    }
  });

  it("asks for no multipliers of the teacher, and for none at all at rate 0", async () => {
    const named = (training: Awaited<ReturnType<typeof make>>) => {
      const feeds = training.feeds(tinyBatch(training), at(0));
      return Object.keys(feeds).filter((name) => name.startsWith("dropPath/"));
    };
    const training = await make(RATE);
    assert.deepEqual(named(training), ["dropPath/student/global", "dropPath/student/local"]);
    const own = await makeEngine("eager on cpu");
    const never = await tinyTraining(own, [watches], { views: [globalViews, localViews] });
    const program = await never.program("train", 0, {});
    const { ...feeds } = never.feeds(tinyBatch(never), at(0));
    for (const name of named(never)) delete (feeds as Record<string, unknown>)[name];
    assert.equal((await program.run(feeds))["finite"]![0], 1);
    own.close();
  });
});
