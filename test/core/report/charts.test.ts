import assert from "node:assert/strict";
import { lineChart } from "../../../core/report/charts.ts";
import { chartsFromMetrics, healthCharts, type Chart } from "../../../core/report/curves.ts";
import { axisOf, condense, runs, STRETCHES, ticksOf } from "../../../core/report/scale.ts";

const record = (step: number, values: Record<string, number>) => ({
  step,
  epoch: step / 2,
  time: 0,
  ...values,
});

describe("chartsFromMetrics", () => {
  const values = {
    "dino/teacherTemp": 0.04,
    lr: 1e-3,
    loss: 4,
    "loss/dino": 3,
    gradNorm: 2,
    "ibot/teacherTemp": 0.05,
    "ibot/masked": 0.3,
    "knn/top1": 0.5,
    "loss/ibot": 1,
  };
  const baseline = { name: "raw pixels", value: 0.4 } as const;
  const charts = chartsFromMetrics([record(0, values), record(1, { ...values, loss: 3 })], {
    "knn/top1": [baseline],
    "knn/top5": [{ name: "raw pixels", value: 0.9 }],
  });
  const named = (title: string) => charts.find((chart) => chart.title === title)!;

  it("leaves baselines out where they would hide the curves", () => {
    const figures = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`dense/${i}`, i / 10]));
    const compared = (count: number) =>
      chartsFromMetrics([record(0, figures(count))], { "dense/0": [baseline] })[0]!.baselines;
    assert.deepEqual([compared(3), compared(4)], [[baseline], []]);
  });

  it("draws the loss with its terms first, then evaluations, then the rest", () => {
    assert.deepEqual(
      charts.map(({ title, size }) => [title, size]),
      [
        ["Loss", "wide"],
        ["k-NN accuracy", "half"],
        ["Teacher temperature", "small"],
        ["Learning rate", "small"],
        ["Grad norm", "small"],
        ["Ibot", "small"],
      ],
    );
    assert.deepEqual(
      named("Loss").series.map(({ name }) => name),
      ["total", "dino", "ibot"],
    );
    assert.deepEqual(named("Loss").series[0]!.points, [
      { x: 0, y: 4 },
      { x: 0.5, y: 3 },
    ]);
  });

  it("puts schedules of the same name into one chart", () => {
    assert.deepEqual(
      named("Teacher temperature").series.map(({ name }) => name),
      ["dino", "ibot"],
    );
  });

  it("puts a figure that plugins log by one name into one chart, and gates into another", () => {
    const logged = {
      "metric/pixel-relation.rowEntropy": 0.9,
      "metric/acme.rowEntropy": 0.8,
      "metric/channel-relation.effectiveRank": 7,
      "dino/projection.cls.open": 0,
    };
    assert.deepEqual(
      chartsFromMetrics([record(0, logged)]).map(({ title, series }) => [
        title,
        series.map(({ name }) => name),
      ]),
      [
        ["Row entropy", ["pixel-relation", "acme"]],
        ["Effective rank", ["channel-relation"]],
        ["Trained, 1, or held back, 0", ["dino/projection.cls"]],
      ],
    );
  });

  it("draws what is held to a limit with it, in charts of health, and the loss in both", () => {
    const logged = {
      loss: 3,
      "metric/acme.entropy": 0.9,
      "metric/acme.size": 7,
      "health/above/loss": 6,
      "health/above/acme.entropy": 0.98,
      "health/below/acme.entropy": 0.1,
    };
    const records = [record(0, logged)];
    assert.deepEqual(
      chartsFromMetrics(records).map(({ title }) => title),
      ["Loss", "Size"],
    );
    assert.deepEqual(
      healthCharts(records).map(({ title, series }) => [
        title,
        series.map(({ name, points, isLimit = false }) => [name, points[0]!.y, isLimit]),
      ]),
      [
        [
          "Loss",
          [
            ["signal", 3, false],
            ["upper limit", 6, true],
          ],
        ],
        [
          "acme: entropy",
          [
            ["signal", 0.9, false],
            ["upper limit", 0.98, true],
            ["lower limit", 0.1, true],
          ],
        ],
      ],
    );
    assert.deepEqual(healthCharts([record(0, { loss: 3 })]), []);
  });

  it("gives a chart the baselines of what it shows, in per cent", () => {
    assert.equal(named("k-NN accuracy").percent, true);
    assert.equal(named("k-NN accuracy").series[0]!.name, "top-1");
    assert.deepEqual(named("k-NN accuracy").baselines, [baseline]);
    assert.deepEqual(named("Loss").baselines, []);
  });
});

describe("condense", () => {
  it("keeps few points as they are", () => {
    const points = [1, 2, 3].map((x) => ({ x, y: x * x }));
    assert.deepEqual(condense(points)[2], { x: 3, mean: 9, low: 9, high: 9 });
    assert.equal(condense(points).length, 3);
    assert.deepEqual(condense([]), []);
  });

  it("gathers many into means and ranges, without losing a point", () => {
    const points = Array.from({ length: 1234 }, (_, x) => ({ x, y: (x * 7919) % 100 }));
    const stretches = condense(points);
    assert.equal(stretches.length, STRETCHES);
    assert.equal(Math.min(...stretches.map((s) => s.low)), 0);
    assert.equal(Math.max(...stretches.map((s) => s.high)), 99);
    assert.ok(stretches.every(({ low, mean, high }) => low <= mean && mean <= high));
  });

  it("leaves values that are not finite out, and breaks the line where there are no others", () => {
    const ys = [1, NaN, 3, Infinity, NaN, 6];
    const stretches = condense(ys.map((y, x) => ({ x, y })));
    assert.deepEqual(
      runs(stretches).map((run) => run.map(({ mean }) => mean)),
      [[1], [3], [6]],
    );
  });
});

