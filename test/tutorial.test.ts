/** The tutorial, followed to the letter but with few images and steps. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as tf from "@tensorflow/tfjs-core";
import { importModule } from "../core/config/import-module.ts";
import { readMetrics } from "../core/report/metrics-log.ts";
import type { Checkpoint } from "../core/trainer/checkpoint.ts";
import { makeEngine } from "./support/engines.ts";
import { blocksOf, fileOf, root } from "./support/pages.ts";
import { userProject } from "./support/user-project.ts";

const PAGE = "docs/tutorial.md";
const NAME = "distance-relation";
const RUN = "runs/distance-0";

/** The page's command that begins so, without `npx relata`. */
function typed(start: string): string[] {
  const lines = blocksOf(PAGE).flatMap(({ language, code }) => (language === "sh" ? code.split("\n") : []));
  const line = lines.find((one) => one.startsWith(`npx relata ${start}`));
  assert.ok(line, `the page has no command ${start}`);
  return line.split(" ").slice(2);
}

const few = ["--limit", "24", "--set", "train.batchSize=8"];

describe("the tutorial", function () {
  this.timeout(180_000);
  const project = userProject();

  function run(program: string, ...args: string[]): string {
    const { status, stdout, stderr } = spawnSync(program, args, {
      cwd: project.path,
      encoding: "utf8",
      env: { ...process.env, NO_COLOR: "1", NODE_OPTIONS: "--conditions=relata-source" },
    });
    assert.equal(status, 0, `${program} ${args.join(" ")}\n${stdout}${stderr}`);
    return stdout;
  }
  const relata = (...args: string[]) => run(process.execPath, join(root, "bin/relata.js"), ...args);
  const written = (file: string) => project.write(file, fileOf(PAGE, file));
  const text = (file: string) => readFileSync(join(project.path, file), "utf8");

  it("starts a plugin, whose file then has at most 30 lines", () => {
    relata(...typed("new-plugin"));
    for (const file of ["index.ts", "index.test.ts"]) {
      assert.ok(existsSync(join(project.path, NAME, file)), `${file} was not made`);
      written(`${NAME}/${file}`);
    }
    assert.ok(text(`${NAME}/index.ts`).trimEnd().split("\n").length <= 30, "the plugin is longer");
  });

  it("has the formula: distances over their mean, of a triangle of sides 3, 4 and 5", async () => {
    const { distances } = (await importModule(pathToFileURL(join(project.path, NAME, "index.ts")).href)) as {
      distances: (products: tf.Tensor) => tf.Tensor;
    };
    const engine = await makeEngine("eager on cpu");
    try {
      const ratios = tf.tidy(() => {
        const points = tf.tensor4d([0, 0, 3, 0, 0, 4], [1, 1, 3, 2]);
        return [...distances(tf.matMul(points, points, false, true)).dataSync()];
      });
      // The mean of the nine distances is 24 / 9.
      const wanted = [0, 3, 4, 3, 0, 5, 4, 5, 0].map((distance) => (distance * 9) / 24);
      const apart = Math.max(...ratios.map((ratio, i) => Math.abs(ratio - wanted[i]!)));
      assert.ok(apart < 1e-3, `${ratios.join(", ")} instead of ${wanted.join(", ")}`);
    } finally {
      engine.close();
    }
  });

  it("has a test that passes", () => {
    run("npm", "test", "--prefix", NAME);
  });

  it("trains with iBOT from a config, and shows up by name in metrics, checkpoint, profile and report", () => {
    const config = written("distance-emoji.yaml");
    assert.match(readFileSync(config, "utf8"), /use: ibot/);
    const small = [...few, "--set", "train.maxSteps=2", "--set", "report.samples=2"];
    relata(...typed("train distance-emoji.yaml --set seed=0"), ...small);

    const steps = readMetrics(join(project.path, RUN, "metrics.jsonl")).filter(
      ({ loss }) => loss !== undefined,
    );
    assert.equal(steps.length, 2);
    for (const name of [NAME, "ibot"]) {
      const losses = steps.map((record) => record[`loss/${name}`]!);
      assert.ok(
        losses.every((loss) => loss > 0 && Number.isFinite(loss)),
        `loss/${name}: ${losses.join(", ")}`,
      );
    }
    const checkpoint = readdirSync(join(project.path, RUN, "checkpoints")).find((file) =>
      file.endsWith(".json"),
    );
    const { settings } = JSON.parse(text(`${RUN}/checkpoints/${checkpoint}`)) as Checkpoint;
    assert.deepEqual(Object.keys(settings.plugins), ["multi-crop", "dino", "ibot", NAME]);

    const report = text(`${RUN}/report.html`);
    assert.match(report, new RegExp(`<h2>What relates to what: ${NAME}</h2>`));
    assert.match(report, new RegExp(`dino \\+ ibot \\+ ${NAME} on 24 images`));

    const profile = relata(...typed("profile"), ...few);
    assert.match(profile, new RegExp(`^${NAME} +loss +[\\d.]+ +[\\d.]+ %$`, "m"));
  });

  it("has the other commands", () => {
    relata(...typed("preview"), "--samples", "2");
    assert.ok(existsSync(join(project.path, "preview.png")), "no picture was drawn");
    assert.match(relata("runs", RUN), new RegExp(`multi-crop dino ibot ${NAME}$`, "m"));
    written("row.ts");
    assert.match(
      run(process.execPath, "--import", "tsx", "row.ts", RUN, RUN),
      /^\d+\.\d ± 0\.0 % over 2 runs$/m,
    );
  });
});
