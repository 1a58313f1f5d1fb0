import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { renderReport, writeReport } from "../../../core/report/html.ts";
import { markup, Markup } from "../../../core/report/markup.ts";
import type { ReportData } from "../../../core/report/report-data.ts";
import { STYLE } from "../../../core/report/style.ts";

const image = (value: number) => ({ data: new Uint8Array(4 * 4 * 3).fill(value), width: 4, height: 4 });

const card = {
  task: "category k-NN",
  network: "teacher",
  features: "cls token after the final norm",
  crop: "whole image at 64 px",
  k: 20,
  temperature: 0.07,
  seed: 3,
  bank: "Google emoji",
  queries: "Twitter emoji",
  n: 1911,
};

const full: ReportData = {
  title: "A <run>",
  summary: "What it is & does.",
  status: "finished",
  facts: [{ name: "images", value: 3780 }],
  warnings: ["one", "two"],
  results: [
    {
      card,
      figures: [
        {
          name: "top-1",
          value: 0.75,
          baselines: [
            { name: "raw pixels", value: 0.5 },
            { name: "untrained backbone", value: 0.4 },
          ],
        },
      ],
    },
    {
      card: { ...card, task: "view retrieval" },
      figures: [{ name: "top-1", value: 0.25, baselines: [{ name: "raw pixels", value: 0.5 }] }],
    },
  ],
  relations: [
    {
      relation: "pixel-relation",
      name: "tulip",
      points: [1, 2].map((value) => {
        const light = { rows: 1, columns: 2, cells: [0, 1] };
        return {
          teacher: { image: image(value), light, point: { x: 0.25, y: 0.75 } },
          student: { image: image(10 * value), light, point: { x: 0.5, y: 0.5 } },
        };
      }),
    },
  ],
  metrics: [0, 1, 2].map((step) => ({ step, epoch: step, time: step, loss: 3 - step, "knn/top1": step / 4 })),
  curveBaselines: { "knn/top1": [{ name: "raw pixels", value: 0.5 }] },
  views: [
    {
      name: "rose",
      source: { image: image(9), boxes: [{ kind: "global", x: 0, y: 0, width: 0.5, height: 0.5 }] },
      views: [
        {
          name: "global 1",
          kind: "global",
          image: image(10),
          mask: { rows: 2, columns: 2, cells: [1, 0, 0, 0] },
        },
        { name: "local 1", kind: "local", image: image(11) },
      ],
    },
  ],
  retrievals: [
    {
      title: "Same emoji",
      note: "At random.",
      examples: [
        {
          query: { name: "ghost", image: image(12) },
          answers: [
            {
              by: "teacher",
              neighbours: [1, 2, 3].map((i) => ({ name: `n${i}`, image: image(i), right: i !== 2 })),
            },
            { by: "raw pixels", neighbours: [{ name: "n4", image: image(4), right: false }] },
          ],
        },
      ],
    },
  ],
  segmentations: {
    title: "Foreground",
    note: "Cut out.",
    examples: [
      {
        name: "star",
        image: image(13),
        maps: [
          { by: "true mask", image: image(14) },
          { by: "linear probe", image: image(15), overlap: 0.875 },
          { by: "PCA", image: image(16), overlap: NaN },
        ],
      },
    ],
  },
  tables: [{ title: "Cost", columns: ["plugin", "ms"], rows: [["dino", 12.34567]] }],
  config: { seed: 3, plugins: [{ use: "dino", with: { weight: 1 } }], note: "a: b" },
  environment: [{ name: "node", value: "20" }],
};

const empty: ReportData = {
  title: "Empty",
  summary: "",
  status: "running",
  facts: [],
  warnings: [],
  results: [],
  metrics: [],
  config: {},
  environment: [],
};

/** Elements that stay open, and closing tags without an element. */
function unbalanced(page: string): string[] {
  const body = page.replace(/<(style|script)>[\s\S]*?<\/\1>/g, "");
  const open: string[] = [];
  const wrong: string[] = [];
  for (const [, close, name, rest] of body.matchAll(/<(\/?)([a-z][a-z0-9]*)((?:"[^"]*"|[^">])*)>/g)) {
    if (["meta", "img"].includes(name!) || rest!.endsWith("/")) continue;
    if (close && open.pop() !== name) wrong.push(name!);
    else if (!close) open.push(name!);
  }
  return [...wrong, ...open];
}

