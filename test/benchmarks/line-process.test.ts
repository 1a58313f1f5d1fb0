import assert from "node:assert/strict";
import { LineProcess } from "../../benchmarks/baselines/line-process.ts";
import { UsageError } from "../../benchmarks/command.ts";

/** Greets, then doubles numbers; 0 makes it stammer, and a negative number end. */
const DOUBLING = `
  console.log('"ready"');
  require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
    const number = JSON.parse(line);
    if (number < 0) process.exit(3);
    console.log(number === 0 ? "not a number" : JSON.stringify({ [process.env.WORD]: 2 * number }));
  });`;

/** Hears nothing: what is written to it is EPIPE. */
const DEAF = `
  require("node:fs").closeSync(0);
  console.log('"ready"');
  setTimeout(() => undefined, 200);`;

describe("a process that answers lines", () => {
  const start = (script = DOUBLING, program = process.execPath) =>
    new LineProcess({ program, args: ["-e", script], env: { WORD: "doubled" }, ended: "it ended" });
  const ends = (error: unknown) => error instanceof UsageError && error.message === "it ended";

  it("greets, and answers one after the other", async () => {
    const doubling = start();
    assert.equal(await doubling.answer(), "ready");
    assert.deepEqual(await doubling.ask(2), { doubled: 4 });
    assert.deepEqual(await doubling.ask(3.5), { doubled: 7 });
    doubling.close();
    await assert.rejects(doubling.answer(), ends);
  });

  it("is told by its answer where that is no JSON, and goes on", async () => {
    const doubling = start();
    await doubling.answer();
    await assert.rejects(
      doubling.ask(0),
      (error) =>
        error instanceof UsageError && /answered with what is no JSON: not a number$/.test(error.message),
    );
    assert.deepEqual(await doubling.ask(1), { doubled: 2 });
    doubling.close();
  });

  it("is a UsageError where it dies, also when asked again", async () => {
    const doubling = start();
    await doubling.answer();
    await assert.rejects(doubling.ask(-1), ends);
    await assert.rejects(doubling.ask(1), ends);
  });

  it("is a UsageError where it does not listen any more", async () => {
    const deaf = start(DEAF);
    await deaf.answer();
    await assert.rejects(deaf.ask(1), ends);
  });

  it("is a UsageError where there is no such program", async () => {
    await assert.rejects(
      start(DOUBLING, "no-such-program").answer(),
      (error) => error instanceof UsageError && /^no-such-program did not start: /.test(error.message),
    );
  });
});
