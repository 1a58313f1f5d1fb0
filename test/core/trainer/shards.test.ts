import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { renameSync } from "node:fs";
import { join } from "node:path";
import { tarOf } from "../data/shard-files.ts";
import {
  checkpointOf,
  digests,
  IMAGES,
  nothingTold,
  pictureFolder,
  trainTiny,
  type TinyRun,
} from "./runs.ts";

const ofStep = ["step", "epoch", "scalars"] as const;

describe("a run on shards", () => {
  const base = pictureFolder();
  let run: TinyRun;
  before(async () => {
    const files = [];
    for (const label of ["even", "odd"]) {
      for (const name of await readdir(join(base(), "images", label))) {
        files.push({ name: `${label}-${name}`, data: await readFile(join(base(), "images", label, name)) });
        files.push({ name: `${label}-${name.replace("png", "cls")}`, data: label });
      }
    }
    assert.equal(files.length, 2 * IMAGES);
    for (let shard = 0; shard < 5; shard++)
      await writeFile(join(base(), `part-${shard}.tar`), tarOf(files.slice(4 * shard, 4 * shard + 4)));
    run = {
      base: base(),
      data: { dataset: "webdataset", path: ["part-{0..3}.tar", "part-4.tar"], shuffleBlocks: 2 },
      train: { epochs: 1, engine: "eager", backend: "cpu" },
      report: { samples: 2 },
    };
  });

  it("evaluates their classes, shows their samples, and goes on from the middle of an epoch", async () => {
    const { summary, told } = await trainTiny(run);
    assert.equal(summary.step, 5);
    assert.deepEqual(summary.evaluations.map(({ card }) => card.task), ["leave-one-out k-NN"]); // prettier-ignore
    assert.equal(told.starts[0]!.images, IMAGES);
    assert.match(told.views[0]!.name, /^part-\d\.tar\/(even|odd)-\d\.png$/);
    await trainTiny({ ...run, name: "part", train: { ...run.train, maxSteps: 3 } });
    const rest = await trainTiny({ ...run, name: "part", options: { resume: true } });
    const pick = (steps: typeof told.steps) => steps.map((step) => ofStep.map((key) => step[key]));
    assert.deepEqual(pick(rest.told.steps), pick(told.steps.slice(3)));
    assert.deepEqual(digests(await checkpointOf(base(), "part")), digests(await checkpointOf(base())));
  });

  it("refuses to go on with other shards", async () => {
    const resumed = { ...run, options: { resume: true }, data: { ...run.data, path: "part-{0..2}.tar" } };
    await assert.rejects(trainTiny(resumed), { code: "RESUME_DIFFERS", message: /the images/ });
  });

  it("ends when the disk is gone, and goes on when it is back", async () => {
    const disk = (from: string, to: string) => {
      for (let shard = 0; shard < 5; shard++)
        renameSync(join(base(), `${from}-${shard}.tar`), join(base(), `${to}-${shard}.tar`));
    };
    const told = nothingTold();
    const name = "lost";
    const lost = { ...run, name, told, report: { samples: 0 } };
    await assert.rejects(
      trainTiny({
        ...lost,
        options: {
          observer: { status: once("evaluating the untrained backbone", () => disk("part", "gone")) },
        },
      }),
      {
        code: "IMAGES_UNREACHABLE",
        message: /ENOENT/,
      },
    );
    assert.deepEqual([told.steps.length, told.checkpoints], [0, []]);
    disk("gone", "part");
    const { summary } = await trainTiny({ ...lost, options: { resume: "auto" } });
    assert.equal(summary.status, "finished");
    assert.deepEqual(digests(await checkpointOf(base(), name)), digests(await checkpointOf(base())));
  });
});

/** Acts when it is told this for the first time. */
function once(message: string, act: () => void): (told: string) => void {
  let done = false;
  return (told) => {
    if (told === message && !done) {
      done = true;
      act();
    }
  };
}
