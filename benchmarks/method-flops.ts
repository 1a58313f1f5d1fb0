/** The closed formula of flops.ts for a run's built-in plugins. */
import type { Pass, ViewGroupSpec } from "../core/contexts.ts";
import { ProjectionMlp, PrototypeLayer } from "../core/heads/projection-head.ts";
import type { Assembly, ResolvedPlugin } from "../core/trainer/assemble.ts";
import { STUDENT, type PassDeclaration } from "../core/trainer/declarations.ts";
import { stepFlops, type FlopsHead, type FlopsRelation } from "./flops.ts";

const known = ["multi-crop", "dino", "ibot", "pixel-relation", "channel-relation"];

/**
 * Operations of one step of DINO, iBOT and SERE's relations in any combination, with `masked` patches in the batch;
 * undefined where there is another plugin.
 */
export function methodFlops(
  { training, config, run }: Assembly,
  resolved: readonly ResolvedPlugin[],
  masked: number,
): number | undefined {
  const plugins = resolved.map(({ definition }) => definition.manifest.name);
  if (!plugins.every((name) => known.includes(name))) return undefined;
  const { declarations } = training;
  const { embedDim, depth, mlpRatio, patchSize } = config.backbone;
  const B = run.batchSize;
  const images = ({ count }: ViewGroupSpec) => count * B;
  const all = declarations.views.reduce((sum, views) => sum + images(views), 0);
  const passes = [...declarations.passes.values()];
  const teacherPass = passes.find(({ network }) => network.name !== STUDENT)!;
  const globals = images(teacherPass.views);
  const patches = ({ grid }: Pass) => grid.rows * grid.columns;

  const widths = new Map(
    [...declarations.heads.values()].map(({ name, module }) => [name, widthsOf(module)]),
  );
  const heads: FlopsHead[] = [];
  const project = (names: readonly string[], rows: number, trained: boolean) => {
    for (const name of names) if (widths.get(name)) heads.push({ widths: widths.get(name)!, rows, trained });
  };
  if (plugins.includes("dino")) {
    project(["projection", "projection.cls"], globals, false);
    project(["projection", "projection.cls"], all, true);
  }
  if (plugins.includes("ibot")) {
    const prototypes = widths.has("projection.patch") ? "projection.patch" : "projection.cls";
    const mlp = widths.has("projection.patchMlp") ? "projection.patchMlp" : "projection";
    // The center needs the bottleneck of every patch, and one product for their mean.
    project([mlp], globals * patches(teacherPass), false);
    project([prototypes], masked + 1, false);
    project([mlp, prototypes], masked, true);
  }
  const relations: FlopsRelation[] = [];
  const relation = resolved.find(({ definition }) => definition.manifest.name === "pixel-relation");
  const { overlapSide } = (relation?.options ?? {}) as { overlapSide: { global: number; local: number } };
  for (const plugin of plugins.filter((name) => name.endsWith("-relation"))) {
    for (const pass of passes) {
      const trained = pass.network.name === STUDENT;
      const rows = images(pass.views) * patches(pass);
      if (trained) heads.push({ widths: [embedDim, embedDim], rows, trained });
      relations.push(
        ...(plugin === "channel-relation"
          ? [{ matrices: images(pass.views), tokens: embedDim, features: patches(pass), trained }]
          : sampled(pass, declarations.views, teacherPass, B)),
      );
    }
  }
  return stepFlops(
    { embedDim, depth, mlpRatio, patchSize, channels: run.channels },
    passes.map((pass) => ({
      images: images(pass.views),
      size: pass.views.size,
      clsOnly: !pass.patches && pass.blocks.size === 0,
      trained: pass.network.name === STUDENT,
    })),
    heads,
    relations,
  );

  /** One matrix for each pair of views that the pass is part of. */
  function sampled(
    pass: PassDeclaration,
    views: readonly ViewGroupSpec[],
    teacher: Pass,
    batch: number,
  ): FlopsRelation[] {
    const trained = pass.network.name === STUDENT;
    return views
      .filter(({ group }) => !trained || group === pass.views.group)
      .map(({ group, count }) => {
        const same = group === teacher.views.group;
        const side = overlapSide[same ? "global" : "local"];
        const pairs = teacher.views.count * (same ? count - 1 : count);
        return {
          matrices: pairs * batch,
          tokens: side ** 2,
          features: embedDim,
          sampledFrom: pass.grid.rows,
          trained,
        };
      });
  }
}

/** Of the heads whose rows the plugin decides; a relation's are as many as its tokens. */
function widthsOf(module: object): readonly number[] | undefined {
  if (module instanceof ProjectionMlp) {
    const { inDim, hiddenDim, bottleneckDim, layers } = module.spec;
    return [inDim, ...Array<number>(layers - 1).fill(hiddenDim), bottleneckDim];
  }
  if (module instanceof PrototypeLayer) return [module.spec.inDim, module.spec.outDim];
  return undefined;
}
