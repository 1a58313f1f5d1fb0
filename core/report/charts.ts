/**
 * Line charts as inline SVG. The SVG is stretched to its box and holds lines only, of constant width;
 * all text is HTML beside it, so that it stays as readable on a phone as on a wide screen.
 */
import type { Baseline } from "../eval/card.ts";
import type { Chart } from "./curves.ts";
import { number, percent } from "./format.ts";
import { markup, type Content, type Markup } from "./markup.ts";
import { axisOf, condense, runs, ticksOf, type Axis, type Stretch } from "./scale.ts";

/** Colours that the style sheet defines: --line-1 … */
const COLOURS = 6;
/** The SVG's own coordinates. */
const WIDTH = 1000;
const HEIGHT = 400;
/** Baselines closer than this share of the height get their names on different sides. */
const CROWDED = 0.12;

interface Line {
  readonly name: string;
  readonly colour: string;
  readonly isLimit: boolean;
  readonly stretches: readonly Stretch[];
  readonly first: number;
  readonly last: number;
  readonly notFinite: number;
}

export function lineChart(chart: Chart): Markup {
  const lines = chart.series.map(({ name, points, isLimit = false }, i): Line => {
    const finite = points.map(({ y }) => y).filter(Number.isFinite);
    return {
      name,
      colour: isLimit ? "var(--muted)" : `var(--line-${(i % COLOURS) + 1})`,
      isLimit,
      stretches: condense(points),
      first: finite[0] ?? NaN,
      last: finite.at(-1) ?? NaN,
      notFinite: points.length - finite.length,
    };
  });
  const stretches = lines.flatMap((line) => line.stretches);
  const ranges = stretches.flatMap(({ low, high }) => [low, high]);
  const x = axisOf([0, ...chart.series.flatMap(({ points }) => points.map((p) => p.x))], 0);
  const y = axisOf([...ranges, ...chart.baselines.map(({ value }) => value)], 0.06);
  const lost = lines.filter(({ notFinite }) => notFinite > 0);
  return markup`<figure class="chart ${chart.size}">
    <figcaption><h3>${chart.title}</h3>${legend(chart, lines)}</figcaption>
    ${plot(chart, lines, x, y)}
    ${lost.length === 0 ? undefined : markup`<p class="note">not finite: ${lost.map(lossOf).join(", ")}</p>`}
  </figure>`;
}

const lossOf = ({ name, notFinite }: Line) => `${name} ${notFinite === 1 ? "once" : `${notFinite} times`}`;

/** Names and last values; the one line of a chart needs neither its name nor its colour. */
function legend(chart: Chart, lines: readonly Line[]): Markup {
  const named = lines.length > 1 || chart.percent;
  const label = ({ name, colour }: Line) =>
    named ? markup`<i style="background:${colour}"></i>${name}` : "last";
  const item = (line: Line) => markup`<li>${label(line)} <b>${show(chart, line.last)}</b></li>`;
  return markup`<ul class="legend">${lines.map(item)}</ul>`;
}

