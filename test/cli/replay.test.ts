import assert from "node:assert/strict";
import { stripVTControlCharacters } from "node:util";
import { replayLines } from "../../cli/commands/replay.ts";
import type { Replayed } from "../../core/run/replay.ts";
import { errors } from "../../core/errors.ts";

const replayed: Replayed = {
  ...{ step: 3, epoch: 1.5, micro: 2, accumulation: 4 },
  scalars: { loss: 2, gradNorm: 0.5 },
  recorded: { loss: NaN, gradNorm: Infinity },
  problem: undefined,
};
const lines = (own: Partial<Replayed>) =>
  replayLines("my-run", { ...replayed, ...own }).map((line) => stripVTControlCharacters(line));

describe("the lines of relata replay", () => {
  it("say which step it was, each figure then and now, and that it is finite", () => {
    assert.deepEqual(lines({}), [
      "my-run, step 3 (epoch 1.5, micro-batch 2 of 4): the batch that was kept",
      "                then  now",
      "loss      not finite    2",
      "gradNorm    Infinity  0.5",
      "✔ the step is finite",
    ]);
  });

  it("leave out what there was not, and that it is finite where it is not", () => {
    const problem = errors.notFinite(3, [], undefined);
    assert.deepEqual(lines({ recorded: undefined, accumulation: 1, problem }), [
      "my-run, step 3 (epoch 1.5): no batch was kept: the next one of the run",
      "          now",
      "loss        2",
      "gradNorm  0.5",
    ]);
  });
});
