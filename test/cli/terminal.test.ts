import assert from "node:assert/strict";
import { stripVTControlCharacters } from "node:util";
import { Terminal } from "../../cli/terminal.ts";

/** What stands on a screen after escape sequences took effect: only those that the terminal uses. */
function screen(written: string): string[] {
  return written.split("\n").map((line) => stripVTControlCharacters(line.split("\r\x1b[2K").at(-1)!));
}

function open(options: { isTTY: boolean; columns?: number; environment?: NodeJS.ProcessEnv }) {
  let written = "";
  const out = { write: (text: string) => (written += text), isTTY: options.isTTY, columns: options.columns };
  return { terminal: new Terminal(out, options.environment ?? {}), written: () => written };
}

describe("terminal", () => {
  it("keeps the changing line below the lines that stay", () => {
    const { terminal, written } = open({ isTTY: true, columns: 40 });
    terminal.line("first");
    terminal.live("step 1");
    terminal.line("second");
    terminal.live("step 2");
    assert.deepEqual(screen(written()), ["first", "second", "step 2"]);
  });

  it("leaves the cursor at the start of an empty line", () => {
    const { terminal, written } = open({ isTTY: true, columns: 40 });
    terminal.live("step 1");
    terminal.clear();
    terminal.line("last");
    assert.deepEqual(screen(written()), ["last", ""]);
    terminal.clear();
    assert.deepEqual(screen(written()), ["last", ""]);
  });

  it("cuts a changing line that would wrap, without cutting a colour", () => {
    const { terminal, written } = open({ isTTY: true, columns: 10 });
    terminal.live("\x1b[32m123456789\x1b[39m");
    assert.deepEqual(screen(written()), ["123456789"]);
    terminal.live("\x1b[32m1234567890\x1b[39m");
    assert.deepEqual(screen(written()), ["12345678…"]);
  });

  it("has no changing line where nobody sees it", () => {
    for (const { isTTY, environment } of [
      { isTTY: false, environment: {} },
      { isTTY: true, environment: { CI: "true" } },
      { isTTY: true, environment: { TERM: "dumb" } },
    ]) {
      const { terminal, written } = open({ isTTY, environment });
      terminal.live("step 1");
      terminal.line("stays");
      terminal.clear();
      assert.equal(written(), "stays\n");
    }
  });
});