function plot(chart: Chart, lines: readonly Line[], x: Axis, y: Axis): Markup {
  const right = (value: number) => (value - x.low) / (x.high - x.low);
  const up = (value: number) => (value - y.low) / (y.high - y.low);
  const at: Place = (px, py) => `${round(right(px) * WIDTH)} ${round((1 - up(py)) * HEIGHT)}`;
  const level = (value: number) => `M${at(x.low, value)}H${WIDTH}`;
  const words = inWords(chart, lines);
  const yTicks = ticksOf(y, chart.size === "small" ? 4 : 6, chart.percent);
  const xTicks = ticksOf(x, chart.size === "wide" ? 9 : 5, false);
  return markup`<div class="plot" data-chart="${hoverData(chart, lines, x)}">
    ${yTicks.map((t) => markup`<span class="y" style="bottom:${share(up(t.value))}">${t.text}</span>`)}
    <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${words}">
      ${yTicks.map((t) => stroke(level(t.value), "var(--rule)", 1))}
      ${chart.baselines.map((b) => stroke(level(b.value), "var(--muted)", 1.25, "5 4"))}
      ${lines.filter(isSignal).map((line) => band(line, at))}
      ${lines.map(({ stretches, colour, isLimit }) =>
        isLimit ? stroke(path(stretches, at), colour, 1.25, "5 4") : stroke(path(stretches, at), colour, 2),
      )}
      ${lines.filter(isSignal).map((line) => dots(line, at))}
    </svg>
    ${chart.baselines.map((b) => {
      const side = crowded(b, chart.baselines, up) ? "under" : "over";
      const name = `${b.name} ${show(chart, b.value)}`;
      return markup`<span class="baseline ${side}" style="bottom:${share(up(b.value))}">${name}</span>`;
    })}
    ${xTicks.map((t) => markup`<span class="x" style="left:${share(right(t.value))}">${t.text}</span>`)}
    <span class="x-label">${chart.xLabel}</span>
  </div>`;
}

const isSignal = ({ isLimit }: Line) => !isLimit;

type Place = (x: number, y: number) => string;

/** Another baseline lies just above: the name goes below the line. */
function crowded(own: Baseline, all: readonly Baseline[], up: (value: number) => number): boolean {
  return all.some(({ value }) => value > own.value && up(value) - up(own.value) < CROWDED);
}

function path(stretches: readonly Stretch[], at: Place): string {
  return runs(stretches)
    .map((run) => `M${run.map((s) => at(s.x, s.mean)).join("L")}`)
    .join("");
}

/** The range of the values behind each mean, where there is one. */
function band({ stretches, colour }: Line, at: Place): Content {
  if (!stretches.some(({ low, high }) => high > low)) return undefined;
  const outline = runs(stretches).map((run) => {
    const above = run.map((s) => at(s.x, s.high));
    const below = run.map((s) => at(s.x, s.low)).reverse();
    return `M${[...above, ...below].join("L")}Z`;
  });
  return markup`<path d="${outline.join("")}" fill="${colour}" fill-opacity="0.14"/>`;
}

/** A dot on each value where they are few, on the last one otherwise. */
function dots({ stretches, colour }: Line, at: Place): Markup {
  const finite = stretches.filter(({ mean }) => Number.isFinite(mean));
  const dotted = finite.length <= 12 ? finite : finite.slice(-1);
  return stroke(dotted.map((s) => `M${at(s.x, s.mean)}h0`).join(""), colour, 6);
}

function stroke(d: string, colour: string, width: number, dashes?: string): Markup {
  const dashed = dashes === undefined ? undefined : markup` stroke-dasharray="${dashes}"`;
  return markup`<path d="${d}" stroke="${colour}" stroke-width="${width}"${dashed}/>`;
}

/** The chart for those who do not see it. */
function inWords(chart: Chart, lines: readonly Line[]): string {
  const changes = lines.map((l) => `${l.name} from ${show(chart, l.first)} to ${show(chart, l.last)}`);
  const compared = chart.baselines.map((b) => `${b.name} ${show(chart, b.value)}`);
  return `${chart.title} by ${chart.xLabel}: ${[...changes, ...compared].join("; ")}.`;
}

/** What the page's script shows under the pointer. */
function hoverData({ percent, xLabel }: Chart, lines: readonly Line[], { low, high }: Axis): string {
  const short = (value: number) => Number(value.toPrecision(5));
  const points = (stretches: readonly Stretch[]) =>
    stretches.filter((s) => Number.isFinite(s.mean)).map((s) => [short(s.x), short(s.mean)]);
  const shown = lines.map(({ name, colour, stretches }) => ({ name, colour, points: points(stretches) }));
  return JSON.stringify({ percent, label: xLabel, low, high, lines: shown });
}

const show = (chart: Chart, value: number) => (chart.percent ? percent(value) : number(value));
const share = (value: number) => `${round(value * 100)}%`;
const round = (value: number) => Math.round(value * 100) / 100;
