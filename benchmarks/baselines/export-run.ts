/** Writes a method's start and its batch for the PyTorch step (pytorch/baseline): what to compute, and from what. */
import type { ViewGroupSpec } from "../../core/contexts.ts";
import type { Feeds } from "../../core/engine/engine.ts";
import { writeSafetensors, type NamedTensor } from "../../core/trainer/safetensors.ts";
import type { Method } from "../method.ts";
import { officialName } from "./official-names.ts";

/** `threads` that PyTorch may use. */
export async function exportRun(path: string, method: Method, threads: number): Promise<void> {
  const feeds = method.feeds();
  await writeSafetensors(path, [...stateOf(method), ...batchOf(method, feeds)], {
    spec: JSON.stringify(specOf(method)),
    schedule: JSON.stringify(scheduleOf(feeds)),
    threads: String(threads),
  });
}

/** What both networks start as; the centers start as zeros, and so do the optimizer's moments. */
function stateOf({ assembly: { training, run } }: Method): NamedTensor[] {
  return Array.from(training.state.initialValues(run.seed), ([{ name, shape }, values]) => ({
    name,
    shape,
    values,
  })).flatMap((tensor) =>
    /^(student|teacher)\//.test(tensor.name) ? [{ ...tensor, name: officialName(tensor.name) }] : [],
  );
}

function batchOf({ assembly: { training, run } }: Method, feeds: Feeds): NamedTensor[] {
  const { views, passes, masks } = training.declarations;
  const tensor = (name: string, shape: readonly number[], values: ArrayLike<number>): NamedTensor => ({
    name,
    shape,
    values: Float32Array.from(values),
  });
  const images = ({ count }: ViewGroupSpec) => count * run.batchSize;
  const ofViews = views.flatMap((group) => [
    tensor(
      `pixels/${group.group}`,
      [images(group), group.size, group.size, run.channels],
      feeds[`pixels/${group.group}`]!,
    ),
    tensor(`rects/${group.group}`, [images(group), 5], feeds[`rects/${group.group}`]!),
  ]);
  const ofPasses = [...passes.values()].flatMap(({ key, network, views: group }) => {
    const keep = network.from === undefined && feeds[`dropPath/${key}`];
    return keep ? [tensor(`keep/${group.group}`, [keep.length / images(group), images(group)], keep)] : [];
  });
  const ofMasks = [...masks.values()].map(({ name }) => {
    const rows = Array.from(feeds[name]!).filter((row) => row >= 0);
    return tensor("masked", [rows.length], rows);
  });
  return [...ofViews, ...ofPasses, ...ofMasks];
}

const scheduleOf = (feeds: Feeds): object => ({
  lr: feeds["core.lr"]![0],
  weight_decay: feeds["core.weightDecay"]![0],
  momentum: feeds["core.momentum"]![0],
  dino_temp: feeds["dino.teacherTemp"]![0],
  ibot_temp: feeds["ibot.teacherTemp"]?.[0] ?? 0,
});

interface PrototypeOptions {
  readonly weight: number;
  readonly studentTemp: number;
  readonly centerMomentum: number;
}

interface HeadOptions extends PrototypeOptions {
  readonly hiddenDim: number;
  readonly bottleneckDim: number;
  readonly headLayers: number;
  readonly outDim: number;
  readonly normLastLayer: boolean;
}

interface RelationOptions {
  readonly weight: number;
  readonly teacherTemp: number;
  readonly overlapSide?: Readonly<Record<string, number>>;
}

/** In the words of pytorch/baseline/spec.py. */
function specOf({ assembly, plugins }: Method): object {
  const { config, run, training } = assembly;
  const { backbone, train, data } = config;
  const { views } = training.declarations;
  const optionsOf = <T>(name: string): T | undefined =>
    plugins.find(({ definition }) => definition.manifest.name === name)?.options as T | undefined;
  const dino = optionsOf<HeadOptions>("dino")!;
  const prototypes = (options: PrototypeOptions | undefined) =>
    options && {
      weight: options.weight,
      student_temp: options.studentTemp,
      center_momentum: options.centerMomentum,
    };
  const relation = (name: string, more: (options: RelationOptions) => object) => {
    const options = optionsOf<RelationOptions>(name);
    return options && { weight: options.weight, teacher_temp: options.teacherTemp, ...more(options) };
  };
  return {
    batch: run.batchSize,
    views: Object.fromEntries(views.map(({ group, count }) => [group, count])),
    precision: train.precision,
    vit: {
      image_size: views[0]!.size,
      patch_size: backbone.patchSize,
      embed_dim: backbone.embedDim,
      depth: backbone.depth,
      num_heads: backbone.numHeads,
      mlp_ratio: backbone.mlpRatio,
    },
    head: {
      hidden_dim: dino.hiddenDim,
      bottleneck_dim: dino.bottleneckDim,
      layers: dino.headLayers,
      out_dim: dino.outDim,
      norm_last_layer: dino.normLastLayer,
    },
    optimizer: {
      clip: train.clipGrad,
      betas: [train.adam.beta1, train.adam.beta2],
      eps: train.adam.epsilon,
      decay_biases: train.decayBiases,
    },
    pixels: { mean: data.mean, std: data.std },
    dino: prototypes(dino),
    ibot: prototypes(optionsOf<PrototypeOptions>("ibot")),
    pixel: relation("pixel-relation", ({ overlapSide }) => ({ overlap_side: overlapSide })),
    channel: relation("channel-relation", () => ({
      divisor: Object.fromEntries(views.map(({ group, size }) => [group, size / backbone.patchSize])),
    })),
  };
}
