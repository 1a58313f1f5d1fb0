import assert from "node:assert/strict";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { describeError, exitCodeOf } from "../../cli/failure.ts";
import { errors } from "../../core/errors.ts";
import { packageRoot } from "../../core/package-root.ts";

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
    const [place, ...lines] = told.split("\n").reverse().slice(1);
    assert.match(place!, /^ {2}at test\/cli\/failure\.test\.ts:\d+:\d+$/);
    assert.deepEqual(lines.reverse(), ["✖ NO_LOSS", `  ${message}`, "    in acme/loss"]);
    assert.ok(told.endsWith(`\n  fix: ${fix}`), told);
    const scoped = describePlain(errors.valueReadWhileTracing("acme", "acme/loss").in("acme/loss"));
    assert.equal(scoped.match(/in acme\/loss/g)?.length, 1);
  });

  describe("of a plugin tell the line of its file", () => {
    const thrown = (...frames: string[]) => {
      const cause = new Error("boom");
      cause.stack = ["Error: boom", ...frames.map((frame) => `    at ${frame}`)].join("\n");
      return describePlain(errors.pluginThrew("acme", "loss", cause).because(cause));
    };
    const here = process.cwd();
    const others = [
      `op (${join(packageRoot, "core", "math", "gram.ts")}:1:2)`,
      "mul (file:///acme/node_modules/@tensorflow/tfjs-core/dist/ops/mul.js:3:4)",
      "node:internal/process/task_queues:140:7",
      "AsyncLocalStorage.run (node:async_hooks:346:14)",
      "new Promise (<anonymous>)",
    ];

    for (const [what, frame, place] of [
      ["of a function", "Object.run [as f] (file:///acme/index.ts:20:30)", "/acme/index.ts:20:30"],
      ["without a function", "async /acme/index.js:20:30", "/acme/index.js:20:30"],
      ["with a query", "run (file:///acme/index.ts?tsx=1:20:30)", "/acme/index.ts:20:30"],
      ["with a space", "run (file:///my%20plugins/index.ts:20:30)", "/my plugins/index.ts:20:30"],
      ["below the working directory", `run (${here}/acme/index.ts:20:30)`, "acme/index.ts:20:30"],
      ["built in", `run (${join(packageRoot, "plugins", "dino", "index.ts")}:2:3)`, "dino/index.ts:2:3"],
    ] as const) {
      it(what, () => {
        const lines = thrown(...others, frame, "later (/other/index.ts:1:1)").split("\n");
        assert.ok(lines[2]!.startsWith("  at ") && lines[2]!.endsWith(place), lines.join("\n"));
        assert.match(lines[3]!, /^ {2}fix: /);
      });
    }

    it("of the error that led to it, first", () => {
      const cause = new Error("boom");
      cause.stack = "Error: boom\n    at /acme/index.ts:20:30";
      assert.match(
        describePlain(errors.noLoss().in("acme/loss").because(cause)),
        /at \/acme\/index\.ts:20:30/,
      );
    });

    it("but not where the error is of no plugin", () => {
      assert.doesNotMatch(describePlain(errors.noLoss()), /^ +at /m);
    });
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
