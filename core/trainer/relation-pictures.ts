/** How points of a few images relate to the rest of two views of them: the teacher's view and the student's other. */
import type { ViewGroupSpec } from "../contexts.ts";
import { intersection } from "../data/crop.ts";
import { cropOf, type ViewBatch } from "../data/pipeline.ts";
import type { Feeds, HostArray, Program } from "../engine/engine.ts";
import { rgbImage, type AnnotatedImage } from "../report/images.ts";
import type { RelationSample } from "../report/report-data.ts";
import { firstBatch, type Assembly } from "./assemble.ts";
import { TEACHER } from "./declarations.ts";
import { relationOutputs } from "./relation-rows.ts";

/** Points per side of the grid over the overlap that the shown points are on. */
const SIDE = 9;
/** Their rows and columns in it. */
const POINTS = [
  [2, 2],
  [4, 4],
  [6, 6],
] as const;

interface Prepared {
  readonly batch: ViewBatch;
  readonly views: ViewGroupSpec;
  /** Indices in the batch. */
  readonly samples: Int32Array;
  readonly feeds: Feeds;
  readonly program: Program;
}

/** Pictures of the same samples and points whenever they are asked for: what changes is the networks. */
export class RelationPictures {
  private readonly assembly: Assembly;
  private readonly count: number;
  private prepared: Promise<Prepared | undefined> | undefined;

  /** Of at most `count` samples. */
  constructor(assembly: Assembly, count: number) {
    this.assembly = assembly;
    this.count = count;
  }

  /**
   * For each relation along tokens, the first samples of the run's first batch whose two global views overlap. Nothing
   * is masked, no branch dropped. Empty where no plugin relates tokens.
   */
  async sample(): Promise<RelationSample[]> {
    const { assembly, count } = this;
    if (count === 0 || assembly.hooks.relation.taps.length === 0) return [];
    const prepared = await (this.prepared ??= prepare(assembly, count));
    if (!prepared) return [];
    const { batch, views, samples, feeds, program } = prepared;
    const outputs = await program.run(feeds);
    const relations = Object.keys(outputs).flatMap((name) => /^(.*)\/teacher\/rows$/.exec(name)?.[1] ?? []);
    // Plugins that relate channels alone have nothing to show at the next evaluation either.
    if (relations.length === 0) this.prepared = Promise.resolve(undefined);
    return relations.flatMap((relation) =>
      [...samples].map((b, sample): RelationSample => {
        const shown: Shown = { assembly, views, outputs, relation, sample, samples: samples.length };
        return {
          relation,
          name: assembly.trained.item(batch.indices[b]!).id,
          points: POINTS.map((_, p) => ({
            teacher: viewAt(shown, "teacher", p),
            student: viewAt(shown, "student", p),
          })),
        };
      }),
    );
  }
}

async function prepare(assembly: Assembly, count: number): Promise<Prepared | undefined> {
  const { training } = assembly;
  const { views: groups, passes } = training.declarations;
  const taught = [...passes.values()].filter(({ network }) => network.name === TEACHER);
  const views = groups.find((own) => own.count > 1 && taught.some((pass) => pass.views === own));
  if (!views) return undefined;
  const batch = await firstBatch(assembly);
  const samples = Int32Array.from(overlapping(batch, views.group).slice(0, count));
  if (samples.length === 0) return undefined;
  const feeds = training.plainFeeds(batch, { step: 0, epoch: 0 });
  const points = Int32Array.from(POINTS, ([row, column]) => row * SIDE + column);
  const trace = training.traceRelations(feeds, { group: views.group, samples, points, side: SIDE });
  return { batch, views, samples, feeds, program: await training.engine.program("relations", trace) };
}

/** Samples whose first two views of a group share something. */
function overlapping(batch: ViewBatch, group: string): number[] {
  const { indices } = batch;
  return Array.from(indices.keys()).filter((b) =>
    intersection(cropOf(batch, group, b), cropOf(batch, group, indices.length + b)),
  );
}

interface Shown {
  readonly assembly: Assembly;
  readonly views: ViewGroupSpec;
  readonly outputs: Readonly<Record<string, HostArray>>;
  readonly relation: string;
  /** Which of the shown samples, and how many there are. */
  readonly sample: number;
  readonly samples: number;
}

/**
 * The sample's view with point `p` of the overlap marked, and each patch as bright as it relates to the point. The
 * teacher's view is the first of its group, the student's the second.
 */
function viewAt(shown: Shown, network: "teacher" | "student", p: number): AnnotatedImage {
  const { outputs, relation, sample } = shown;
  const { training, run } = shown.assembly;
  const { size } = shown.views;
  const { rows, columns } = training.declarations.backbone.grid(size);
  const point = sample * POINTS.length + p;
  const valuesOf = (part: "rows" | "x" | "y", each: number) =>
    (outputs[relationOutputs.view(relation, network, part)] as Float32Array).subarray(
      point * each,
      (point + 1) * each,
    );
  const related = valuesOf("rows", rows * columns);
  const least = Math.min(...related);
  const range = Math.max(...related) - least || 1;
  // From -1 … 1 between the view's edges.
  const share = (part: "x" | "y") => (valuesOf(part, 1)[0]! + 1) / 2;

  const bytes = size * size * run.channels;
  const image = (network === "teacher" ? 0 : 1) * shown.samples + sample;
  const pixels = outputs[relationOutputs.pixels] as Float32Array;
  return {
    image: rgbImage(
      pixels.subarray(image * bytes, (image + 1) * bytes).map((v) => 255 * v),
      { width: size, height: size, channels: run.channels },
    ),
    light: { rows, columns, cells: Array.from(related, (v) => (v - least) / range) },
    point: { x: share("x"), y: share("y") },
  };
}
