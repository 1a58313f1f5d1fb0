/** How points of a few images relate to the rest of two views of them: the teacher's view and the student's other. */
import type { HostArray } from "../engine/engine.ts";
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

/**
 * For each relation along tokens, the first samples of the run's first batch whose two global views overlap. Nothing
 * is masked, no branch dropped. Empty where no plugin relates tokens.
 */
export async function sampleRelations(assembly: Assembly, count: number): Promise<RelationSample[]> {
  const { training, dataset, hooks } = assembly;
  if (count === 0 || hooks.relation.taps.length === 0) return [];
  const pipeline = assembly.pipeline();
  try {
    const batch = (await pipeline.batches(0).next()).value as ViewBatch;
    const feeds = training.plainFeeds(batch, { step: 0, epoch: 0 });
    const points = Int32Array.from(POINTS, ([row, column]) => row * SIDE + column);
    const program = await training.engine.program("relations", training.traceRelations(feeds, SIDE, points));
    const outputs = await program.run(feeds);
    const relations = Object.keys(outputs).flatMap((name) => /^(.*)\/overlaps$/.exec(name)?.[1] ?? []);
    return relations.flatMap((relation) => {
      const overlaps = [...outputs[relationOutputs.overlaps(relation)]!];
      const samples = overlaps.flatMap((hit, b) => (hit === 1 ? [b] : [])).slice(0, count);
      return samples.map((b): RelationSample => {
        const shown = new Sample(assembly, outputs, relation, b);
        return {
          relation,
          name: dataset.item(batch.indices[b]!).id,
          points: POINTS.map((_, p) => ({
            teacher: shown.at("teacher", p),
            student: shown.at("student", p),
          })),
        };
      });
    });
  } finally {
    await pipeline.close();
  }
}

/** One sample's views: the teacher's is the first of its group, the student's the second. */
class Sample {
  private readonly assembly: Assembly;
  private readonly outputs: Readonly<Record<string, HostArray>>;
  private readonly relation: string;
  private readonly sample: number;

  constructor(
    assembly: Assembly,
    outputs: Readonly<Record<string, HostArray>>,
    relation: string,
    sample: number,
  ) {
    this.assembly = assembly;
    this.outputs = outputs;
    this.relation = relation;
    this.sample = sample;
  }

  /** The view with point `p` of the overlap, and how its tokens relate to it, least to most as 0 to 1. */
  at(network: "teacher" | "student", p: number): AnnotatedImage {
    const { training, run } = this.assembly;
    const [views] = training.declarations.views;
    const { rows, columns } = training.declarations.backbone.grid(views!.size);
    const point = this.sample * POINTS.length + p;
    const value = (part: "x" | "y") =>
      (this.outputs[relationOutputs.view(this.relation, network, part)]![point]! + 1) / 2;
    const tokens = rows * columns;
    const all = this.outputs[relationOutputs.view(this.relation, network, "rows")] as Float32Array;
    const own = all.subarray(point * tokens, (point + 1) * tokens);
    const [least, most] = [Math.min(...own), Math.max(...own)];
    const range = most > least ? most - least : 1;

    const { size } = views!;
    const bytes = size * size * run.channels;
    const row = (network === "teacher" ? 0 : 1) * run.batchSize + this.sample;
    const pixels = this.outputs[relationOutputs.pixels] as Float32Array;
    return {
      image: rgbImage(
        pixels.subarray(row * bytes, (row + 1) * bytes).map((v) => 255 * v),
        { width: size, height: size, channels: run.channels },
      ),
      light: { rows, columns, cells: Array.from(own, (v) => (v - least) / range) },
      point: { x: value("x"), y: value("y") },
    };
  }
}
