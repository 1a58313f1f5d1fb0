/** The sections of the report that hold figures, tables and text. */
import { stringify } from "yaml";
import { describeCard, standardError } from "../eval/card.ts";
import type { EvalResult, Figure, ProtocolCard, SweepPoint } from "../eval/card.ts";
import { lineChart } from "./charts.ts";
import { chartsFromMetrics, healthCharts } from "./curves.ts";
import { number, percent } from "./format.ts";
import { markup, type Content, type Markup } from "./markup.ts";
import type { Fact, ReportData, ReportTable, RunStatus } from "./report-data.ts";

const STATUS: Record<RunStatus, string> = {
  running: "Still running",
  finished: "Finished",
  stopped: "Stopped early",
  failed: "Failed",
};

export function headline({ title, summary, status, facts }: ReportData): Markup {
  return markup`<header>
    <p class="status ${status}"><i></i>${STATUS[status]}</p>
    <h1>${title}</h1>
    <p class="summary">${summary}</p>
    <dl class="facts">${facts.map((fact) => markup`<div>${pair(fact)}</div>`)}</dl>
  </header>`;
}

export function warnings(list: readonly string[]): Content {
  if (list.length === 0) return undefined;
  return markup`<div class="warnings" role="note">
    <h2>${list.length === 1 ? "One warning" : `${list.length} warnings`}</h2>
    <ul>${list.map((warning) => markup`<li>${warning}</li>`)}</ul>
  </div>`;
}

/** The first figure of each result, beside the same figure without training. */
export function tiles(results: readonly EvalResult[]): Content {
  const shown = results.filter(({ figures }) => figures.length > 0);
  if (shown.length === 0) return undefined;
  return markup`<div class="tiles">${shown.map(({ card, figures }) => tile(card, figures[0]!))}</div>`;
}

function tile({ task, network }: ProtocolCard, figure: Figure): Markup {
  const bar = (name: string, value: number, own: string) =>
    markup`<span class="${own}">${name}</span>
      <span class="bar ${own}"><i style="width:${(Math.max(0, value) * 100).toFixed(2)}%"></i></span>
      <span class="number ${own}">${percent(value)}</span>`;
  return markup`<article class="card tile">
    <h2>${upper(task)}, ${figure.name}</h2>
    <p class="value">${(figure.value * 100).toFixed(1)}<small>\u00a0%</small></p>
    ${gain(figure)}
    <div class="bars">
      ${bar(network, figure.value, "own")}
      ${figure.baselines.map(({ name, value }) => bar(name, value, ""))}
    </div>
  </article>`;
}

/** The distance to the best that is had without training: what training brought. */
function gain({ value, baselines }: Figure): Content {
  if (baselines.length === 0) return undefined;
  const best = baselines.reduce((a, b) => (b.value > a.value ? b : a));
  const points = (value - best.value) * 100;
  if (Math.abs(points) < 0.05) return markup`<p class="gain worse">the same as ${best.name}</p>`;
  const [way, side] = points > 0 ? ["above", "better"] : ["below", "worse"];
  return markup`<p class="gain ${side}">${Math.abs(points).toFixed(1)} points ${way} ${best.name}</p>`;
}

export function curves({ metrics, curveBaselines }: ReportData): Content {
  const charts = chartsFromMetrics(metrics, curveBaselines);
  if (charts.length === 0) return undefined;
  return markup`<section>
    <h2>Training</h2>
    <div class="charts">${charts.map(lineChart)}</div>
  </section>`;
}

export function health({ metrics }: ReportData): Content {
  const charts = healthCharts(metrics);
  if (charts.length === 0) return undefined;
  return markup`<section>
    <h2>Health</h2>
    <p>What tells a run that learns from one that collapses or diverges. The median of a signal over the latest updates is held to the dashed limit; beyond it there is a warning at the top of this page.</p>
    <div class="charts">${charts.map(lineChart)}</div>
  </section>`;
}

export function evaluations(results: readonly EvalResult[]): Content {
  if (results.length === 0) return undefined;
  return markup`<section>
    <h2>Evaluation</h2>
    <p>Each figure beside the same protocol without training; ± is one standard error over n
      queries, of a mean over episodes its 95 % interval.</p>
    <div class="results">${results.map(evaluation)}</div>
  </section>`;
}

