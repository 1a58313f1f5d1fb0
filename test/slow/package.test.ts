import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { pluginKinds } from "../../core/scaffold.ts";
import { readMetrics } from "../../core/report/metrics-log.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** A plugin as a user writes it, beside the config. */
const PLUGIN = `
  import { definePlugin, tf, z } from "relata/plugin";
  import { RelataError } from "relata";
  if (typeof RelataError !== "function") throw new Error("relata has no RelataError");
  export default definePlugin(
    { name: "shrink", api: "^1", summary: "A small penalty.", options: z.strictObject({ weight: z.number() }) },
    (hooks, { name, options }) => {
      hooks.setup.tap(name, (setup) => {
        const pass = setup.pass({ network: setup.network("student"), views: "global", outputs: { cls: true } });
        hooks.loss.tap(name, (losses, step) => {
          losses.add(name, options.weight, tf.mean(tf.square(step.output(pass).clsToken)));
        });
      });
    },
  );`;

const PROGRAM = `
  import { defineConfig, RelataError, train, type RunSummary } from "relata";
  import dino from "relata/plugins/dino";
  const config = defineConfig({
    data: { path: "./images" },
    train: { epochs: -1, batchSize: 4 },
    plugins: ["multi-crop", dino({ outDim: 64 })],
  });
  try {
    const summary: RunSummary = await train(config);
    console.log(summary.folder);
  } catch (error) {
    if (error instanceof RelataError) console.log(error.code);
  }`;

/** For node's own test runner. */
const TESTER = `
  import { describe, it } from "node:test";
  import { PluginTester } from "relata/testing";
  import shrink from "./tested.mts";
  PluginTester.runner = { describe, it };
  PluginTester.run(shrink, { valid: [{ weight: 0.5 }], invalid: [{ options: { weight: "1" }, path: "weight" }] });
`;

const CONFIG = {
  data: { path: "./images", workers: 1 },
  backbone: { arch: "vit", embedDim: 32, depth: 2, numHeads: 2, patchSize: 8 },
  train: { epochs: 1, batchSize: 4, maxSteps: 2 },
  plugins: [
    { use: "multi-crop", with: { globalCrops: { size: 32 }, localCrops: { count: 2, size: 16 } } },
    { use: "dino", with: { outDim: 64, hiddenDim: 32, bottleneckDim: 16 } },
    { use: "./shrink.ts", with: { weight: 0.1 } },
  ],
};

