import assert from "node:assert/strict";
import { join } from "node:path";
import type { PluginEntry } from "../../core/config/plugin-entry.ts";
import * as pluginApi from "../../core/plugin.ts";
import { builtins } from "../../registry/builtins.ts";
import { resolvePlugins } from "../../registry/resolve.ts";
import { tempFolder } from "../core/config/temp-folder.ts";

const { definePlugin, z } = pluginApi;

/** A plugin's file; `definePlugin` is also exported for the test to see which one the file got. */
const source = (name: string, manifest = "") => `
import { definePlugin, z } from "relata/plugin";
export default Object.assign(
  definePlugin(
    {
      name: "${name}",
      api: "^1",
      summary: "a test",
      options: z.strictObject({ weight: z.number().default(0.5) }),
      ${manifest}
    },
    () => {},
  ),
  { definePlugin },
);
`;

describe("plugin registry", () => {
  const folder = tempFolder();
  const resolve = (...entries: (string | PluginEntry)[]) =>
    resolvePlugins(
      entries.map((entry) => (typeof entry === "string" ? { use: entry, with: {} } : entry)),
      folder.path,
    );
  const names = async (...entries: (string | PluginEntry)[]) =>
    (await resolve(...entries)).map(({ definition }) => definition.manifest.name);

  describe("finds", () => {
    for (const name of Object.keys(builtins)) {
      it(`the built-in ${name} under its name`, async () => assert.deepEqual(await names(name), [name]));
    }

    it("a file beside the config, with its ending or without", async () => {
      folder.write("lib/my-relation.ts", source("my-relation"));
      folder.write("folder/index.ts", source("in-a-folder"));
      folder.write("script.mjs", source("script"));
      const found = await resolve("./lib/my-relation.ts", "./folder", "./script");
      assert.deepEqual(
        found.map(({ source }) => source),
        ["./lib/my-relation.ts", "./folder", "./script"],
        "what the config calls them",
      );
      assert.deepEqual(
        found.map(({ definition, options }) => [definition.manifest.name, options]),
        [
          ["my-relation", { weight: 0.5 }],
          ["in-a-folder", { weight: 0.5 }],
          ["script", { weight: 0.5 }],
        ],
      );
      assert.deepEqual(await names(join(folder.path, "lib/my-relation.ts")), ["my-relation"]);
    });

    it("an npm package that the config's folder can import", async () => {
      const pack = (exports: unknown) =>
        JSON.stringify({ name: "@acme/ssl", version: "1.0.0", type: "module", exports });
      folder.write("node_modules/@acme/ssl/package.json", pack({ import: "./lib/main.js" }));
      folder.write("node_modules/@acme/ssl/lib/main.js", source("acme-ssl"));
      assert.deepEqual(await names({ use: "@acme/ssl", with: { weight: 2 } }), ["acme-ssl"]);
    });

    it("a package in TypeScript", async () => {
      folder.write(
        "node_modules/ssl-ts/package.json",
        '{ "name": "ssl-ts", "type": "module", "exports": "./main.ts" }',
      );
      folder.write("node_modules/ssl-ts/main.ts", `const used: number = 1;\n${source("ssl-ts")}`);
      assert.deepEqual(await names("ssl-ts"), ["ssl-ts"]);
    });

    it("a value of a TypeScript config", async () => {
      const own = definePlugin(
        {
          name: "own",
          api: "^1",
          summary: "",
          options: z.strictObject({ a: z.number(), b: z.number().default(2) }),
        },
        () => {},
      );
      const [plugin] = await resolve(own({ a: 1 }));
      assert.equal(plugin?.definition, own);
      assert.deepEqual(plugin?.options, { a: 1, b: 2 });
    });
  });

  it("gives every plugin the running relata, even beside another copy", async () => {
    const copy = JSON.stringify({ name: "relata", type: "module", exports: { "./plugin": "./plugin.js" } });
    folder.write("copy/node_modules/relata/package.json", copy);
    folder.write("copy/node_modules/relata/plugin.js", 'throw new Error("the other copy was loaded");');
    folder.write("copy/helper.ts", 'export * from "relata/plugin";\n');
    folder.write("copy/own.ts", source("own").replace("relata/plugin", "./helper.js"));
    folder.write("copy/other.js", source("other"));
    const found = await resolve("./copy/own.ts", "./copy/other.js");
    for (const { definition } of found) {
      assert.equal((definition as unknown as typeof pluginApi).definePlugin, definePlugin);
    }
  });

  it("applies plugins in the order of their `after`", async () => {
    folder.write("last.ts", source("last", 'after: ["multi-crop", "dino"],'));
    assert.deepEqual(await names("./last.ts", "dino", "multi-crop"), ["multi-crop", "dino", "last"]);
    folder.write("one.ts", source("one", 'after: ["two"],'));
    folder.write("two.ts", source("two", 'after: ["one"],'));
    await assert.rejects(names("./one.ts", "./two.ts"), {
      code: "PLUGIN_CYCLE",
      message: /one -> two -> one$/,
    });
  });

  describe("refuses", () => {
    const cases: [what: string, file: string, code: string, message: RegExp][] = [
      ["no default export", "export const plugin = 1;", "PLUGIN_SHAPE", /it has no default export/],
      [
        "a plugin that is called",
        `${source("called")}`.replace("{ definePlugin },\n)", "{ definePlugin },\n)()"),
        "PLUGIN_SHAPE",
        /already called/,
      ],
      [
        "another default export",
        "export default class Plugin {}",
        "PLUGIN_SHAPE",
        /default export is \[class Plugin\]/,
      ],
      ["a name in capitals", source("MyRelation"), "PLUGIN_SHAPE", /its name is "MyRelation"/],
      [
        "another contract",
        source("future").replace('"^1"', '"^2"'),
        "PLUGIN_API",
        /version "\^2" .* has \^1/,
      ],
      [
        "a schema that is none",
        source("bare").replace(/z\.strictObject\(.*\),/, "{ weight: 1 },"),
        "PLUGIN_SHAPE",
        /not a zod 4 schema/,
      ],
      ["a file that throws", 'throw new Error("out of luck");\nexport {};', "PLUGIN_LOAD", /out of luck/],
      ["a file with a mistake", "export default {;", "PLUGIN_LOAD", /mistake\.ts:1:16/],
      [
        "a file that imports what is missing",
        'export * from "not-installed";',
        "PLUGIN_LOAD",
        /not-installed/,
      ],
    ];
    for (const [what, content, code, message] of cases) {
      it(what, async () => {
        const file = `./refused/${what.replaceAll(" ", "-").replace(/^a-file-with-a-/, "")}.ts`;
        folder.write(file, content);
        await assert.rejects(resolve(file), { code, message });
      });
    }

    it("a name that is nowhere, with where it looked", async () => {
      await assert.rejects(resolve("dyno"), {
        code: "PLUGIN_UNKNOWN",
        message: `plugin "dyno" is neither built in nor a package that ${folder.path} can import. Did you mean "dino"?`,
        fix: /multi-crop, dino/,
      });
      await assert.rejects(resolve("constructor"), { code: "PLUGIN_UNKNOWN" });
    });

    it("a file that is not there, with one like it", async () => {
      folder.write("near/relation.ts", source("relation"));
      await assert.rejects(resolve("./near/relatoin.ts"), {
        code: "PLUGIN_FILE_MISSING",
        message: /near\/relatoin\.ts\. Did you mean "relation\.ts"\?/,
      });
      await assert.rejects(resolve("./no/such"), {
        code: "PLUGIN_FILE_MISSING",
        fix: /such\.ts, .*such\.js/,
      });
    });

    it("an unknown option, with its path", async () => {
      await assert.rejects(resolve({ use: "dino", with: { weigth: 1 } }), {
        code: "CONFIG_UNKNOWN_KEY",
        message: 'plugins.dino.with.weigth: unknown key. Did you mean "weight"?',
      });
      const nested = { use: "multi-crop", with: { localCrops: { cuont: 1 } } };
      await assert.rejects(resolve(nested), {
        message: /^plugins\.multi-crop\.with\.localCrops\.cuont: .*"count"/,
      });
    });

    it("an option of another type", async () => {
      await assert.rejects(resolve({ use: "dino", with: { weight: "much" } }), {
        code: "CONFIG_INVALID",
        message: 'plugins.dino.with.weight: expected a number, got "much"',
      });
    });

    it("the same plugin twice, by whatever way", async () => {
      folder.write("dino.ts", source("dino"));
      await assert.rejects(resolve("dino", "multi-crop", "./dino.ts"), {
        code: "PLUGIN_TWICE",
        message: 'plugin "dino" is listed 2 times (dino, ./dino.ts)',
      });
    });

    it("a plugin without the one that it requires", async () => {
      folder.write("needy.ts", source("needy", 'requires: ["dino"],'));
      await assert.rejects(resolve("./needy.ts"), {
        code: "PLUGIN_REQUIRES",
        message: 'plugin "needy" requires "dino", which is not enabled',
        fix: 'add "dino" to plugins',
      });
      assert.deepEqual(await names("./needy.ts", "dino"), ["needy", "dino"]);
    });

    it("all that is wrong at once", async () => {
      const wrong = { weigth: 1, outDim: 0 };
      await assert.rejects(
        resolve({ use: "dino", with: wrong }, "./needy.ts", "./needy.ts"),
        (error: Error) => {
          assert.deepEqual(error.message.split("\n"), [
            "3 problems in the config:",
            '  - plugin "needy" is listed 2 times (./needy.ts, ./needy.ts)',
            "  - plugins.dino.with.outDim: expected a number above 0, got 0",
            '  - plugins.dino.with.weigth: unknown key. Did you mean "weight"?',
          ]);
          return true;
        },
      );
    });
  });
});
