import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { newPlugin, pluginKinds } from "../../core/scaffold.ts";

describe("newPlugin", () => {
  let parent: string;
  beforeEach(() => (parent = mkdtempSync(join(tmpdir(), "relata-new-"))));
  afterEach(() => rmSync(parent, { recursive: true }));

  const FILES = ["README.md", "index.test.ts", "index.ts", "package.json", "run.yaml"];

  for (const kind of pluginKinds) {
    it(`writes a ${kind} plugin under its name, with test, page, package and config`, () => {
      const folder = join(parent, "sub", "acme-idea");
      const { files } = newPlugin({ name: "acme-idea", kind, folder });
      assert.deepEqual([...files].sort(), FILES);
      assert.deepEqual(readdirSync(folder).sort(), FILES);
      const text = (file: string) => readFileSync(join(folder, file), "utf8");
      for (const file of FILES) assert.ok(!text(file).includes("my-plugin"), file);
      assert.match(text("index.ts"), /name: "acme-idea"/);
      const manifest = JSON.parse(text("package.json")) as Record<string, unknown>;
      assert.deepEqual(
        [manifest["name"], manifest["private"], manifest["type"]],
        ["acme-idea", true, "module"],
      );
      const config = parse(text("run.yaml")) as { plugins: unknown[] };
      assert.ok(config.plugins.includes("./index.ts"));
    });
  }

  it("makes a package that can be published when asked to", () => {
    const folder = join(parent, "own");
    newPlugin({ name: "own", kind: "loss", folder, publishable: true });
    const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Record<
      string,
      unknown
    >;
    assert.ok(!("private" in manifest));
    assert.deepEqual(manifest["peerDependencies"], { relata: "*" });
  });

  it("takes an empty folder, and refuses one that holds something, a file, and a bad name", () => {
    newPlugin({ name: "own", kind: "relation", folder: mkdtempSync(join(parent, "empty-")) });
    const full = mkdtempSync(join(parent, "full-"));
    writeFileSync(join(full, "mine.txt"), "kept");
    for (const folder of [full, join(full, "mine.txt")]) {
      assert.throws(() => newPlugin({ name: "own", kind: "relation", folder }), {
        code: "PLUGIN_FOLDER_EXISTS",
      });
    }
    assert.deepEqual(readdirSync(full), ["mine.txt"]);
    for (const name of ["Own", "my plugin", "-a", "a--b", "", "../a"]) {
      assert.throws(() => newPlugin({ name, kind: "relation", folder: join(parent, "x") }), {
        code: "PLUGIN_NAME",
      });
    }
    assert.ok(!readdirSync(parent).includes("x"));
  });
});