describe("the installed package", function () {
  this.timeout(600_000);
  let project: string;

  function run(folder: string, program: string, ...args: string[]): string {
    const { status, stdout, stderr } = spawnSync(program, args, { cwd: folder, encoding: "utf8" });
    assert.equal(status, 0, `${program} ${args.join(" ")}\n${stdout}${stderr}`);
    return stdout;
  }

  before(async () => {
    project = mkdtempSync(join(tmpdir(), "relata-package-"));
    run(root, process.execPath, "scripts/build.mjs");
    const packed = JSON.parse(run(root, "npm", "pack", "--json", "--pack-destination", project)) as [
      { filename: string },
    ];
    writeFileSync(join(project, "package.json"), JSON.stringify({ name: "user", private: true }));
    // Install scripts run, as they do for anybody who did not forbid them.
    run(project, "npm", "install", "--ignore-scripts=false", "--no-audit", "--no-fund", packed[0].filename);
    mkdirSync(join(project, "images"));
    for (let i = 0; i < 8; i++) {
      const background = { r: 30 * i, g: 255 - 30 * i, b: 128 };
      const image = sharp({ create: { width: 40, height: 40, channels: 3, background } });
      await image.png().toFile(join(project, "images", `${i}.png`));
    }
  });
  after(() => rmSync(project, { recursive: true }));

  it("holds compiled code and nothing of tests or tools", () => {
    const own = readdirSync(join(project, "node_modules/relata")).sort();
    assert.deepEqual(own, [
      "CHANGELOG.md",
      "CONTRIBUTING.md",
      "LICENSE",
      "README.md",
      "benchmarks",
      "bin",
      "dist",
      "docs",
      "examples",
      "package.json",
      "plugins",
      "templates",
    ]);
    const pages = readdirSync(join(project, "node_modules/relata/plugins"), { recursive: true }) as string[];
    const files = pages.filter((page) => page.includes("/"));
    assert.ok(files.length > 0 && files.every((page) => page.endsWith("/README.md")), files.join(" "));
    // The recipes, which are the presets, and the page that they refer to; no programs.
    const benchmarks = readdirSync(join(project, "node_modules/relata/benchmarks")).sort();
    assert.deepEqual(benchmarks, ["README.md", "recipes"]);
    const compiled = readdirSync(join(project, "node_modules/relata/dist")).sort();
    assert.deepEqual(compiled, ["cli", "core", "index.d.ts", "index.js", "plugins", "registry"]);
  });

  it("does not bring tfjs-node-gpu, whose kernel layer is inside", () => {
    const installed = readdirSync(join(project, "node_modules/@tensorflow"));
    assert.deepEqual(installed.sort(), ["tfjs-backend-cpu", "tfjs-core"]);
    const layer = readFileSync(
      join(project, "node_modules/relata/dist/core/engine/kernel-layer.cjs"),
      "utf8",
    );
    assert.match(
      layer.slice(0, 300),
      /^\/\* The kernel layer of @tensorflow\/tfjs-node-gpu .* Apache-2\.0 licence/s,
    );
    const required = [...layer.matchAll(/require\("([^".]+)"\)/g)].map(([, name]) => name);
    assert.deepEqual([...new Set(required)].sort(), ["@tensorflow/tfjs-core", "node:util", "os", "util"]);
  });

  it("shows help", () => {
    assert.match(run(project, "npx", "relata", "--help"), /Usage: relata/);
    assert.match(run(project, "npx", "relata", "train", "--help"), /dino-emoji[^]*sere-emoji/);
  });

  it("trains as the sources do, with a plugin beside the config", () => {
    writeFileSync(join(project, "shrink.ts"), PLUGIN);
    writeFileSync(join(project, "run.json"), JSON.stringify(CONFIG));
    const output = run(project, "npx", "relata", "train", "run.json", "--out", "installed");
    assert.match(output, /finished after 2 steps/);
    run(project, process.execPath, join(root, "bin/relata.js"), "train", "run.json", "--out", "sources");
    const [installed, sources] = ["installed", "sources"].map((folder) => {
      assert.ok(existsSync(join(project, folder, "report.html")));
      return readMetrics(join(project, folder, "metrics.jsonl")).slice(0, 2);
    });
    for (const [step, record] of installed!.entries()) {
      for (const name of ["loss", "loss/dino", "loss/shrink", "gradNorm"]) {
        const [got, want] = [record[name]!, sources![step]![name]!];
        assert.ok(Math.abs(got - want) <= 1e-5 * Math.abs(want), `${name} of step ${step}: ${got}, ${want}`);
      }
    }
  });

  it("tests a plugin with relata/testing, under node's test runner too", () => {
    writeFileSync(join(project, "tested.mts"), PLUGIN);
    writeFileSync(join(project, "tester.mts"), TESTER);
    const output = run(
      project,
      process.execPath,
      "--import",
      "tsx",
      "--test-reporter=tap",
      "--test",
      "tester.mts",
    );
    assert.match(output, /^# fail 0$/m);
    assert.match(output, /# Subtest: is the same captured into a graph/);
  });

  it("starts a plugin that passes its test and trains, changed and as a package of its own", () => {
    run(project, "npx", "relata", "new-plugin", "acme-angle", "--package");
    const folder = join(project, "acme-angle");
    // A formula of one's own: how patches point, not how similar they are.
    const source = readFileSync(join(folder, "index.ts"), "utf8");
    const changed = source.replace("l2Normalize(patchTokens)", "tf.tanh(l2Normalize(patchTokens))");
    assert.notEqual(changed, source);
    writeFileSync(join(folder, "index.ts"), changed.replace("temperedSoftmax, z", "temperedSoftmax, tf, z"));
    assert.match(run(folder, "npm", "test"), /^# fail 0$|ℹ fail 0/m);

    const [packed] = JSON.parse(run(folder, "npm", "pack", "--json")) as [{ filename: string }];
    const tarball = join(folder, packed.filename);
    run(project, "npm", "install", "--no-audit", "--no-fund", "--legacy-peer-deps", tarball);
    const [views, dino] = CONFIG.plugins;
    const config = {
      ...CONFIG,
      train: { epochs: 10, batchSize: 4, maxSteps: 20 },
      plugins: [views, dino, { use: "acme-angle", with: { weight: 0.5 } }],
    };
    writeFileSync(join(project, "angle.json"), JSON.stringify(config));
    assert.match(
      run(project, "npx", "relata", "train", "angle.json", "--out", "angle"),
      /finished after 20 steps/,
    );
    const records = readMetrics(join(project, "angle", "metrics.jsonl"));
    assert.ok(records.slice(0, 20).every((record) => Number.isFinite(record["loss/acme-angle"])));
    assert.ok(readFileSync(join(project, "angle", "report.html"), "utf8").includes("acme-angle"));
  });

  for (const kind of pluginKinds) {
    it(`starts a ${kind} plugin whose config trains as it is`, () => {
      const name = `own-${kind}`;
      run(project, "npx", "relata", "new-plugin", name, "--kind", kind);
      // The pictures of this test, two at a time, and two blocks; all else is as written.
      const small = [
        "--set",
        `data.path=${join(project, "images")}`,
        "--set",
        "train.batchSize=2",
        "--set",
        "backbone.depth=2",
      ];
      const output = run(project, "npx", "relata", "train", `${name}/run.yaml`, "--dry-run", ...small);
      assert.ok(output.includes(name), output);
    });
  }

  it("is a library with types", () => {
    writeFileSync(join(project, "program.mts"), PROGRAM);
    const options =
      "--noEmit --strict --skipLibCheck --module nodenext --target es2023 --lib es2023,dom".split(" ");
    run(project, process.execPath, join(root, "node_modules/typescript/bin/tsc"), ...options, "program.mts");
    assert.equal(run(project, process.execPath, "--import", "tsx", "program.mts"), "CONFIG_INVALID\n");
  });
});
