/** A program that works until it is stopped, and then takes a while to finish: what a signal meets in `train`. */
import { setTimeout as sleep } from "node:timers/promises";
import { interruptible, type CliContext } from "../../cli/context.ts";
import { Terminal } from "../../cli/terminal.ts";

const FINISHING_MS = Number(process.argv[2]);

const context: CliContext = { terminal: new Terminal(), argv: [], exitCode: 0 };
await interruptible(context, "stopping", async ({ signal }) => {
  console.log("working");
  while (!signal.aborted) await sleep(10);
  await sleep(FINISHING_MS);
  console.log("saved");
});
process.exit(context.exitCode);
