import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { HOVER } from "./hover.ts";
import { markup, Markup } from "./markup.ts";
import { relations, retrievals, segmentations, viewCrops } from "./pictures.ts";
import type { ReportData } from "./report-data.ts";
import {
  configAndEnvironment,
  curves,
  evaluations,
  headline,
  health,
  tables,
  tiles,
  warnings,
} from "./sections.ts";
import { STYLE } from "./style.ts";

/** The page may load nothing at all: images, style and script are in it. */
const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/**
 * Writes the page of a run: one HTML file that loads nothing.
 * The file is replaced as a whole, so that a reader never meets half a page.
 *
 * @throws IMAGE_INVALID when an image's data do not fit its size.
 */
export async function writeReport(path: string, data: ReportData): Promise<void> {
  const page = await renderReport(data);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.part`, page);
  await rename(`${path}.part`, path);
}

/** The page as text. */
export async function renderReport(data: ReportData): Promise<string> {
  return markup`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta http-equiv="Content-Security-Policy" content="${POLICY}">
  <title>${data.title}</title>
  <style>${new Markup(STYLE)}</style>
</head>
<body>
  ${headline(data)}
  <main>
    ${warnings(data.warnings)}
    ${tiles(data.results)}
    ${await retrievals(data)}
    ${await segmentations(data)}
    ${curves(data)}
    ${health(data)}
    ${evaluations(data.results)}
    ${await relations(data.relations)}
    ${await viewCrops(data.views)}
    ${tables(data.tables)}
    ${configAndEnvironment(data)}
  </main>
  <footer>Made by relata. This page is one file and loads nothing.</footer>
  <script>${new Markup(HOVER)}</script>
</body>
</html>
`.text;
}
