import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
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
    const folder = mkdtempSync(join(tmpdir(), "my plugins "));
    const file = join(folder, "index.ts");
    writeFileSync(file, "");
    after(() => rmSync(folder, { recursive: true }));
    const { href } = pathToFileURL(file);
    const here = fileURLToPath(import.meta.url);
    const others = [
      `op (${join(packageRoot, "core", "math", "gram.ts")}:1:2)`,
      `mul (${import.meta.resolve("@tensorflow/tfjs-core")}:3:4)`,
      "runKernel (/nowhere/tfjs-core/src/engine.ts:647:22)",
      "node:internal/process/task_queues:140:7",
      "AsyncLocalStorage.run (node:async_hooks:346:14)",
      "new Promise (<anonymous>)",
    ];

    for (const [what, frame, place] of [
      ["of a method", `Object.run [as f] (${href}:20:30)`, `${file}:20:30`],
      ["of a path", `run (${file}:20:30)`, `${file}:20:30`],
      ["without a function", `async ${href}:20:30`, `${file}:20:30`],
      ["with a query", `run (${href}?tsx=1:20:30)`, `${file}:20:30`],
      ["below the working directory", `run (${here}:20:30)`, "test/cli/failure.test.ts:20:30"],
      [
        "built in",
        `run (${join(packageRoot, "plugins", "dino", "index.ts")}:2:3)`,
        "plugins/dino/index.ts:2:3",
      ],
    ] as const) {
      it(what, () => {
        const lines = thrown(...others, frame, `later (${file}:1:1)`).split("\n");
        assert.equal(lines[2], `  at ${place}`);
        assert.match(lines[3]!, /^ {2}fix: /);
      });
    }

    it("of the error that led to it, first", () => {
      const cause = new Error("boom");
      cause.stack = `Error: boom\n    at ${file}:20:30`;
      const told = describePlain(errors.noLoss().in("acme/loss").because(cause));
      assert.ok(
        told.includes(`  at ${file}:20:30
`),
        told,
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
      errors.outputExists("a"),
      errors.outputFormat("a", ["b"]),
      errors.checkpointStep("a", 1, [2]),
      errors.checkpointNetwork("a", ["b"]),
    ];
    const failures = [
      errors.runDiskFull("a"),
      errors.outputWrite("a", "b"),
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
