/** A Python that has what a test needs; without one the tests are skipped. */
import { spawnSync } from "node:child_process";
import { findPython } from "../../benchmarks/baselines/python.ts";

/** Call in a `describe`. */
export function pythonWith(modules: string): () => string {
  let python = "";
  before(function () {
    python = process.env["RELATA_PYTHON"] ?? findPython() ?? "python3";
    if (spawnSync(python, ["-c", `import ${modules}`]).status === 0) return;
    process.stderr.write(`skipped: no Python has ${modules}; name one by RELATA_PYTHON\n`);
    this.skip();
  });
  return () => python;
}
