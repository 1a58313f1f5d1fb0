/** Fine-tuning of a run: its config, what it starts from, what it measures, and how it goes on. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { parseConfig } from "../../../core/config/parse.ts";
import type { RunConfig } from "../../../core/config/schema.ts";
import { silentLogger } from "../../../core/logger.ts";
import { Random } from "../../../core/random.ts";
import { readMetrics } from "../../../core/report/metrics-log.ts";
import { tinyCheckpoint } from "./tiny-checkpoint.ts";
import { backboneToTune, finetuneConfig, type FinetuneOptions } from "../../../core/run/finetune.ts";
import { RunFolder } from "../../../core/run/folder.ts";
import { runTraining, type RunOptions } from "../../../core/run/run.ts";
import { resolvePlugins } from "../../../registry/resolve.ts";
import { coded, distance } from "../trainer/tiny.ts";
import { checkpointOf, digests } from "../trainer/runs.ts";

const CLASSES = ["blue", "red"];

describe("fine-tuning", () => {
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "relata-finetune-"));
    for (let i = 0; i < 20; i++) await draw("images", i);
    for (let i = 20; i < 28; i++) await draw("others", i);
    await start(pretraining, { out: join(folder, "trained") });
  });
  after(() => rmSync(folder, { recursive: true }));

  /** Noise, in which red or blue is a little stronger. */
  async function draw(parent: string, i: number): Promise<void> {
    const random = new Random(i, "picture");
    const red = i % 2;
    const data = new Uint8Array(16 * 16 * 3).map((_, j) => random.integer(60, 180) + (j % 3 === (red ? 0 : 2) ? 40 : 0)); // prettier-ignore
    mkdirSync(join(folder, parent, CLASSES[red]!), { recursive: true });
    const path = join(folder, parent, CLASSES[red]!, `${i}.png`);
    await sharp(data, { raw: { width: 16, height: 16, channels: 3 } }).toFile(path);
  }

  const pretraining: RunConfig = {
    seed: 4,
    data: { path: "images", workers: 0 },
    backbone: { arch: "vit", embedDim: 16, depth: 2, numHeads: 2, patchSize: 8 },
    train: { epochs: 1, batchSize: 4, engine: "eager", backend: "cpu" },
    report: { samples: 0 },
    evaluation: { knn: { k: 1 } },
    plugins: [
      { use: "multi-crop", with: { globalCrops: { size: 16 }, localCrops: { count: 0 } } },
      { use: "dino", with: { outDim: 8, hiddenDim: 8, bottleneckDim: 4 } },
    ],
  };

  async function start(written: RunConfig, options: Partial<RunOptions>) {
    const config = parseConfig(written, folder);
    const plugins = await resolvePlugins(config.plugins, folder);
    return runTraining(config, plugins, { baseDir: folder, ...options });
  }

  async function written(from: RunConfig, options: FinetuneOptions = {}): Promise<RunConfig> {
    const config = parseConfig(from, folder);
    return finetuneConfig("a run", config, await resolvePlugins(config.plugins, folder), options);
  }

  const trained = () => RunFolder.open(join(folder, "trained"));
  const names = ({ plugins }: RunConfig) => plugins.map((entry) => (entry as { use: string }).use);

  describe("its config", () => {
    it("is the run's images and backbone, with a method and numbers of its own", async () => {
      const config = await written(pretraining, { epochs: 20 });
      assert.deepEqual(names(config), ["multi-crop", "supervised", "layer-decay"]);
      assert.deepEqual(
        [config.seed, config.name, config.data!.split, config.backbone!.embedDim, config.backbone!.imageSize],
        [4, "finetune-a-run", "train", 16, 16],
      );
      const { epochs, batchSize, warmupEpochs, engine } = config.train;
      assert.deepEqual([epochs, batchSize, warmupEpochs, engine], [20, 4, 2, "eager"]);
      assert.equal(config.evaluation!.everyEpochs, 2);
      parseConfig(config, folder);
    });

    it("keeps the plugin that the backbone comes from, and its options", async () => {
      const convnext = { use: "convnext", with: { depths: [1, 1], dims: [8, 16] } };
      const sized = { use: "multi-crop", with: { globalCrops: { size: 48 }, localCrops: { count: 0 } } };
      const { plugins, backbone } = await written({
        ...pretraining,
        plugins: [sized, "lion", convnext, "simclr"],
      });
      assert.equal(backbone!.imageSize, 48);
      const [kept, crops] = plugins as [typeof convnext, { with: { globalCrops: object } }];
      assert.deepEqual([kept.use, kept.with.dims], ["convnext", [8, 16]]);
      assert.deepEqual(crops.with.globalCrops, { count: 1, size: 48, scale: [0.08, 1] });
      assert.deepEqual(names({ ...pretraining, plugins }).slice(1), ["multi-crop", "supervised", "layer-decay"]); // prettier-ignore
    });

    it("names such a plugin as the run's config does", async () => {
      const config = parseConfig({ ...pretraining, plugins: ["multi-crop", "convnext", "simclr"] }, folder);
      const plugins = (await resolvePlugins(config.plugins, folder)).map((plugin) =>
        plugin.definition.manifest.name === "convnext" ? { ...plugin, source: "/mine/backbone.ts" } : plugin,
      );
      assert.equal(names(finetuneConfig("a run", config, plugins, {}))[0], "/mine/backbone.ts");
    });

    it("from scratch has one rate for all layers", async () => {
      const config = await written(pretraining, { fromScratch: true });
      assert.deepEqual([config.name, names(config)], ["scratch-a-run", ["multi-crop", "supervised"]]);
    });
  });

  describe("what it starts from", () => {
    it("is the backbone of the newest checkpoint, the teacher's unless the student's is asked for", async () => {
      const init = join(trained().checkpoints, "step-00000005.json");
      const teacher = await backboneToTune(trained(), undefined, silentLogger);
      assert.deepEqual(teacher, { init, initNetwork: "teacher" });
      const student = await backboneToTune(trained(), "student", silentLogger);
      assert.deepEqual(student, { init, initNetwork: "student" });
    });

    it("is refused where there is no such network, or no checkpoint", async () => {
      const alone = await tinyCheckpoint(join(folder, "student alone"), { networks: ["student"] });
      await assert.rejects(
        backboneToTune(alone, "teacher", silentLogger),
        coded("CHECKPOINT_NETWORK", "teacher"),
      );
      const empty = RunFolder.create({ name: "empty", parent: folder });
      await assert.rejects(backboneToTune(empty, undefined, silentLogger), coded("CHECKPOINT_MISSING"));
    });
  });

  describe("its run", () => {
    const config = async (): Promise<RunConfig> => {
      const own = await written(pretraining, { epochs: 8 });
      return { ...own, train: { ...own.train, lr: 0.3 } };
    };
    const initial = () => backboneToTune(trained(), undefined, silentLogger);

    it("begins with the run's backbone, and learns classes that are easy", async () => {
      const out = join(folder, "fine");
      const { evaluations } = await start(await config(), { out, ...(await initial()) });
      const [{ card, figures }] = evaluations as [(typeof evaluations)[number]];
      assert.deepEqual([figures[0]!.name, figures[0]!.value], ["top-1", 1]);
      assert.deepEqual(figures[0]!.baselines, [{ name: "most frequent class", value: 0.5 }]);
      assert.equal(figures.length, 1, "top-5 of two classes");
      assert.deepEqual(
        [card.task, card.network, card.n, card.bank, card.queries],
        [
          "classification",
          "student",
          4,
          "80 % of each class of images, 16",
          "20 % of each class of images, 4",
        ],
      );
      const training: typeof card.training = { ...card.training, epochs: card.epochs! };
      assert.deepEqual(
        ["initial weights", "epochs", "layer-decay.decay", "supervised.mixup", "supervised.cutmix", "supervised.labelSmoothing", "dropPathRate"].map((name) => training[name]), // prettier-ignore
        ["teacher of trained after 5 steps", 8, 0.75, 0.8, 1, 0.1, 0.1],
      );
      const logged = readMetrics(join(out, "metrics.jsonl")).flatMap((record) => record["classification/top1"] ?? []); // prettier-ignore
      assert.equal(logged.length, 8, "one of each epoch");
      assert.equal(RunFolder.open(out).readRun()!.images, 16);
    });

    it("that is stopped goes on as if it had not, and still knows where it started", async () => {
      const short = { ...(await config()), train: { ...(await config()).train, epochs: 2, warmupEpochs: 0 } };
      const whole = await start(short, { out: join(folder, "whole"), ...(await initial()) });
      const stop = new AbortController();
      const observer = { step: ({ step }: { step: number }) => (step === 2 ? stop.abort() : undefined) };
      const out = join(folder, "parts");
      const first = await start(short, { out, ...(await initial()), signal: stop.signal, observer });
      assert.equal(first.status, "interrupted");
      const resumed = await start(short, { resume: RunFolder.open(out) });
      assert.deepEqual(resumed.evaluations, whole.evaluations);
      assert.deepEqual(digests(await checkpointOf(folder, "parts")), digests(await checkpointOf(folder, "whole"))); // prettier-ignore
    });

    it("that is stopped in its evaluation saves, and evaluates when it goes on", async () => {
      const short = { ...(await config()), train: { ...(await config()).train, epochs: 1, warmupEpochs: 0 } };
      const stop = new AbortController();
      const observer = { status: (what: string) => (what === "evaluating" ? stop.abort() : undefined) };
      const out = join(folder, "unevaluated");
      const first = await start(short, { out, ...(await initial()), signal: stop.signal, observer });
      assert.deepEqual([first.status, first.step, first.evaluations], ["interrupted", 4, []]);
      const resumed = await start(short, { resume: RunFolder.open(out) });
      assert.deepEqual([resumed.status, resumed.step, resumed.evaluations.length], ["finished", 4, 1]);
    });

    it("takes over the backbone as it is, and nothing else", async () => {
      const own = await written(pretraining, { epochs: 1 });
      const still = {
        ...own,
        train: { ...own.train, lr: 1e-9, minLr: 0, weightDecay: 0, weightDecayEnd: 0 },
      };
      await start(still, { out: join(folder, "still"), ...(await initial()) });
      const [from, to] = [await checkpointOf(folder, "trained"), await checkpointOf(folder, "still")];
      const valuesOf = ({ tensors }: typeof to) => new Map(tensors.map(({ name, values }) => [name, values]));
      const [taught, kept] = [valuesOf(from), valuesOf(to)];
      const backbone = [...kept.keys()].filter((name) => name.startsWith("student/backbone."));
      assert.ok(backbone.length > 20);
      for (const name of backbone)
        assert.ok(distance(kept.get(name)!, taught.get(name.replace("student", "teacher"))!) < 1e-6, name);
      assert.ok(kept.get("adam.v/backbone.cls_token")!.every((value) => value >= 0 && value < 1));
    });

    it("from scratch starts from the seed, and says so", async () => {
      const own = await written(pretraining, { fromScratch: true, epochs: 1 });
      const { evaluations } = await start(own, { out: join(folder, "scratch") });
      assert.equal(evaluations[0]!.card.training!["initial weights"], "drawn from the seed");
    });

    it("needs images with classes", async () => {
      const own = await config();
      const unlabelled = { ...own, data: { ...own.data, path: "images/red" } };
      await assert.rejects(start(unlabelled, { out: join(folder, "none") }), coded("SPLIT_LABELS", "red"));
    });

    it("without images to test on measures nothing, and warns", async () => {
      const own = await written(pretraining, { epochs: 1 });
      const warnings: string[] = [];
      const observer = { warning: (message: string) => void warnings.push(message) };
      const all: RunConfig = { ...own, data: { ...own.data, split: "all" } };
      const { evaluations } = await start(all, { out: join(folder, "untested"), observer });
      assert.deepEqual(evaluations, []);
      assert.match(warnings.join(), /not tested.*data\.split/);
      const folderOf = { ...all, evaluation: { ...all.evaluation, test: "others", limit: 6 } };
      const tested = await start(folderOf, { out: join(folder, "tested"), observer });
      assert.deepEqual([tested.evaluations[0]!.card.n, tested.evaluations[0]!.card.queries], [6, "all of others, 6"]); // prettier-ignore
    });
  });
});
