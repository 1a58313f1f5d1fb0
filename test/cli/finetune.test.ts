import assert from "node:assert/strict";
import { makeProgram } from "../../cli/program.ts";
import { Terminal } from "../../cli/terminal.ts";

describe("relata finetune", () => {
  async function parse(...argv: string[]): Promise<void> {
    const program = makeProgram({ terminal: new Terminal({ write: () => true }, {}), argv, exitCode: 0 });
    program.commands.find((command) => command.name() === "finetune")!.action(() => {});
    await program.parseAsync(["finetune", "run", ...argv], { from: "user" });
  }

  it("takes a network or random weights, and no others", async () => {
    await parse("--network", "student", "--epochs", "3");
    await parse("--from-scratch");
    await assert.rejects(parse("--from-scratch", "--network", "student"), /cannot be used with/);
    await assert.rejects(parse("--init", "dino.pth"), /unknown option '--init'/);
  });
});
