import assert from "node:assert/strict";
import { stripVTControlCharacters } from "node:util";
import { checkLines } from "../../cli/commands/doctor.ts";
import { profileLines } from "../../cli/commands/profile.ts";
import { comparisonLines, runLines } from "../../cli/commands/runs.ts";
import { installProgress } from "../../cli/library.ts";
import { tableLines } from "../../cli/table.ts";
import { Terminal } from "../../cli/terminal.ts";
import { protocolLines, resultLines, TrainView } from "../../cli/train-view.ts";
import { originLines } from "../../cli/weights-view.ts";
import type { ProtocolCard } from "../../core/eval/card.ts";
import type { RunSummary } from "../../core/report/runs.ts";
import type { StepReport } from "../../core/trainer/train.ts";

/** A terminal that is none: every line stays. */
function log() {
  let written = "";
  const terminal = new Terminal({ write: (text: string) => (written += text) }, {});
  return { terminal, lines: () => stripVTControlCharacters(written).trimEnd().split("\n") };
}
const plain = (lines: readonly string[]) => lines.map(stripVTControlCharacters);

describe("what the CLI shows", () => {
  it("is a line now and then of a run without a terminal, and always the last step", () => {
    const { terminal, lines } = log();
    let now = 0;
    const view = new TrainView(terminal, () => now);
    const step = (index: number): StepReport => ({
      step: index,
      epoch: 0,
      scalars: { loss: 1 },
      imagesPerSecond: 10,
      totalSteps: 30,
      etaSeconds: 1,
      memoryBytes: 1e9,
      waitShare: 0,
      hostShare: 0,
    });
    for (let index = 0; index < 30; index++, now += 1000) view.step(step(index));
    const told = lines().map((line) => /^step (\d+)/.exec(line)?.[1]);
    assert.deepEqual(told, ["1", "11", "21", "30"]);
  });

  it("is each figure beside what it is without training", () => {
    const card = { task: "category k-NN", network: "teacher" } as never;
    const figure = { name: "top-1", value: 0.5, baselines: [{ name: "raw pixels" as const, value: 0.25 }] };
    const results = [{ card, figures: [figure, { ...figure, name: "top-5", baselines: [] }] }];
    assert.deepEqual(plain(resultLines(results)), [
      "  category k-NN, top-1  50.0 %  (raw pixels 25.0 %)",
      "  category k-NN, top-5  50.0 %",
    ]);
  });

  it("is under the figures of a result how they were made, and the interval of a mean", () => {
    const card: ProtocolCard = {
      task: "5-way 1-shot",
      network: "teacher",
      features: "cls token",
      crop: "whole",
      fitted: "nearest class mean",
      shots: 1,
      seed: 0,
      bank: "a, 10",
      queries: "b, 5",
      n: 5,
    };
    const figures = [{ name: "accuracy", value: 0.5, interval: 0.012, baselines: [] }];
    const shots = (label: string) => `  ${label}, accuracy  50.0 % ± 1.2`;
    const how =
      "    Nearest class mean, fitted to a, 10, tested on b, 5. Teacher, cls token; whole; 1 shot, n = 5, seed 0.";
    const results = [card, { ...card, task: "5-way 5-shot" }].map((card) => ({ card, figures }));
    assert.deepEqual(plain(protocolLines(results)), [shots("5-way 1-shot"), how, shots("5-way 5-shot"), how]);
  });

  it("is what goes on now and then, where it changes often", () => {
    const { terminal, lines } = log();
    let now = 0;
    const view = new TrainView(terminal, () => now);
    for (let image = 0; image < 30; image++, now += 1000) view.progress(`image ${image}`);
    assert.deepEqual(lines(), ["image 0", "image 10", "image 20"]);
  });

  it("is a table whose columns are as wide as they need, without empty ones", () => {
    const columns = [{ title: "name" }, { title: "n", align: "right" }, { title: "empty" }] as const;
    assert.deepEqual(
      tableLines(columns, [
        ["a", "100", ""],
        ["longer", "2", ""],
      ]),
      ["name      n", "a       100", "longer    2"],
    );
  });

  it("is a row for each hook that a step's time goes to", () => {
    const shares = [
      { name: "core", microseconds: 3000, nodes: 2 },
      { name: "dino/loss", microseconds: 1000, nodes: 1 },
    ];
    assert.deepEqual(plain(profileLines({ images: 4, seconds: 0.12345, shares })), [
      "one step of 4 images takes 0.123 s",
      "plugin  hook  thread ms   share",
      "core                3.0  75.0 %",
      "dino    loss        1.0  25.0 %",
    ]);
  });

  it("is a row per run, with the problems below", () => {
    const run: RunSummary = {
      name: "a",
      folder: "/a",
      status: "stopped",
      epochsDone: 3,
      epochs: 10,
      loss: NaN,
      lastKnn: 0.4,
      bestKnn: 0.45,
      plugins: ["multi-crop", "dino"],
      problems: ["eval.json: broken"],
    };
    assert.deepEqual(plain(runLines([run])), [
      "run  status   epochs  loss    k-NN    best  plugins",
      "a    stopped    3/10   NaN  40.0 %  45.0 %  multi-crop dino",
      "a: eval.json: broken",
    ]);
    const tuned: RunSummary = { ...run, lastKnn: undefined, bestKnn: undefined, classification: 0.875 };
    assert.deepEqual(plain(runLines([tuned])).slice(0, 2), [
      "run  status   epochs  loss  classified  plugins",
      "a    stopped    3/10   NaN      87.5 %  multi-crop dino",
    ]);
    const differences = [{ path: "train.lr", values: [0.1, undefined] }];
    const compared = plain(comparisonLines({ runs: [run, { ...run, name: "b" }], differences }));
    assert.deepEqual(compared.slice(-2), ["differs in  a    b", "train.lr    0.1  –"]);
    assert.equal(
      plain(comparisonLines({ runs: [run, run], differences: [] })).at(-1),
      "the configs are the same",
    );
  });

  it("is a line per check, with the fix below", () => {
    const checks = [
      { name: "node", ok: true, value: "20" },
      { name: "disk", ok: "warning", value: "full", fix: "make room" },
      { name: "engine", ok: false, value: "none" },
    ] as const;
    assert.deepEqual(plain(checkLines(checks)), [
      "✔ node    20",
      "! disk    full",
      "          fix: make room",
      "✖ engine  none",
    ]);
  });

  it("is one line per stage of a download without a terminal", () => {
    const { terminal, lines } = log();
    const tell = installProgress(terminal);
    for (const bytes of [0, 5e8, 1e9]) tell({ stage: "download", item: "x.whl", bytes, total: 1e9 });
    tell({ stage: "unpack", item: "x.whl", bytes: 0, total: undefined });
    assert.deepEqual(lines(), ["downloading x.whl (1.0 GB)", "unpacking x.whl"]);
  });

  it("is what became of given weights, once for networks of which the same is to be said", () => {
    const whole = {
      from: "teacher",
      kept: 150,
      resized: [],
      missing: [],
      ofAnotherShape: [],
      unexpected: [],
    } as const;
    const origin = {
      path: "/x/dino.pth",
      label: "dino.pth",
      skipped: [{ name: "scale", reason: "F8_E4M3" }],
      networks: [
        { ...whole, network: "student" },
        { ...whole, network: "teacher" },
        {
          ...whole,
          network: "gram",
          resized: [{ name: "backbone.pos_embed", from: 14, to: 6 }],
          missing: ["a", "b", "c", "d"],
          ofAnotherShape: [{ name: "e", file: [1, 2], here: [3] }],
          unexpected: ["head.bias"],
        },
      ],
    };
    assert.deepEqual(plain(originLines(origin)), [
      "student and teacher from the teacher of dino.pth: 150 weights",
      "gram from the teacher of dino.pth: 151 weights; the position embedding resized from 14 x 14 to 6 x 6 patches",
      "  missing, so they stay as they were: a, b, c and 1 more",
      "  of another shape, so they stay as they were: e [1, 2], here [3]",
      "  not used: head.bias",
      "of types that are not read: scale (F8_E4M3)",
    ]);
  });
});
