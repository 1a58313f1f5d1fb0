import assert from "node:assert/strict";
import type { HealthRule, SetupContext } from "../../../core/contexts.ts";
import { EagerEngine } from "../../../core/engine/eager-engine.ts";
import { HealthMonitor, type HealthOptions, type WatchedRule } from "../../../core/trainer/health.ts";
import { coreRules } from "../../../core/trainer/health-rules.ts";
import { at, coded, declares, learnsOnes, plugin, tinyBatch, tinyTraining } from "./tiny.ts";

const rule = (own: Partial<WatchedRule>): WatchedRule => ({
  signal: "metric/acme.x",
  problem: "x is large",
  remedy: "lower plugins.acme.weight",
  ...own,
});

/** What is told of a signal with these values, by step. */
function toldOf(
  rules: readonly WatchedRule[],
  values: readonly number[],
  options: Partial<HealthOptions> = {},
  signal = rules[0]!.signal,
) {
  const monitor = new HealthMonitor(rules, { window: 3, fromStep: 0, ...options });
  const judged = values.map((value, step) =>
    monitor.judge({
      step,
      epoch: step / 10,
      scalars: { loss: 1, [signal]: value },
      schedules: { "acme.limit": step },
    }),
  );
  const warned = judged.flatMap(({ warnings }, step) => warnings.map((told) => ({ step, told })));
  return { monitor, judged, warned, steps: warned.map(({ step }) => step) };
}

describe("the health monitor", () => {
  it("warns once where the median of the window is beyond the limit, in words", () => {
    const { warned } = toldOf([rule({ above: 0.5 })], [0, 0, 9, 0, 0, 0.6, 0.7, 0.8]);
    assert.deepEqual(warned, [
      {
        step: 6,
        told: "x is large (acme.x is 0.6, above 0.5, over 3 updates up to epoch 0.6): lower plugins.acme.weight",
      },
    ]);
  });

  it("warns below a limit too, and of several rules on one signal", () => {
    const rules = [rule({ below: 0.1, problem: "x is small" }), rule({ above: 1 })];
    const { warned } = toldOf(rules, [0, 0, 0, 2, 2]);
    assert.deepEqual(
      warned.map(({ step, told }) => [step, told.slice(0, 10)]),
      [
        [2, "x is small"],
        [4, "x is large"],
      ],
    );
  });

  it("warns again of what went away and came back, not of what hovers", () => {
    const hovers = [1, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 1];
    assert.deepEqual(toldOf([rule({ above: 0.5 })], hovers).steps, [2]);
    const away = [1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1];
    assert.deepEqual(toldOf([rule({ above: 0.5 })], away).steps, [2, 10]);
  });

  it("judges nothing before the warm-up is over, nor without a whole window", () => {
    assert.deepEqual(toldOf([rule({ above: 0 })], [1, 1]).warned, []);
    const { steps, judged } = toldOf([rule({ above: 0 })], [1, 1, 1, 1, 1, 1], { fromStep: 4 });
    assert.deepEqual(steps, [4]);
    assert.deepEqual(judged[3]!.limits, {});
    assert.deepEqual(judged[4]!.limits, { "health/above/acme.x": 0 });
  });

  it("takes limits from schedules, from how the signal was, and none where there is none", () => {
    const byStep = rule({ above: ({ value }) => value({ name: "acme.limit" }) });
    assert.deepEqual(
      toldOf([byStep], [5, 5, 5, 5]).judged.map(({ limits }) => limits["health/above/acme.x"]),
      [0, 1, 2, 3],
    );
    const grows = rule({ above: ({ settled }) => settled && 2 * settled });
    const { steps, monitor } = toldOf([grows], [100, 100, 1, 1, 1, 1, 3, 3, 3], { fromStep: 3 });
    assert.deepEqual(steps, [7]);
    const { initial, settled } = monitor.notes.recent["metric/acme.x"]!;
    assert.deepEqual([initial, settled], [100, 1]);
    const never = rule({ above: () => undefined });
    assert.deepEqual(toldOf([never], [1, 1, 1, 1]).warned, []);
  });

  it("goes on with its notes as if the run had not been stopped", () => {
    const grows = rule({ above: ({ settled }) => settled && 2 * settled });
    const notes = JSON.parse(
      JSON.stringify(toldOf([grows], [1, 1, 1]).monitor.notes),
    ) as HealthOptions["notes"];
    assert.deepEqual(toldOf([grows], [1, 1, 1, 3, 3, 3]).steps, [4]);
    assert.deepEqual(toldOf([grows], [3, 3, 3], { notes }).steps, [1]);
    assert.deepEqual(toldOf([grows], [3, 3, 3]).steps, []);
  });

  it("passes over values that are not finite, and steps without the signal", () => {
    const { steps } = toldOf([rule({ above: 0.5 })], [NaN, 1, NaN, 1, 1]);
    assert.deepEqual(steps, [4]);
    assert.deepEqual(toldOf([rule({ above: 0 })], [1, 1, 1, 1], {}, "metric/other.y").warned, []);
  });

  it("says of a signal that no step gives what it may be called, once", () => {
    const { warned } = toldOf(
      [rule({ signal: "metric/acme.entropi", above: 1 })],
      [1, 1],
      {},
      "metric/acme.entropy",
    );
    assert.equal(warned.length, 1);
    assert.match(warned[0]!.told, /"acme\.entropi" is not watched.*Did you mean "acme\.entropy"\?/);
  });

  it("takes what a rule says from where training stands", () => {
    const remedy: HealthRule["remedy"] = ({ step, value }) => `${step} of ${value({ name: "acme.limit" })}`;
    assert.match(toldOf([rule({ above: 0, remedy })], [1, 1, 1]).warned[0]!.told, /: 2 of 2$/);
  });
});

