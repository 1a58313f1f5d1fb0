/** The sections of the report that hold images, each inline as a PNG. */
import { percent } from "./format.ts";
import {
  encodePng,
  isAnnotated,
  overlaySvg,
  BOX_COLOURS,
  MASK_COLOUR,
  type AnnotatedImage,
} from "./images.ts";
import { markup, Markup, type Content } from "./markup.ts";
import type {
  FoundImage,
  RelationSample,
  ReportData,
  RetrievalExample,
  SegmentationExample,
  ViewSample,
} from "./report-data.ts";

export async function viewCrops(samples: readonly ViewSample[] = []): Promise<Content> {
  if (samples.length === 0) return undefined;
  return markup`<section>
    <h2>What the networks see</h2>
    <p>Images of the training set, and the views that were taken of each in one step.</p>
    ${key(samples.flatMap(({ source, views }) => [source, ...views]))}
    <div class="samples">${await Promise.all(samples.map(viewSample))}</div>
  </section>`;
}

/** What the colours mean, as far as they occur. */
function key(images: readonly AnnotatedImage[]): Markup {
  const has = (kind: string) => images.some(({ boxes }) => boxes?.some((box) => box.kind === kind));
  const entries = [
    { shown: has("global"), colour: BOX_COLOURS.global, name: "global crop" },
    { shown: has("local"), colour: BOX_COLOURS.local, name: "local crop (dashed)" },
    { shown: has("overlap"), colour: BOX_COLOURS.overlap, name: "overlap (tinted)" },
    { shown: images.some(({ mask }) => mask), colour: MASK_COLOUR, name: "masked for the student" },
  ].filter(({ shown }) => shown);
  const entry = ({ colour, name }: { colour: string; name: string }) =>
    markup`<li><i style="background:${colour}"></i>${name}</li>`;
  return markup`<ul class="key">${entries.map(entry)}</ul>`;
}

async function viewSample({ name, source, views }: ViewSample): Promise<Markup> {
  const shown = (kind: string) =>
    views
      .filter((view) => view.kind === kind)
      .map(
        async (view) => markup`<figure class="view">
          ${await picture(view, `${view.name} of ${name}`)}
          <figcaption>${view.name}</figcaption>
        </figure>`,
      );
  return markup`<article class="card sample">
    <figure>${await picture(source, `${name}, whole image`)}<figcaption>${name}</figcaption></figure>
    <div class="views">
      <div class="global">${await Promise.all(shown("global"))}</div>
      <div class="local">${await Promise.all(shown("local"))}</div>
    </div>
  </article>`;
}

/** One section per relation. */
export async function relations(samples: readonly RelationSample[] = []): Promise<Content> {
  const section = async (relation: string) => markup`<section>
    <h2>What relates to what: ${relation}</h2>
    <p>A point of an image, in the teacher's view and in another view that the student sees. The brighter a patch, the more
    it relates to the point. The two are trained to agree where the views overlap.</p>
    <div class="relations">
      ${await Promise.all(samples.filter((sample) => sample.relation === relation).map(relationSample))}
    </div>
  </section>`;
  return Promise.all([...new Set(samples.map(({ relation }) => relation))].map(section));
}

async function relationSample({ name, points }: RelationSample): Promise<Markup> {
  const row = async (network: "teacher" | "student") =>
    markup`<p class="by">${network}</p>${await Promise.all(
      points.map((point, i) => picture(point[network], `${name}, point ${i + 1}, ${network}`)),
    )}`;
  return markup`<article class="card related" style="--points:${points.length}">
    ${await row("teacher")}${await row("student")}
    <p class="name" title="${name}">${name}</p>
  </article>`;
}

export async function retrievals({ retrievals = [] }: ReportData): Promise<Content> {
  const section = async ({ title, note, examples }: (typeof retrievals)[number]) => markup`<section>
    <h2>${title}</h2>
    <p>${note}</p>
    <div class="gallery">${await Promise.all(examples.map(example))}</div>
  </section>`;
  return Promise.all(retrievals.filter(({ examples }) => examples.length > 0).map(section));
}

async function example({ query, answers }: RetrievalExample): Promise<Markup> {
  const rows = answers.map(
    async ({ by, neighbours }) => markup`<div class="answer">
      <p class="by">${by}: ${verdict(neighbours)}</p>
      <div class="found">${await Promise.all(neighbours.map(foundImage))}</div>
    </div>`,
  );
  return markup`<article class="card example">
    <figure class="query">
      <p class="by">query</p>
      ${await picture(query, query.name)}
      <figcaption title="${query.name}">${query.name}</figcaption>
    </figure>
    <div>${await Promise.all(rows)}</div>
  </article>`;
}

/** "right at rank 1", "right at ranks 1, 4", "none right". */
function verdict(neighbours: readonly FoundImage[]): Markup {
  const ranks = neighbours.flatMap(({ right }, i) => (right ? i + 1 : []));
  if (ranks.length === 0) return markup`<b>none right</b>`;
  return markup`<b class="good">right at rank${ranks.length > 1 ? "s" : ""} ${ranks.join(", ")}</b>`;
}

async function foundImage({ name, image, right }: FoundImage): Promise<Markup> {
  const [kind, sign] = right ? ["right", "✓"] : ["wrong", "✗"];
  const mark = markup`<span class="mark" aria-hidden="true">${sign}</span>`;
  return markup`<figure class="${kind}">
    ${await picture({ image }, `${name} (${kind})`, mark)}
    <figcaption title="${name}">${name}</figcaption>
  </figure>`;
}

export async function segmentations({ segmentations: shown }: ReportData): Promise<Content> {
  if (!shown || shown.examples.length === 0) return undefined;
  const { title, note, examples } = shown;
  return markup`<section>
    <h2>${title}</h2>
    <p>${note}</p>
    <div class="gallery">${await Promise.all(examples.map(segmentation))}</div>
  </section>`;
}

async function segmentation({ name, image, maps }: SegmentationExample): Promise<Markup> {
  const map = async ({ by, image: cut, overlap }: SegmentationExample["maps"][number]) => {
    const share = overlap === undefined || Number.isNaN(overlap) ? undefined : percent(overlap);
    return markup`<figure>
      ${await picture({ image: cut }, `${name}, ${by}`)}
      <figcaption>${by} ${share === undefined ? undefined : markup`<b>${share}</b>`}</figcaption>
    </figure>`;
  };
  return markup`<article class="card segmentation">
    <figure>${await picture({ image }, name)}<figcaption title="${name}">${name}</figcaption></figure>
    ${await Promise.all(maps.map(map))}
  </article>`;
}

async function picture(annotated: AnnotatedImage, alt: string, over?: Markup): Promise<Markup> {
  const { image } = annotated;
  const { width, height } = image;
  const data = (await encodePng(image)).toString("base64");
  const overlay = isAnnotated(annotated) ? new Markup(overlaySvg(annotated, width, height)) : undefined;
  const src = `data:image/png;base64,${data}`;
  const img = markup`<img src="${src}" width="${width}" height="${height}" alt="${alt}">`;
  return markup`<span class="picture">${img}${overlay}${over}</span>`;
}
