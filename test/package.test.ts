import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (file: string) => readFileSync(root + file, "utf8");
const manifest = JSON.parse(read("package.json")) as {
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  files: string[];
  bin: Record<string, string>;
  exports: Record<string, string | { "relata-source": string }>;
};

/** "@scope/name/path" -> "@scope/name" */
const packageOf = (specifier: string) => specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");

describe("package", () => {
  it("depends on all that its code imports, and on nothing else", () => {
    const inFolders = ["core", "plugins", "registry", "cli"].flatMap((folder) =>
      readdirSync(root + folder, { recursive: true, encoding: "utf8" }).map((file) => `${folder}/${file}`),
    );
    const files = ["index.ts", "bin/relata.js", ...inFolders.filter((file) => file.endsWith(".ts"))];
    assert.ok(files.length > 50);
    const imported = new Set(
      files
        .flatMap((file) => ts.preProcessFile(read(file), true, true).importedFiles)
        .map(({ fileName }) => packageOf(fileName))
        .filter((name) => !/^(\.|node:)/.test(name) && !builtinModules.includes(name)),
    );
    // The launcher passes it to Node by its address.
    imported.add("tsx");
    assert.deepEqual([...imported].sort(), Object.keys(manifest.dependencies).sort());
  });

  it("neither depends on tfjs-node-gpu nor runs a script when it is installed", () => {
    assert.ok(!("@tensorflow/tfjs-node-gpu" in manifest.dependencies));
    assert.ok("@tensorflow/tfjs-node-gpu" in manifest.devDependencies);
    const { scripts } = manifest as unknown as { scripts: Record<string, string> };
    for (const hook of ["preinstall", "install", "postinstall", "prepare"])
      assert.ok(!(hook in scripts), hook);
  });

  it("has what its manifest names", () => {
    const sources = Object.values(manifest.exports).map((e) =>
      typeof e === "string" ? e : e["relata-source"],
    );
    const named = [...sources, ...Object.values(manifest.bin), ...manifest.files].filter(
      (file) => file !== "dist",
    );
    const missing = named.filter((file) => !file.includes("*") && !existsSync(root + file));
    assert.deepEqual(missing, []);
  });
});
