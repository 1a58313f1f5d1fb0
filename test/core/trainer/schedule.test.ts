/** Schedules against the official code's (see test/fixtures/README.md), and their definitions. */
import assert from "node:assert/strict";
import { cosineSchedule, linearWarmup } from "../../../core/trainer/schedule.ts";
import { readFixtureJson } from "../../support/safetensors-fixture.ts";

interface Official {
  /** Already scaled by the batch size. */
  readonly base_lr: number;
  readonly lr: readonly number[];
  readonly wd: readonly number[];
  readonly momentum: readonly number[];
  /** By epoch. */
  readonly teacher_temp: readonly number[];
  readonly teacher_patch_temp: readonly number[];
}

const { schedules } = readFixtureJson<{
  schedules: {
    small: Official & { config: Record<string, number> };
    small_pred_start_epoch_2: Pick<Official, "teacher_temp" | "teacher_patch_temp">;
    readme_vits: Official & { niter_per_ep: number; epochs: number; index: readonly number[] };
  };
}>("parity/golden.json");

/** Within float64's rounding of the official values, which numpy computed in another order. */
function assertEqual(got: readonly number[], want: readonly number[]): void {
  assert.equal(got.length, want.length);
  for (const [i, value] of got.entries()) {
    assert.ok(
      Math.abs(value - want[i]!) <= 1e-12 * Math.max(Math.abs(want[i]!), 1e-3),
      `${i}: ${value}, ${want[i]}`,
    );
  }
}

describe("cosineSchedule", () => {
  it("gives the official learning rate, weight decay and momentum of every step of a short run", () => {
    const { small } = schedules;
    const { epochs, niter_per_ep, warmup_epochs, min_lr, wd, wd_end, momentum } = small.config;
    const total = epochs! * niter_per_ep!;
    const steps = Array.from({ length: total }, (_, step) => step);
    assertEqual(
      steps.map(cosineSchedule(small.base_lr, min_lr!, total, warmup_epochs! * niter_per_ep!)),
      small.lr,
    );
    assertEqual(steps.map(cosineSchedule(wd!, wd_end!, total)), small.wd);
    assertEqual(steps.map(cosineSchedule(momentum!, 1, total)), small.momentum);
  });

  it("gives the official values of a run of 100 epochs of 1251 steps", () => {
    const { niter_per_ep, epochs, base_lr, index, lr, wd, momentum } = schedules.readme_vits;
    const total = niter_per_ep * epochs;
    assertEqual(index.map(cosineSchedule(base_lr, 1e-6, total, 10 * niter_per_ep)), lr);
    assertEqual(index.map(cosineSchedule(0.04, 0.4, total)), wd);
    assertEqual(index.map(cosineSchedule(0.996, 1, total)), momentum);
  });

  it("warms up from 0 to the base over the warm-up, both ends included", () => {
    const at = cosineSchedule(8, 2, 10, 5);
    assert.deepEqual([0, 1, 2, 3, 4].map(at), [0, 2, 4, 6, 8]);
    assert.equal(at(5), 8);
    assert.equal(cosineSchedule(8, 2, 10, 1)(0), 0);
  });

  it("is half-way in the middle of what follows, and at the end from the last step on", () => {
    const at = cosineSchedule(8, 2, 14, 4);
    assert.equal(at(9), 5);
    assert.equal(at(14), 2);
    assert.equal(at(1000), 2);
  });

  it("is finite where the warm-up is the whole run", () => {
    const at = cosineSchedule(8, 2, 4, 4);
    assert.deepEqual([0, 3, 4].map(at), [0, 8, 8]);
  });
});

describe("linearWarmup", () => {
  const epochs = (count: number) => Array.from({ length: count }, (_, epoch) => epoch);

  it("gives the official teacher temperatures of every epoch", () => {
    assertEqual(epochs(6).map(linearWarmup(0.04, 0.07, 3)), schedules.small.teacher_temp);
    const { teacher_temp, teacher_patch_temp, epochs: long } = schedules.readme_vits;
    assertEqual(epochs(long).map(linearWarmup(0.04, 0.07, 30)), teacher_temp);
    assertEqual(epochs(long).map(linearWarmup(0.04, 0.07, 30)), teacher_patch_temp);
  });

  it("stays on a whole epoch's value within the epoch", () => {
    const at = linearWarmup(0, 1, 3);
    assert.deepEqual([0, 0.99, 1, 1.5, 2, 2.9, 3].map(at), [0, 0, 0.5, 0.5, 1, 1, 1]);
  });

  it("takes no epochs and one epoch of warm-up", () => {
    assert.deepEqual([0, 1].map(linearWarmup(0, 1, 0)), [1, 1]);
    assert.deepEqual([0, 1].map(linearWarmup(0, 1, 1)), [0, 1]);
  });
});
