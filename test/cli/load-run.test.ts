import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadRun } from "../../cli/load-run.ts";
import { RunFolder, type RunFile } from "../../core/run/folder.ts";

describe("a run as it is typed", () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "relata-typed-"))));
  afterEach(() => rmSync(folder, { recursive: true }));

  it("is a preset with data, a limit and single values of one's own", async () => {
    const { config, plugins, baseDir } = await loadRun(undefined, {
      preset: "dino-emoji",
      data: "photos",
      limit: 30,
      set: ["train.epochs=50", "plugins.dino.outDim=16"],
    });
    assert.equal(config.name, "dino-emoji");
    assert.deepEqual(
      [config.data.dataset, config.data.path, config.data.limit],
      ["image-folder", join(baseDir, "photos"), 30],
    );
    assert.equal(config.train.epochs, 50);
    const dino = plugins.find(({ definition }) => definition.manifest.name === "dino");
    assert.equal((dino?.options as { outDim: number }).outDim, 16);
    assert.equal(baseDir, process.cwd(), "not the folder of the recipes");
  });

  it("is a file, whose paths start from its folder", async () => {
    const file = join(folder, "my.yaml");
    writeFileSync(
      file,
      "data: { path: photos }\ntrain: { epochs: 1, batchSize: 2 }\nplugins: [multi-crop, dino]\n",
    );
    const { config, baseDir } = await loadRun(file, {});
    assert.deepEqual([config.data.path, baseDir], [join(folder, "photos"), folder]);
  });

  it("is a run that goes on, with its own config or another", async () => {
    const run = RunFolder.create({ name: "x", parent: folder });
    const { config } = await loadRun(undefined, { preset: "dino-emoji" });
    run.writeConfig(config);
    run.writeRun({ baseDir: folder } as RunFile);
    const own = await loadRun(undefined, { set: ["train.epochs=99"] }, run);
    assert.deepEqual(own.config, { ...config, train: { ...config.train, epochs: 99 } });
    assert.equal(own.baseDir, folder);
    const other = await loadRun(undefined, { preset: "sere-small", data: "." }, run);
    assert.equal(other.config.name, "sere-small");
  });

  it("is refused without a config, and with two", async () => {
    await assert.rejects(loadRun(undefined, {}), { code: "USAGE" });
    await assert.rejects(loadRun("my.yaml", { preset: "dino-emoji" }), {
      code: "USAGE",
      message: /my\.yaml.*dino-emoji/,
    });
  });
});