describe("axisOf and ticksOf", () => {
  it("adds air, but none below zero", () => {
    assert.deepEqual(axisOf([2, 12, NaN], 0.1), { low: 1, high: 13 });
    assert.deepEqual(axisOf([0.5, 10.5], 0.1), { low: 0, high: 11.5 });
    assert.deepEqual(axisOf([-1, 9], 0.1), { low: -2, high: 10 });
  });

  it("is never empty", () => {
    assert.deepEqual(axisOf([], 0.1), { low: 0, high: 1 });
    assert.deepEqual(axisOf([5, 5], 0.1), { low: 4.5, high: 5.5 });
    assert.deepEqual(axisOf([0, 0], 0.1), { low: 0, high: 1 });
  });

  const texts = (low: number, high: number, most: number, percent = false) =>
    ticksOf({ low, high }, most, percent).map(({ text }) => text);

  it("chooses round values with as many decimals as they need", () => {
    assert.deepEqual(texts(0, 40, 9), ["0", "5", "10", "15", "20", "25", "30", "35", "40"]);
    assert.deepEqual(texts(0, 39.98, 5), ["0", "10", "20", "30", "40"]);
    assert.deepEqual(texts(0.996, 1, 4), ["0.996", "0.998", "1.000"]);
    assert.deepEqual(texts(0, 5.3e-4, 4), ["0.0000", "0.0002", "0.0004"]);
    assert.deepEqual(texts(0, 3e-5, 4), ["0", "1e-5", "2e-5", "3e-5"]);
    assert.deepEqual(texts(-3, 7, 4), ["0", "5"]);
    assert.deepEqual(texts(0.42, 0.78, 5, true), ["50\u00a0%", "60\u00a0%", "70\u00a0%"]);
    assert.deepEqual(texts(0, 12000, 4), ["0", "5000", "10000"]);
  });

  it("never gives more than asked for, whatever the range", () => {
    for (let i = -30; i < 30; i++) {
      const [low, high] = [1.37 ** i, 1.37 ** i + 1.91 ** -i];
      const count = ticksOf({ low, high }, 5, false).length;
      assert.ok(count >= 1 && count <= 5, `${count} ticks in ${low} … ${high}`);
    }
  });
});

describe("lineChart", () => {
  const chart = (changes: Partial<Chart>): string =>
    lineChart({
      title: "k-NN accuracy",
      size: "half",
      percent: true,
      xLabel: "epoch",
      series: [{ name: "top-1", points: [0, 1, 2].map((x) => ({ x, y: 0.3 + x / 10 })) }],
      baselines: [
        { name: "raw pixels", value: 0.42 },
        { name: "untrained backbone", value: 0.41 },
      ],
      ...changes,
    }).text;

  it("says in words what it shows", () => {
    assert.ok(
      chart({}).includes(
        'aria-label="k-NN accuracy by epoch: top-1 from 30.0\u00a0% to 50.0\u00a0%;' +
          ' raw pixels 42.0\u00a0%; untrained backbone 41.0\u00a0%."',
      ),
    );
  });

  it("draws lines from corner to corner of the plot", () => {
    // Values 0.3 … 0.5 with 6 % air: 0.288 … 0.512; y grows downwards over 400.
    assert.ok(chart({}).includes(`d="M0 378.57L500 200L1000 21.43"`));
  });

  it("names crowded baselines on different sides of their lines", () => {
    assert.match(chart({}), /class="baseline over"[^>]*>raw pixels/);
    assert.match(chart({}), /class="baseline under"[^>]*>untrained backbone/);
  });

  it("says how often a value was not finite, and draws the rest", () => {
    const points = [1, NaN, 3, 4].map((y, x) => ({ x, y }));
    const text = chart({ percent: false, baselines: [], series: [{ name: "total", points }] });
    assert.ok(text.includes("not finite: total once"));
    assert.ok(text.includes("total from 1 to 4"));
    assert.ok(!text.includes("NaN"));
  });

  it("draws one point, none, and only values that are not finite", () => {
    for (const points of [[{ x: 3, y: 0.5 }], [], [{ x: 0, y: NaN }]]) {
      const text = chart({ baselines: [], series: [{ name: "top-1", points }] });
      assert.ok(!/NaN|Infinity|undefined/.test(text), text);
    }
  });

  it("escapes names", () => {
    const text = chart({ series: [{ name: "<b>&\"'", points: [{ x: 0, y: 0.5 }] }] });
    assert.ok(!text.includes("<b>&\"'"));
    assert.ok(text.includes("&lt;b&gt;&amp;&quot;&#39;"));
  });
});
