/** How points of a few images relate to the rest of two views of them: the teacher's view and the student's other. */
import type { Feeds, HostArray, Program } from "../engine/engine.ts";
import type { ViewBatch } from "../data/pipeline.ts";
import { rgbImage, type AnnotatedImage } from "../report/images.ts";
import type { RelationSample } from "../report/report-data.ts";
import type { Assembly } from "./assemble.ts";
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
  readonly feeds: Feeds;
  readonly program: Program;
}

/** Pictures of the same samples and points whenever they are asked for: what changes is the networks. */
export class RelationPictures {
  private readonly assembly: Assembly;
  private prepared: Promise<Prepared> | undefined;

  constructor(assembly: Assembly) {
    this.assembly = assembly;
  }

  /**
   * For each relation along tokens, the first samples of the run's first batch whose two global views overlap. Nothing
   * is masked, no branch dropped. Empty where no plugin relates tokens.
   */
  async sample(count: number): Promise<RelationSample[]> {
    const { assembly } = this;
    if (count === 0 || assembly.hooks.relation.taps.length === 0) return [];
    const { batch, feeds, program } = await (this.prepared ??= prepare(assembly));
    const outputs = await program.run(feeds);
    const relations = Object.keys(outputs).flatMap((name) => /^(.*)\/overlaps$/.exec(name)?.[1] ?? []);
    return relations.flatMap((relation) => {
      const overlaps = [...outputs[relationOutputs.overlaps(relation)]!];
      const samples = overlaps.flatMap((hit, b) => (hit === 1 ? [b] : [])).slice(0, count);
      return samples.map((b): RelationSample => {
        const shown: Shown = { assembly, outputs, relation, sample: b };
        return {
          relation,
          name: assembly.dataset.item(batch.indices[b]!).id,
          points: POINTS.map((_, p) => ({
            teacher: viewAt(shown, "teacher", p),
            student: viewAt(shown, "student", p),
          })),
        };
      });
    });
  }
}

async function prepare({ training, pipeline }: Assembly): Promise<Prepared> {
  const batches = pipeline();
  try {
    const batch = (await batches.batches(0).next()).value as ViewBatch;
    const feeds = training.plainFeeds(batch, { step: 0, epoch: 0 });
    const points = Int32Array.from(POINTS, ([row, column]) => row * SIDE + column);
    const trace = training.traceRelations(feeds, SIDE, points);
    return { batch, feeds, program: await training.engine.program("relations", trace) };
  } finally {
    await batches.close();
  }
}

interface Shown {
  readonly assembly: Assembly;
  readonly outputs: Readonly<Record<string, HostArray>>;
  readonly relation: string;
  /** Index in the batch. */
  readonly sample: number;
}

/**
 * The sample's view with point `p` of the overlap marked, and each patch as bright as it relates to the point. The
 * teacher's view is the first of its group, the student's the second.
 */
function viewAt(shown: Shown, network: "teacher" | "student", p: number): AnnotatedImage {
  const { outputs, relation, sample } = shown;
  const { training, run } = shown.assembly;
  const { size } = training.declarations.views[0]!;
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
  const image = (network === "teacher" ? 0 : 1) * run.batchSize + sample;
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
