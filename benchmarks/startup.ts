/**
 * npm run build && npm run bench:startup -- [--rounds 20] [--out result.json]
 *
 * Times `relata --help` against `node -e 0`, in turn: the package as it is installed (bin, dist, recipes and package.json
 * in a folder of their own), and the checkout, which starts from the sources. The exit code is 1 where the installed
 * one takes more than 5 times as long as node alone.
 */
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageRoot } from "../core/package-root.ts";
import { command, parseFlags, progress, UsageError, wholeOf } from "./command.ts";
import { emit, makeResult } from "./make-result.ts";
import { timed } from "./timing.ts";

const LIMIT = 5;

await command(async () => {
  const { values: flags } = parseFlags({
    options: { rounds: { type: "string", default: "20" }, out: { type: "string" } },
  });
  const rounds = wholeOf("rounds", flags.rounds, 1);
  const installed = mkdtempSync(join(tmpdir(), "relata-startup-"));
  try {
    install(installed);
    const commands = {
      nodeSeconds: ["-e", "0"],
      installedSeconds: [join(installed, "bin/relata.js"), "--help"],
      sourceSeconds: [join(packageRoot, "bin/relata.js"), "--help"],
    };
    const samples: Record<keyof typeof commands, number[]> = {
      nodeSeconds: [],
      installedSeconds: [],
      sourceSeconds: [],
    };
    // The first round fills caches and is not counted.
    for (let round = 0; round <= rounds; round++) {
      progress(`round ${round} of ${rounds}`);
      for (const [name, args] of Object.entries(commands) as [keyof typeof commands, string[]][]) {
        const [seconds] = await timed(() => run(args));
        if (round > 0) samples[name].push(seconds);
      }
    }
    const result = makeResult({
      subject: { command: "relata --help" },
      samples: Object.fromEntries(Object.entries(samples).map(([name, seconds]) => [name, [seconds]])),
      formulas: {
        installedInNode: {
          unit: "starts of node",
          better: "lower",
          tolerance: 0.05,
          limit: LIMIT,
          of: "installedSeconds",
          over: "nodeSeconds",
        },
        sourceInNode: { unit: "starts of node", of: "sourceSeconds", over: "nodeSeconds" },
        nodeSeconds: { unit: "s", of: "nodeSeconds" },
        installedSeconds: { unit: "s", of: "installedSeconds" },
        sourceSeconds: { unit: "s", of: "sourceSeconds" },
      },
    });
    return emit(result, flags.out);
  } finally {
    rmSync(installed, { recursive: true });
  }
});

/** What runs of the package, with the dependencies of the checkout. */
function install(folder: string): void {
  if (!existsSync(join(packageRoot, "dist/cli/main.js")))
    throw new UsageError("there is no dist: run `npm run build` first");
  for (const part of ["bin", "dist", "benchmarks/recipes", "package.json"])
    cpSync(join(packageRoot, part), join(folder, part), { recursive: true });
  symlinkSync(join(packageRoot, "node_modules"), join(folder, "node_modules"), "junction");
}

/** Runs node to its end. */
async function run(args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
  const code = await new Promise((done, failed) => child.on("close", done).on("error", failed));
  if (code !== 0) throw new UsageError(`node ${args.join(" ")} failed: see above`);
}
