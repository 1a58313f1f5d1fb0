/** `relata export` and `relata embed` as they are typed. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { EmbedView } from "../../cli/embed-view.ts";
import { Terminal } from "../../cli/terminal.ts";
import { errors } from "../../core/errors.ts";
import type { EmbedProgress } from "../../core/run/embed.ts";
import { readBack } from "../core/embeddings/read-back.ts";
import { tinyCheckpoint } from "../core/run/tiny-checkpoint.ts";
import { pictureFolder } from "../core/trainer/runs.ts";
import { temporaryFolder } from "../core/trainer/temporary-folder.ts";

const relata = fileURLToPath(new URL("../../bin/relata.js", import.meta.url));

describe("weights out of the command line", function () {
  this.timeout(60_000);
  const pictures = pictureFolder();
  const base = temporaryFolder();
  const ON_CPU = ["--set", "train.engine=eager", "--set", "train.backend=cpu"];

  /** Runs a command in the base folder; a signal is sent when it first tells of images. */
  async function run(args: readonly string[], signal?: NodeJS.Signals) {
    const child = spawn(process.execPath, [relata, ...args], {
      cwd: base(),
      env: { ...process.env, NO_COLOR: "1" },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (data: Buffer) => {
        const before = output;
        output += String(data);
        if (signal && !before.includes("image ") && output.includes("image ")) child.kill(signal);
      });
    }
    const code = await new Promise<number | null>((done) => child.on("close", done));
    return { code, output };
  }

  it("exports a run, embeds by what was exported, and says what it did", async () => {
    await tinyCheckpoint(base());
    const exported = await run([
      "export",
      "run",
      "--checkpoint",
      "5",
      "--network",
      "student",
      "--out",
      "model",
    ]);
    assert.equal(exported.code, 0, exported.output);
    assert.match(
      exported.output,
      /✔ model: vit_base_patch16_224, [\d,]+ weights of the student after 5 steps\n.*timm\.create_model\("local-dir:model", pretrained=True\)\n$/,
    );
    const images = join(pictures(), "images");
    const args = [
      "embed",
      "model",
      images,
      "--out",
      "x.npy",
      "--pooling",
      "patches",
      "--limit",
      "3",
      ...ON_CPU,
    ];
    const embedded = await run(args);
    assert.equal(embedded.code, 0, embedded.output);
    assert.match(embedded.output, /image 3\/3 \(100 %\), .* images\/s[^]*✔ x\.npy: 3 × 16 × 24\n/);
    assert.deepEqual((await readBack(join(base(), "x.npy"))).shape, [3, 16, 24]);
  });

  it("leaves nothing of an embedding that Ctrl-C stops", async () => {
    await tinyCheckpoint(base());
    mkdirSync(join(base(), "many"));
    const picture = join(pictures(), "images/even/0.png");
    for (let i = 0; i < 3000; i++) symlinkSync(picture, join(base(), `many/${i}.png`));
    const { code, output } = await run(
      ["embed", "run", "many", "--out", "x.npy", "--batch", "2", ...ON_CPU],
      "SIGINT",
    );
    assert.equal(code, 130, output);
    assert.match(output, /stopping: nothing is kept/);
    assert.ok(!existsSync(join(base(), "x.npy")));
    assert.deepEqual(readdirSync(base()).sort(), ["many", "run"]);
  });

  it("tells of images that are left out, and counts them where they are many", () => {
    let written = "";
    const terminal = new Terminal({ write: (text: string) => (written += text) }, {});
    let now = 0;
    const view = new EmbedView(terminal, () => now);
    for (let i = 0; i < 7; i++) view.leftOut(errors.imageUnreadable(`${i}.png`, "broken"));
    const at = (done: number): EmbedProgress => ({
      ...{ done, total: 40, skipped: 7, imagesPerSecond: 12.345, etaSeconds: 90, waitShare: 0.25 },
    });
    for (let done = 10; done <= 40; done += 10, now += 6000) view.progress(at(done));
    const lines = stripVTControlCharacters(written).trimEnd().split("\n");
    assert.deepEqual(lines.slice(0, 6), [
      ...[0, 1, 2, 3, 4].map((i) => `left out: ${i}.png cannot be read as an image: broken`),
      "further ones are counted",
    ]);
    const facts = "12.35 images/s, 2 min left, 7 left out, waiting for images 25 %";
    assert.deepEqual(lines.slice(6), [
      `image 10/40 (25 %), ${facts}`,
      `image 30/40 (75 %), ${facts}`,
      `image 40/40 (100 %), ${facts}`,
    ]);
  });
});