function evaluation({ card, figures, sweep }: EvalResult): Markup {
  const compared = [...new Set(figures.flatMap(({ baselines }) => baselines.map(({ name }) => name)))];
  const error = ({ value, interval }: Figure) => {
    const half = interval ?? standardError(card, value);
    if (half === undefined) return undefined;
    return markup`<small>±\u00a0${(half * 100).toFixed(1)}</small>`;
  };
  const other = ({ baselines }: Figure, name: string) => {
    const found = baselines.find((baseline) => baseline.name === name);
    return markup`<td class="number">${found ? percent(found.value) : "–"}</td>`;
  };
  const row = (figure: Figure) => markup`<tr>
    <th scope="row">${figure.name}</th>
    <td class="number own">${percent(figure.value)} ${error(figure)}</td>
    ${compared.map((name) => other(figure, name))}
  </tr>`;
  const head = (name: string) => markup`<th class="number">${name}</th>`;
  return markup`<article class="card result">
    <div class="scroll"><table>
      <caption>${upper(card.task)}</caption>
      <thead><tr><td></td>${[card.network, ...compared].map(head)}</tr></thead>
      <tbody>${figures.map(row)}</tbody>
    </table></div>
    <p class="protocol">${describeCard(card)}</p>
    ${sweepTable(sweep)}
  </article>`;
}

/** What each learning rate came to. */
function sweepTable(sweep: readonly SweepPoint[] = []): Content {
  if (sweep.length < 2) return undefined;
  const isHeldOut = sweep.some(({ heldOut }) => heldOut !== undefined);
  const columns = [...(isHeldOut ? ["held out"] : []), "test"];
  const row = ({ lr, heldOut, test }: SweepPoint) => markup`<tr>
    <th scope="row">${String(lr)}</th>
    ${isHeldOut ? markup`<td class="number">${percent(heldOut ?? NaN)}</td>` : undefined}
    <td class="number">${percent(test)}</td>
  </tr>`;
  return markup`<div class="scroll"><table>
    <thead><tr><th>learning rate</th>${columns.map((name) => markup`<th class="number">${name}</th>`)}</tr></thead>
    <tbody>${sweep.map(row)}</tbody>
  </table></div>`;
}

export function tables(list: readonly ReportTable[] = []): Content {
  return list.map(({ title, note, columns, rows }) => {
    const side = columns.map((_, i) => (rows.every((row) => typeof row[i] === "number") ? "number" : ""));
    const cell = (value: string | number, i: number) => markup`<td class="${side[i]}">${text(value)}</td>`;
    return markup`<section>
      <h2>${title}</h2>
      ${note === undefined ? undefined : markup`<p>${note}</p>`}
      <div class="card scroll"><table>
        <thead><tr>${columns.map((column, i) => markup`<th class="${side[i]}">${column}</th>`)}</tr></thead>
        <tbody>${rows.map((row) => markup`<tr>${row.map(cell)}</tr>`)}</tbody>
      </table></div>
    </section>`;
  });
}

export function configAndEnvironment({ config, environment }: ReportData): Markup {
  return markup`<section>
    <h2>How to make it again</h2>
    <div class="details">
      <article class="card"><h3>Resolved config</h3><pre tabindex="0">${yaml(config)}</pre></article>
      <article class="card"><h3>Environment</h3><dl class="pairs">${environment.map(pair)}</dl></article>
    </div>
  </section>`;
}

/** YAML with its keys set apart. */
function yaml(value: unknown): Content {
  const lines = stringify(value, { lineWidth: 100 }).trimEnd().split("\n");
  return lines.map((line) => {
    const [, indent = "", key, rest] = /^([ -]*)([^\s:"'#][^:"'#]*)(:.*)$/.exec(line) ?? [];
    return key === undefined ? `${line}\n` : markup`${indent}<b>${key}</b>${rest}\n`;
  });
}

const pair = ({ name, value }: Fact) => markup`<dt>${name}</dt><dd>${text(value)}</dd>`;
const upper = (words: string) => words.charAt(0).toUpperCase() + words.slice(1);
const text = (value: string | number) => (typeof value === "number" ? number(value) : value);
