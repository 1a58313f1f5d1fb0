import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";

/** Runs `body` in a process of its own and returns what reached its standard error. */
function stderrOf(body: string, environment: Record<string, string> = {}): string {
  const quiet = new URL("../../../core/engine/quiet.ts", import.meta.url).href;
  const script = `import { writeSync } from "node:fs"; import { quietly } from ${JSON.stringify(quiet)}; ${body}`;
  const child = spawnSync(process.execPath, ["--import=tsx", "--input-type=module", "--eval", script], {
    encoding: "utf8",
    env: { ...process.env, ...environment },
  });
  assert.equal(child.status, 0, child.stderr);
  return child.stderr;
}

const notices = [
  "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
  "I0000 00:00:1.2    9 port.cc:153] oneDNN custom operations are on. You may see slightly different results.",
];
const load = `quietly(() => writeSync(2, ${JSON.stringify(`${notices.join("\n")}\nsomething else\n`)}));`;

describe("quietly", () => {
  before(function () {
    if (process.platform !== "linux") this.skip();
  });

  it("drops TensorFlow's start-up notices and passes on the rest", () => {
    const body = `${load} writeSync(2, "after\\n");`;
    assert.equal(stderrOf(body, { TF_CPP_MIN_LOG_LEVEL: "2" }), "something else\nafter\n");
  });

  it("hides nothing from a user who asked for everything", () => {
    assert.match(stderrOf(load, { TF_CPP_MIN_LOG_LEVEL: "0" }), /oneDNN custom operations/);
  });

  it("restores standard error when loading fails", () => {
    const body = `
      try { quietly(() => { writeSync(2, "before\\n"); throw new Error("no library"); }); }
      catch (error) { console.error(error.message); }`;
    assert.equal(stderrOf(body, { TF_CPP_MIN_LOG_LEVEL: "2" }), "before\nno library\n");
  });
});
