import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { root } from "../support/pages.ts";

describe("the API docs", function () {
  this.timeout(180_000);

  it("have all types that public signatures name, with a sentence each, and no broken link", () => {
    const { status, stdout, stderr } = spawnSync("npm", ["run", "-s", "docs:api", "--", "--emit", "none"], {
      cwd: root,
      encoding: "utf8",
    });
    assert.equal(status, 0, stdout + stderr);
  });
});
