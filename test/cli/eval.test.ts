import assert from "node:assert/strict";
import { join } from "node:path";
import { tmpdir } from "node:os";
import { makeProgram } from "../../cli/program.ts";
import { Terminal } from "../../cli/terminal.ts";
import { coded } from "../core/trainer/tiny.ts";

/** What the command is given of a command line; it does not run. */
async function parsed(...argv: string[]): Promise<unknown[]> {
  const program = makeProgram({ terminal: new Terminal({ write: () => true }, {}), argv, exitCode: 0 });
  let given: unknown[] = [];
  program.commands.find((command) => command.name() === "eval")!.action((...args) => void (given = args));
  await program.parseAsync(["eval", ...argv], { from: "user" });
  return given;
}

describe("relata eval", () => {
  it("takes a protocol, several or all", async () => {
    assert.deepEqual((await parsed("knn", "run"))[0], ["knn"]);
    assert.deepEqual((await parsed("few-shot,linear,linear", "run"))[0], ["few-shot", "linear"]);
    const all = ["knn", "linear", "logistic", "few-shot", "cluster"];
    assert.deepEqual((await parsed("all", "run"))[0], all);
  });

  it("refuses one that does not exist, with those that do", async () => {
    for (const wrong of ["nn", "knn,", "linear,all", ""])
      await assert.rejects(parsed(wrong, "run"), /Allowed are knn, linear, logistic, few-shot, cluster/);
  });

  it("refuses a file that cannot be written before anything else", async () => {
    const argv = ["eval", "knn", "no-run", "--out", join(tmpdir(), "no-such-folder", "eval.json")];
    const program = makeProgram({ terminal: new Terminal({ write: () => true }, {}), argv, exitCode: 0 });
    await assert.rejects(
      program.parseAsync(argv, { from: "user" }),
      coded("USAGE", "no-such-folder", "cannot be written"),
    );
  });
});
