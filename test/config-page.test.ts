import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describeOptions } from "../core/config/describe.ts";
import { parseConfig } from "../core/config/parse.ts";
import { runSchema } from "../core/config/schema.ts";
import { configPage, PAGE } from "../scripts/config-page.ts";

describe("docs/config.md", () => {
  const page = configPage();

  it("is what `npm run docs:config` makes of the schema", () => {
    assert.ok(
      readFileSync(PAGE, "utf8") === page,
      "docs/config.md is out of date: run `npm run docs:config`",
    );
  });

  it("has every key once, in the section of its name", () => {
    const sections = page.split(/^## /m).slice(1);
    for (const { path } of describeOptions(runSchema)) {
      const own = sections.filter((section) => section.includes(`| \`${path}\` |`));
      assert.equal(own.length, 1, path);
      const name = path.includes(".") ? path.split(".")[0]! : "The run";
      assert.ok(own[0]!.startsWith(`${name}\n`), `${path} is not in ${name}`);
    }
  });

  it("says of each key what it is, and marks what is required", () => {
    assert.match(page, /^\| `train\.epochs` \| integer \| \*\*required\*\* \| passes over the images \|$/m);
    assert.match(page, /^\| `train\.lr` \| number \| `0\.0005` \| peak learning rate per 256 samples: /m);
    assert.match(page, /^\| `evaluation\.dense\.masks` \| string \| {2}\| what is foreground: /m);
    assert.doesNotMatch(page, /undefined|\[object|\bor any\b/);
  });

  it("tells what is required as it is", () => {
    const smallest = {
      data: { path: "./photos" },
      train: { epochs: 100, batchSize: 64 },
      plugins: ["multi-crop", "dino"],
    };
    parseConfig(smallest, ".");
    const { epochs, batchSize } = smallest.train;
    for (const [key, without] of Object.entries({
      "train.epochs": { ...smallest, train: { batchSize } },
      "train.batchSize": { ...smallest, train: { epochs } },
      plugins: { ...smallest, plugins: undefined },
      "data.path": { ...smallest, data: {} },
    })) {
      assert.throws(() => parseConfig(without, "."), { code: "CONFIG_INVALID", message: new RegExp(key) });
    }
  });
});
