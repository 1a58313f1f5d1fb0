import assert from "node:assert/strict";
import { stripVTControlCharacters } from "node:util";
import { describeError, exitCodeOf } from "../../cli/failure.ts";
import { errors } from "../../core/errors.ts";

const describePlain = (error: unknown, verbose = false) =>
  stripVTControlCharacters(describeError(error, { verbose }));

describe("failures", () => {
  it("are a block of code, message and fix", () => {
    assert.equal(
      describePlain(errors.configInvalid("train.lr", "expected a number\ngot a text")),
      "✖ CONFIG_INVALID\n  train.lr: expected a number\n  got a text\n  fix: correct train.lr in the config",
    );
  });

  it("of a plugin also say in which hook, where the message does not", () => {
    const { fix, message } = errors.noLoss();
    const told = describePlain(errors.noLoss().in("acme/loss").in("outer/setup"));
    assert.equal(told, `✖ NO_LOSS\n  ${message}\n    in acme/loss\n  fix: ${fix}`);
    const scoped = describePlain(errors.valueReadWhileTracing("acme", "acme/loss").in("acme/loss"));
    assert.equal(scoped.match(/in acme\/loss/g)?.length, 1);
  });

  it("without a code ask for the stack, which --verbose prints with what led to it", () => {
    const error = new TypeError("x is not a function", { cause: new Error("the first") });
    assert.match(describePlain(error), /^✖ UNEXPECTED_ERROR\n {2}x is not a function\n {2}fix: .*--verbose/);
    assert.doesNotMatch(describePlain(error), /failure\.test/);
    assert.match(
      describePlain(error, true),
      /TypeError: x is not a function\n.*failure\.test[^]*because of Error: the first/,
    );
  });

  it("that are no errors are told too", () => {
    assert.match(describePlain("just a text"), /^✖ UNEXPECTED_ERROR\n {2}just a text\n/);
    assert.match(describePlain(new Error("")), /\n {2}Error\n/);
  });

  it("end with 2 where what was asked for is wrong, and with 1 where doing it failed", () => {
    const usage = [
      errors.usage("a", "b"),
      errors.configInvalid("a", "b"),
      errors.datasetMissing("a"),
      errors.runMissing("a", []),
      errors.noLoss(),
      errors.viewGroupMissing("a", "b", []),
    ];
    const failures = [
      errors.runDiskFull("a"),
      errors.pluginThrew("a", "b", "c"),
      errors.notFinite(1, [], undefined),
      new Error(),
    ];
    assert.deepEqual(
      usage.map(exitCodeOf),
      usage.map(() => 2),
    );
    assert.deepEqual(
      failures.map(exitCodeOf),
      failures.map(() => 1),
    );
  });
});
