import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const SOURCES = ["--import", "tsx", "--conditions=relata-source"];

describe("the CLI's process", function () {
  this.timeout(60_000);

  it("prints help without loading what computes", () => {
    // At the end, lists on standard error which libraries and heavy packages are in the process.
    const report = `
      import { createRequire } from "node:module";
      process.report.excludeNetwork = true;
      process.on("exit", () => {
        const modules = Object.keys(createRequire(process.execPath).cache);
        console.error(JSON.stringify([...process.report.getReport().sharedObjects, ...modules]));
      });`;
    const hook = ["--import", `data:text/javascript,${encodeURIComponent(report)}`];
    const child = spawnSync(process.execPath, [...SOURCES, ...hook, path("../../cli/main.ts"), "--help"], {
      encoding: "utf8",
    });
    assert.equal(child.status, 0, child.stderr);
    assert.match(child.stdout, /Usage: relata[^]*train[^]*doctor/);
    const loaded = JSON.parse(child.stderr) as string[];
    assert.ok(
      loaded.some((file) => file.includes("commander")),
      "the list is not of this process",
    );
    const heavy = loaded.filter((file) =>
      /tensorflow|koffi|sharp|vips|piscina|protobufjs|tsyringe/.test(file),
    );
    assert.deepEqual(heavy, []);
  });

  it("tells what was typed wrong, through the launcher", () => {
    const relata = (...args: string[]) => {
      const child = spawnSync(process.execPath, [path("../../bin/relata.js"), ...args], {
        encoding: "utf8",
        env: { ...process.env, NO_COLOR: "1" },
      });
      assert.equal(child.stdout, "");
      return [child.status, child.stderr];
    };
    assert.deepEqual(relata("trian"), [
      2,
      "✖ USAGE\n  unknown command 'trian'. Did you mean train?\n  fix: see `relata --help`\n",
    ]);
    assert.deepEqual(relata("train"), [
      2,
      "✖ USAGE\n  there is no config\n  fix: name a config file, or a preset with --preset\n",
    ]);
  });

  /** Sends signals after the output has the given text, and gives the end. */
  async function stopped(
    finishingMs: number,
    signals: { after: string; waitMs: number; signal: NodeJS.Signals }[],
  ) {
    const child = spawn(process.execPath, [...SOURCES, path("fake-work.ts"), String(finishingMs)], {
      env: { ...process.env, NO_COLOR: "1" },
    });
    let output = "";
    const waiting = [...signals];
    const send = () => {
      const next = waiting[0];
      if (!next || !output.includes(next.after)) return;
      waiting.shift();
      setTimeout(() => child.kill(next.signal), next.waitMs);
    };
    child.stdout.on("data", (data: Buffer) => {
      output += data.toString();
      send();
    });
    const code = await new Promise<number | null>((done) => child.on("exit", done));
    return { code, output };
  }

  it("finishes in good order after one signal, with its exit code", async () => {
    const first = { after: "working", waitMs: 0 };
    const [interrupted, terminated] = await Promise.all([
      stopped(50, [{ ...first, signal: "SIGINT" }]),
      stopped(50, [{ ...first, signal: "SIGTERM" }]),
    ]);
    assert.deepEqual(interrupted, { code: 130, output: "working\nstopping\nsaved\n" });
    assert.deepEqual(terminated, { code: 143, output: "working\nstopping\nsaved\n" });
  });

  it("ends at once after a second signal", async () => {
    const end = await stopped(60_000, [
      { after: "working", waitMs: 0, signal: "SIGINT" },
      { after: "stopping", waitMs: 600, signal: "SIGINT" },
    ]);
    assert.deepEqual(end, { code: 130, output: "working\nstopping\n" });
  });

  it("saves a run that a signal to the launcher stops", async () => {
    const folder = mkdtempSync(join(tmpdir(), "relata-process-"));
    try {
      for (let i = 0; i < 2; i++) {
        const image = sharp({
          create: { width: 16, height: 16, channels: 3, background: { r: 99 * i, g: 0, b: 0 } },
        });
        await image.png().toFile(join(folder, `${i}.png`));
      }
      const config = {
        data: { path: ".", workers: 0 },
        backbone: { arch: "vit", embedDim: 8, depth: 1, numHeads: 2, patchSize: 8 },
        train: { epochs: 100_000, batchSize: 2, engine: "eager", backend: "cpu" },
        plugins: [
          { use: "multi-crop", with: { globalCrops: { size: 16 }, localCrops: { count: 0 } } },
          { use: "dino", with: { outDim: 8, hiddenDim: 8, bottleneckDim: 4 } },
        ],
      };
      writeFileSync(join(folder, "run.json"), JSON.stringify(config));
      const child = spawn(
        process.execPath,
        [path("../../bin/relata.js"), "train", "run.json", "--out", "out"],
        {
          cwd: folder,
        },
      );
      let output = "";
      for (const stream of [child.stdout, child.stderr]) {
        stream.on("data", (data: Buffer) => {
          // Two signals at once are what a terminal's Ctrl-C becomes on its way through npm and the launcher.
          if (!output.includes("step 1/") && String(data).includes("step 1/")) {
            child.kill("SIGINT");
            child.kill("SIGTERM");
          }
          output += String(data);
        });
      }
      const code = await new Promise<number | null>((done) => child.on("close", done));
      assert.ok(code === 130 || code === 143, output);
      assert.match(output, /stopping: [^]*stopped after \d+ steps?\n[^]*npx relata train --resume out\n$/);
      const run = JSON.parse(readFileSync(join(folder, "out/run.json"), "utf8")) as { status: string };
      assert.equal(run.status, "stopped");
      assert.equal(readdirSync(join(folder, "out/checkpoints")).length, 2);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
