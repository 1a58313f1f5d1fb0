/** Finds the Python that the PyTorch step runs with, and makes one where there is none. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../core/package-root.ts";
import { progress, UsageError } from "../command.ts";

/** On PYTHONPATH: it holds the package `baseline`. */
export const pytorchFolder = join(packageRoot, "benchmarks/baselines/pytorch");
const environment = join(pytorchFolder, ".venv");
const requirements = join(pytorchFolder, "requirements.txt");
const pythonIn = (folder: string) =>
  join(folder, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");

/** AdamW is fused on the CPU since 2.4. */
const PROBE = "import numpy, torch; assert tuple(map(int, torch.__version__.split('.')[:2])) >= (2, 4)";

/** A Python with PyTorch: the given one, $RELATA_PYTHON, or that of our environment; undefined where it has none. */
export function findPython(given = process.env["RELATA_PYTHON"]): string | undefined {
  const python = given ?? pythonIn(environment);
  return hasTorch(python) ? python : undefined;
}

/** As findPython; where none is named and our environment is not there yet, it is made. Throws UsageError. */
export function requirePython(given = process.env["RELATA_PYTHON"]): string {
  const found = findPython(given);
  if (found) return found;
  if (given)
    throw new UsageError(
      `${given} cannot import numpy and torch, 2.4 or later: give it what ${requirements} lists`,
    );
  makeEnvironment();
  const made = findPython();
  if (made) return made;
  throw new UsageError(
    `${environment} was made and cannot import numpy and torch: remove it, and see what pip says`,
  );
}

function hasTorch(python: string): boolean {
  return spawnSync(python, ["-c", PROBE], { stdio: "ignore" }).status === 0;
}

function makeEnvironment(): void {
  const python = pythonIn(environment);
  const uv = spawnSync("uv", ["--version"], { stdio: "ignore" }).status === 0;
  const create = uv ? ["uv", "venv", environment] : ["python3", "-m", "venv", environment];
  const install = uv ? ["uv", "pip", "install", "--python", python] : [python, "-m", "pip", "install"];
  progress(`installing PyTorch into ${environment}, once\n`);
  const commands = [...(existsSync(python) ? [] : [create]), [...install, "-r", requirements]];
  for (const [program, ...args] of commands) {
    // What it says goes to standard error: standard output has the result alone.
    const { status, error } = spawnSync(program!, args, { stdio: ["ignore", 2, 2] });
    if (status === 0) continue;
    const why = error ? error.message : `it ended with ${status}`;
    throw new UsageError(
      `PyTorch could not be installed by "${[program, ...args].join(" ")}" (${why}): ` +
        `name a Python that has what ${requirements} lists, with --python or RELATA_PYTHON`,
    );
  }
}