describe("the rules of every method", () => {
  const told = (signal: string, values: readonly number[], embedDim = 100) =>
    toldOf(coreRules(embedDim), values, {}, signal).warned.map((one) => one.told);

  it("tell of features that collapse", () => {
    assert.deepEqual(told("metric/student.featureStd", [0.011, 0.011, 0.011]), []);
    assert.match(
      told("metric/teacher.featureStd", [0.009, 0.009, 0.009])[0]!,
      /^the teacher gives nearly.*train\.lr/,
    );
  });

  it("tell of a loss that grows beyond where it was, and where it began", () => {
    const grown = (last: number) => told("loss", [4, 4, 4, last, last]);
    assert.deepEqual(grown(7.9), []);
    assert.match(grown(8.1)[0]!, /^the loss grows.*train\.lr.*train\.warmupEpochs/);
    assert.deepEqual(told("loss", [-1, -1, -1, 5, 5, 5]), [], "there is no multiple of what is below 0");
  });

  it("tell of gradients that grow", () => {
    assert.deepEqual(told("gradNorm", [1, 1, 1, 9, 9, 9]), []);
    assert.match(told("gradNorm", [1, 1, 1, 11, 11, 11])[0]!, /^the gradients grow/);
  });

  it("tell of a rank that is a part of the untrained network's, evaluation by evaluation", () => {
    assert.deepEqual(told("rankMe", [40, 11]), []);
    assert.match(told("rankMe", [40, 9])[0]!, /rankMe is 9, below 10, up to epoch 0\.1\): lower train\.lr/);
  });
});

describe("a rule of a plugin", () => {
  const declare = (apply: (setup: SetupContext) => void) =>
    tinyTraining(new EagerEngine({ backend: "cpu", library: "test" }), [learnsOnes, declares("acme", apply)]);
  const words = { problem: "p", remedy: "r" };

  it("is about a metric of its own, and can ask its schedules", async () => {
    const { declarations } = await declare((setup) => {
      const limit = setup.schedule("limit", () => 0.5);
      setup.health({ signal: "x", above: ({ value }) => value(limit), ...words });
    });
    assert.deepEqual(
      declarations.healthRules.map(({ signal }) => signal),
      ["metric/acme.x"],
    );
    const { judged, steps } = toldOf(declarations.healthRules, [3, 3, 3]);
    assert.deepEqual([judged[2]!.limits, steps], [{ "health/above/acme.x": 2 }, [2]]);
  });

  it("is refused without a limit, and with what is none", async () => {
    const rejects = (given: object, ...expected: readonly [string, ...string[]]) =>
      assert.rejects(
        declare((setup) => setup.health({ ...words, ...given } as HealthRule)),
        coded(...expected),
      );
    await rejects({ signal: "x" }, "HEALTH_UNLIMITED", '"acme"', '"x"');
    await rejects({ signal: "x", above: NaN }, "ARGUMENT_INVALID", 'setup.health("x")', "above");
    await rejects({ signal: "x", over: 1 }, "ARGUMENT_INVALID", '"over"');
    await rejects({ above: 1 }, "ARGUMENT_INVALID", "signal");
    await rejects({ signal: "x", above: 1, remedy: 3 }, "ARGUMENT_INVALID", "remedy");
  });

  it("fails in its plugin's name where its limit is no number", async () => {
    const { declarations } = await declare((setup) =>
      setup.health({ signal: "x", above: ({ step }) => 0 / (step - 2), ...words }),
    );
    assert.throws(
      () => toldOf(declarations.healthRules, [1, 1, 1]),
      coded("HEALTH_LIMIT", '"acme"', '"x"', "step 2"),
    );
  });

  it("cannot be declared in the step", async () => {
    const late = plugin("late", (hooks, name) => {
      hooks.setup.tap(name, (setup) => {
        hooks.loss.tap(name, () => setup.health({ signal: "x", above: 1, ...words }));
      });
    });
    const training = await tinyTraining(new EagerEngine({ backend: "cpu", library: "test" }), [
      learnsOnes,
      late,
    ]);
    await assert.rejects(
      training.step("train", tinyBatch(training), at(0)),
      coded("DECLARED_LATE", "health"),
    );
  });
});