describe("report page", () => {
  let page: string;
  before(async () => (page = await renderReport(full)));

  it("is well formed, also without anything to show", async () => {
    assert.deepEqual(unbalanced(page), []);
    assert.deepEqual(unbalanced(await renderReport(empty)), []);
    assert.deepEqual(unbalanced("<p><b></p>"), ["p", "p"]);
  });

  it("loads nothing", async () => {
    const links = [...page.matchAll(/(?:src|href|url)\s*[=(]\s*["']?([^"')\s]*)/g)].map(([, link]) => link!);
    assert.ok(links.length >= 8);
    assert.deepEqual(
      links.filter((link) => !link.startsWith("data:image/png;base64,")),
      [],
    );
    assert.match(page, /Content-Security-Policy" content="default-src &#39;none&#39;/);
  });

  it("escapes what it is given", () => {
    assert.ok(page.includes("<title>A &lt;run&gt;</title>"));
    assert.ok(page.includes("What it is &amp; does."));
    assert.equal(markup`${"<i>"}${new Markup("<b>")}${[1, undefined, "&"]}`.text, "&lt;i&gt;<b>1&amp;");
  });

  it("shows each result's first figure beside the best without training", () => {
    assert.match(page, /75\.0<small>/);
    assert.match(page, /class="gain better">25\.0 points above raw pixels/);
    assert.match(page, /class="gain worse">25\.0 points below raw pixels/);
  });

  it("shows the protocol and the standard error of every figure", () => {
    assert.ok(
      page.includes(
        "Twitter emoji searched in Google emoji. Teacher, cls token after the final norm; " +
          "whole image at 64 px; k\u00a0=\u00a020, T\u00a0=\u00a00.07, n\u00a0=\u00a01,911, seed\u00a03.",
      ),
    );
    // sqrt(0.75 * 0.25 / 1911) = 0.99 points.
    assert.match(page, /75\.0\u00a0% <small>±\u00a01\.0<\/small>/);
  });

  it("marks what was found rightly, in the picture's text too", () => {
    assert.match(page, /teacher: <b class="good">right at ranks 1, 3<\/b>/);
    assert.match(page, /raw pixels: <b>none right<\/b>/);
    assert.match(page, /alt="n2 \(wrong\)"/);
    assert.match(page, /alt="n3 \(right\)"/);
  });

  it("shows foreground with its intersection over union", () => {
    assert.match(page, /<figcaption>linear probe <b>87\.5\u00a0%<\/b><\/figcaption>/);
    assert.match(page, /<figcaption>PCA <\/figcaption>/);
    assert.match(page, /alt="star, true mask"/);
  });

  it("says of dense figures what was fitted to, tested on, and what is foreground", async () => {
    const dense = { ...card, k: undefined, temperature: undefined, masks: "alpha channel" };
    const figures = [{ name: "mIoU", value: 0.5, baselines: [] }];
    const shown = await renderReport({ ...empty, results: [{ card: dense, figures }] });
    assert.ok(
      shown.includes("Fitted to Google emoji, tested on Twitter emoji; foreground by alpha channel."),
    );
    assert.ok(!shown.includes("<small>±"), "it is no share of n answers");
  });

  it("says what each learning rate came to, and which was chosen on what", async () => {
    const fitted = { ...card, k: undefined, temperature: undefined, fitted: "a linear layer", lr: 0.1 };
    const probe = { ...fitted, task: "linear probe", lrSweep: [0.01, 0.1], lrChosenOn: "90 images held out" };
    const sweep = [
      { lr: 0.01, heldOut: 0.625, test: 0.5 },
      { lr: 0.1, heldOut: 0.75, test: 0.25 },
    ];
    const figures = [{ name: "top-1", value: 0.25, baselines: [] }];
    const shown = await renderReport({ ...empty, results: [{ card: probe, figures, sweep }] });
    const flat = (text: string) => text.replaceAll(/\s*\n\s*/g, "");
    assert.ok(
      shown.includes("A linear layer, fitted to Google emoji, tested on Twitter emoji. Teacher,"),
      "what was fitted",
    );
    const words = shown.replaceAll("\u00a0", " ");
    assert.ok(words.includes("lr 0.1 of 0.01, 0.1, chosen on 90 images held out, n"), "the sweep");
    assert.ok(
      flat(shown).includes(
        '>0.01</th><td class="number">62.5\u00a0%</td><td class="number">50.0\u00a0%</td>',
      ),
    );
    const onTest = sweep.map(({ lr, test }) => ({ lr, test }));
    const chosenOnTest = await renderReport({ ...empty, results: [{ card: probe, figures, sweep: onTest }] });
    assert.ok(!chosenOnTest.includes(">held out</th>"));
    assert.ok(flat(chosenOnTest).includes('>0.01</th><td class="number">50.0\u00a0%</td>'));
  });

  it("gives a mean over episodes its own interval, and a clustering none", async () => {
    const figures = [{ name: "accuracy", value: 0.5, interval: 0.0123, baselines: [] }];
    const few = {
      ...card,
      k: undefined,
      temperature: undefined,
      ways: 5,
      shots: 1,
      episodes: 1000,
      fitted: "means",
    };
    const shown = await renderReport({ ...empty, results: [{ card: few, figures }] });
    assert.match(shown, /50\.0\u00a0% <small>±\u00a01\.2<\/small>/);
    assert.ok(shown.includes("5\u00a0ways, 1\u00a0shot, 1,000\u00a0episodes, n"));
    const clusters = {
      ...card,
      k: undefined,
      temperature: undefined,
      clusters: 9,
      restarts: 10,
      fitted: "k-means",
    };
    const ari = [{ name: "ARI", value: -0.1, baselines: [{ name: "raw pixels" as const, value: 0.1 }] }];
    const clustered = await renderReport({ ...empty, results: [{ card: clusters, figures: ari }] });
    assert.ok(clustered.includes("Twitter emoji in 9 clusters by k-means."));
    assert.ok(!clustered.includes("<small>±"));
    assert.ok(!clustered.includes("width:-"), "a bar has no negative width");
  });

  it("holds each image whole, as a PNG, with a text", async () => {
    const images = [
      ...page.matchAll(/<img src="data:image\/png;base64,([^"]+)" width="4" height="4" alt="([^"]+)">/g),
    ];
    assert.equal(images.length, 16);
    const { data } = await sharp(Buffer.from(images[0]![1]!, "base64"))
      .raw()
      .toBuffer({ resolveWithObject: true });
    assert.deepEqual([images[0]![2], data[0]], ["ghost", 12]);
  });

  it("shows what relates to a point, in the teacher's and the student's view", () => {
    const section = /<h2>What relates to what: pixel-relation[^]*?<\/section>/.exec(page)![0];
    assert.deepEqual(
      [...section.matchAll(/alt="([^"]*)"/g)].map(([, alt]) => alt),
      [
        "tulip, point 1, teacher",
        "tulip, point 2, teacher",
        "tulip, point 1, student",
        "tulip, point 2, student",
      ],
    );
    assert.equal(section.match(/<circle /g)!.length, 4);
  });

  it("explains only the colours that occur", () => {
    assert.ok(page.includes("</i>global crop"));
    assert.ok(page.includes("</i>masked for the student"));
    assert.ok(!page.includes("</i>local crop"));
    assert.ok(!page.includes("</i>overlap"));
  });

  it("shows config, environment, tables, warnings and curves", () => {
    assert.ok(
      page.includes("<b>plugins</b>:\n  - <b>use</b>: dino\n    <b>with</b>:\n      <b>weight</b>: 1\n"),
    );
    assert.ok(page.includes("<b>note</b>: &quot;a: b&quot;\n"));
    assert.ok(page.includes("<dt>node</dt><dd>20</dd>"));
    assert.ok(page.includes('<td class="number">12.35</td>'));
    assert.ok(page.includes("2 warnings"));
    assert.ok(page.includes("Loss by epoch: total from 3 to 1."));
    assert.match(page, /class="baseline over"[^>]*>raw pixels 50\.0/);
  });

  it("leaves out sections without content", async () => {
    const bare = await renderReport(empty);
    assert.deepEqual(
      [...bare.matchAll(/<h2>([^<]*)<\/h2>/g)].map(([, heading]) => heading),
      ["How to make it again"],
    );
    assert.ok(bare.includes("Still running"));
  });

  it("is written as a whole", async () => {
    const folder = mkdtempSync(join(tmpdir(), "relata-report-"));
    await writeReport(join(folder, "new", "report.html"), full);
    assert.equal(readFileSync(join(folder, "new", "report.html"), "utf8"), page);
    assert.deepEqual(readdirSync(join(folder, "new")), ["report.html"]);
    rmSync(folder, { recursive: true });
  });

  it("refuses an image that does not fit its size", async () => {
    const broken = { ...image(1), width: 5 };
    const views = [{ name: "x", source: { image: broken }, views: [] }];
    await assert.rejects(renderReport({ ...empty, views }), { code: "IMAGE_INVALID" });
  });
});

describe("report colours", () => {
  /** WCAG 2.2 contrast ratio of two colours. */
  function contrast(a: string, b: string): number {
    const luminance = (hex: string) =>
      [...Buffer.from(hex.slice(1), "hex")]
        .map((v) => v / 255)
        .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
        .reduce((sum, v, c) => sum + v * [0.2126, 0.7152, 0.0722][c]!, 0);
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
    return (high + 0.05) / (low + 0.05);
  }

  const schemes = STYLE.split("prefers-color-scheme: dark").map(
    (part) =>
      new Map([...part.matchAll(/--([a-z0-9-]+): (#[0-9a-f]{6})/g)].map(([, name, hex]) => [name!, hex!])),
  );

  it("knows black on white", () => assert.equal(contrast("#000000", "#ffffff"), 21));

  for (const [i, name] of ["light", "dark"].entries()) {
    it(`are readable in the ${name} scheme: text 4.5, lines 3`, () => {
      const scheme = schemes[i]!;
      const check = (ink: string, paper: string, least: number) => {
        const ratio = contrast(scheme.get(ink)!, scheme.get(paper)!);
        assert.ok(ratio >= least, `${ink} on ${paper}: ${ratio.toFixed(2)}`);
      };
      for (const paper of ["page", "surface"]) {
        for (const ink of ["ink", "muted", "accent", "good", "bad"]) check(ink, paper, 4.5);
      }
      check("warn-ink", "warn-page", 4.5);
      for (let line = 1; line <= 6; line++) check(`line-${line}`, "surface", 3);
    });
  }
});
