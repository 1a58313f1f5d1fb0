/** The style sheet of the report: one calm scheme in a light and a dark version, from 320 px wide. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f6f6f3; --surface: #ffffff; --ink: #1c1f23; --muted: #5c626a; --rule: #e6e5df; --track: #ecebe6;
  --accent: #0c6e6a; --good: #23693a; --bad: #a8322a; --warn-page: #fcf2dd; --warn-ink: #6b4404;
  --line-1: #0c6e6a; --line-2: #5a4fcf; --line-3: #b8620b; --line-4: #b5337a; --line-5: #4a6fa5;
  --line-6: #5f7d1e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #121416; --surface: #1a1d20; --ink: #e9e9e6; --muted: #a2a8af; --rule: #2b2f34; --track: #2a2e33;
    --accent: #5cc4ba; --good: #78c795; --bad: #f0897d; --warn-page: #2e2614; --warn-ink: #f0cf8e;
    --line-1: #5cc4ba; --line-2: #a39cf5; --line-3: #e8a75a; --line-4: #ee88b8; --line-5: #93b5e6;
    --line-6: #a9c85f;
  }
}
* { box-sizing: border-box; margin: 0; }
html { -webkit-text-size-adjust: 100%; }
body {
  background: var(--page); color: var(--ink); line-height: 1.5;
  font: 16px/1.5 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif;
  font-variant-numeric: tabular-nums;
}
main, header, footer { max-width: 1080px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 48px; }
h1 { font-size: clamp(1.6rem, 4.5vw, 2.3rem); line-height: 1.2; letter-spacing: -0.02em; font-weight: 650;
  text-wrap: balance; }
h2 { font-size: 1.2rem; font-weight: 620; letter-spacing: -0.01em; }
h3 { font-size: 0.95rem; font-weight: 600; }
section { margin-top: 52px; }
section > h2 { margin-bottom: 16px; }
section > p { color: var(--muted); max-width: 76ch; text-wrap: pretty; margin: -10px 0 18px;
  font-size: 0.92rem; }
.summary { margin-top: 12px; color: var(--muted); max-width: 68ch; font-size: 1.05rem; }
.status { display: inline-flex; align-items: center; gap: 8px; font-size: 0.85rem; color: var(--muted);
  margin-bottom: 10px; }
.status i { width: 8px; height: 8px; border-radius: 50%; background: var(--muted); }
.status.finished i { background: var(--good); }
.status.running i { background: var(--accent); }
.status.failed i { background: var(--bad); }
.facts { display: flex; flex-wrap: wrap; gap: 6px 28px; margin-top: 22px; padding-top: 16px;
  border-top: 1px solid var(--rule); }
.facts div { display: flex; gap: 8px; align-items: baseline; font-size: 0.92rem; }
.facts dt { color: var(--muted); }
.facts dd { font-weight: 550; }
.card { background: var(--surface); border: 1px solid var(--rule); border-radius: 12px; padding: 20px; }
.warnings { margin-top: 28px; background: var(--warn-page); color: var(--warn-ink); border-radius: 12px;
  padding: 16px 20px; }
.warnings h2 { font-size: 0.95rem; }
.warnings ul { padding-left: 18px; margin-top: 6px; font-size: 0.92rem; }

.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); gap: 16px;
  margin-top: 28px; }
.tile h2 { font-size: 0.9rem; font-weight: 550; letter-spacing: 0; color: var(--muted); }
.tile .value { font-size: 2.5rem; font-weight: 640; letter-spacing: -0.03em; line-height: 1.2;
  margin-top: 4px; }
.tile .value small { font-size: 1.3rem; font-weight: 500; letter-spacing: 0; color: var(--muted); }
.tile .gain { font-size: 0.88rem; color: var(--good); }
.tile .gain.worse { color: var(--bad); }
.bars { display: grid; grid-template-columns: auto 1fr auto; gap: 5px 10px; align-items: center;
  margin-top: 14px; font-size: 0.82rem; color: var(--muted); }
.bars .bar { height: 6px; border-radius: 3px; background: var(--track); overflow: hidden; }
.bars .bar i { display: block; height: 100%; border-radius: 3px; background: var(--muted); opacity: 0.55; }
.bars .own { color: var(--ink); }
.bars .bar.own i { background: var(--accent); opacity: 1; }
.bars .number { text-align: right; }

.charts { display: grid; grid-template-columns: repeat(6, minmax(0, 1fr)); gap: 16px; }
.chart { grid-column: span 2; background: var(--surface); border: 1px solid var(--rule);
  border-radius: 12px; padding: 18px 20px 14px; min-width: 0; }
.chart.wide { grid-column: 1 / -1; }
.chart.half { grid-column: span 3; }
.chart.half:nth-child(even):not(:has(~ .half)) { grid-column: 1 / -1; }
.chart figcaption { display: flex; flex-wrap: wrap; gap: 4px 18px; justify-content: space-between;
  align-items: baseline; }
.legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: 0.82rem;
  color: var(--muted); }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 6px; }
.legend b { font-weight: 600; color: var(--ink); }
.plot { position: relative; height: 200px; margin: 18px 4px 42px 46px; }
.wide .plot { height: 260px; }
.small .plot { height: 120px; }
.plot path { fill-rule: nonzero; vector-effect: non-scaling-stroke; stroke-linecap: round;
  stroke-linejoin: round; }
.plot path:not([fill]) { fill: none; }
.plot svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
.plot span { position: absolute; font-size: 0.74rem; color: var(--muted); white-space: nowrap;
  line-height: 1; }
.plot .y { right: calc(100% + 8px); transform: translateY(50%); }
.plot .x { top: calc(100% + 8px); transform: translateX(-50%); }
.plot .x-label { top: calc(100% + 25px); left: 50%; transform: translateX(-50%); }
.plot .baseline { right: 0; padding: 2px 4px; margin: 2px 0; background: var(--surface); border-radius: 4px; }
.plot .baseline.under { transform: translateY(calc(100% + 4px)); }
.plot .cursor { position: absolute; top: 0; bottom: 0; width: 1px; background: var(--muted); opacity: 0.6;
  pointer-events: none; }
.plot .tip { position: absolute; top: 4px; z-index: 2; pointer-events: none; background: var(--surface);
  border: 1px solid var(--rule); box-shadow: 0 4px 16px rgb(0 0 0 / 0.14); border-radius: 8px;
    padding: 7px 10px; font-size: 0.78rem; white-space: nowrap; }
.plot .tip i { display: inline-block; width: 8px; height: 8px; border-radius: 2px; margin-right: 6px; }
.note { font-size: 0.82rem; color: var(--muted); }

.results { display: grid; gap: 16px; }
.result { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 300px); gap: 12px 48px;
  align-items: center; }
caption { text-align: left; font-size: 0.95rem; font-weight: 600; padding-bottom: 6px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
th, td { text-align: left; padding: 8px 14px 8px 0; border-bottom: 1px solid var(--rule);
  vertical-align: baseline; }
tr:last-child td, tr:last-child th { border-bottom: 0; }
thead th { color: var(--muted); font-weight: 500; font-size: 0.82rem; }
tbody th { font-weight: 500; }
th.number, td.number { text-align: right; padding-left: 14px; }
:is(th, td):last-child { padding-right: 0; }
.result th.number { width: 23%; }
td.number { white-space: nowrap; }
tbody th { min-width: 64px; }
td small { color: var(--muted); font-size: 0.8rem; font-weight: 400; }
td.own { font-weight: 620; }
.protocol { font-size: 0.85rem; color: var(--muted); }

.samples { display: grid; gap: 16px; }
.sample { display: grid; grid-template-columns: 176px 1fr; gap: 28px; align-items: center; }
.picture { position: relative; display: block; line-height: 0; border-radius: 8px; overflow: hidden;
  background: #fff; }
.picture img { display: block; width: 100%; height: auto; }
.picture svg { position: absolute; inset: 0; width: 100%; height: 100%; }
.view figcaption, .sample > figure figcaption { font-size: 0.78rem; color: var(--muted); margin-top: 6px;
  line-height: 1.3; overflow-wrap: anywhere; }
.views, .views div { display: flex; flex-wrap: wrap; gap: 14px; align-items: end; }
.global .view { width: 112px; }
.local .view { width: 72px; }
.picture { box-shadow: 0 0 0 1px var(--rule); }
.key { display: flex; flex-wrap: wrap; gap: 4px 20px; font-size: 0.82rem; color: var(--muted);
  list-style: none; padding: 0; margin-bottom: 14px; }
.key i { display: inline-block; width: 14px; height: 10px; border-radius: 2px; margin-right: 7px; }

.relations { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 330px), 1fr)); gap: 16px; }
.related { display: grid; grid-template-columns: auto repeat(var(--points), minmax(0, 112px)); gap: 10px;
  align-items: center; }
.related .by, .related .name { font-size: 0.78rem; color: var(--muted); }
.related .name { grid-column: 1 / -1; overflow-wrap: anywhere; }

.gallery { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 16px; }
.example { display: grid; grid-template-columns: 84px 1fr; gap: 18px; align-items: start; }
.by::first-letter { text-transform: uppercase; }
.example .by { font-size: 0.78rem; color: var(--muted); margin-bottom: 8px; }
.by b { font-weight: 600; color: var(--ink); }
.by b.good { color: var(--good); }
.answer + .answer { margin-top: 14px; }
.found { display: grid; grid-template-columns: repeat(5, minmax(0, 84px)); gap: 10px; }
.found .picture, .query .picture { padding: 5px; overflow: visible; }
.found .right .picture { box-shadow: 0 0 0 2px var(--good); }
.mark { position: absolute; right: -5px; top: -5px; width: 18px; height: 18px; border-radius: 50%;
  font: 700 11px/18px system-ui, sans-serif; text-align: center; color: #fff; background: #23693a; }
.wrong .mark { background: #fff; color: #5c626a; box-shadow: 0 0 0 1px var(--rule); }
.found figcaption, .query figcaption { font-size: 0.72rem; color: var(--muted); margin-top: 6px;
  line-height: 1.25; overflow-wrap: break-word; hyphens: auto; display: -webkit-box;
    -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; }
.query figcaption { color: var(--ink); font-size: 0.82rem; -webkit-line-clamp: 4; }

.segmentation { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 14px; }
.segmentation figcaption { font-size: 0.78rem; color: var(--muted); margin-top: 6px; line-height: 1.3;
  overflow-wrap: anywhere; }
.segmentation b { font-weight: 600; color: var(--ink); white-space: nowrap; }

.details { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr));
  gap: 16px; align-items: start; }
.pairs { display: grid; grid-template-columns: auto 1fr; gap: 6px 20px; font-size: 0.9rem; }
.pairs dt { color: var(--muted); }
.pairs dd { overflow-wrap: anywhere; }
.details h3 { margin-bottom: 14px; }
pre { font: 0.8rem/1.6 ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-x: auto; }
pre b { font-weight: 500; color: var(--accent); }
footer { margin-top: 64px; padding-bottom: 40px; font-size: 0.82rem; color: var(--muted); }

@media (max-width: 820px) {
  .chart, .chart.half { grid-column: span 3; }
}
@media (max-width: 620px) {
  header { padding-top: 28px; }
  main, header, footer { padding-left: 16px; padding-right: 16px; }
  section { margin-top: 40px; }
  .card { padding: 16px; }
  .chart, .chart.half, .chart.wide { grid-column: 1 / -1; padding: 16px; }
  .wide .plot { height: 220px; }
  .sample, .result { grid-template-columns: minmax(0, 1fr); }
  .sample > figure { width: 176px; }
  .sample { gap: 16px; }
  .global .view { width: 96px; }
  .local .view { width: 58px; }
  .example { grid-template-columns: minmax(0, 1fr); gap: 16px; }
  .query { display: grid; grid-template-columns: 64px 1fr; gap: 0 14px; align-items: center; }
  .query .by { grid-column: 1 / -1; }
  .found { gap: 8px; }
  td small { display: block; }
  table { font-size: 0.85rem; }
  th.number, td.number { padding-left: 8px; }
  th, td { padding-right: 8px; }
  .pairs { grid-template-columns: 1fr; gap: 0; }
  .pairs dd { margin-bottom: 8px; }
}
@media print { body { background: #fff; } .card, .chart { break-inside: avoid; } }
`;
