/** A network from a file of weights, which gives features and is not trained: no config, no plugins. */
import { check, throwProblems } from "../config/problems.ts";
import { runSchema, type ResolvedConfig, type RunConfig } from "../config/schema.ts";
import { createEngine } from "../engine/create-engine.ts";
import { ensureLibrary } from "../engine/install.ts";
import type { Logger } from "../logger.ts";
import { Random } from "../random.ts";
import { VisionTransformer } from "../vit/vit.ts";
import { inferBackbone } from "../weights/infer-backbone.ts";
import { matchWeights, requireWholeBackbone, type WeightsMatch } from "../weights/match.ts";
import { networkFor, openWeights } from "../weights/open.ts";
import type { FeatureNetwork } from "./features.ts";
import { initialValue } from "./state.ts";

/** The part of a config's `train` that says what computes. */
export type ComputeSettings = Pick<
  ResolvedConfig["train"],
  "engine" | "backend" | "device" | "precision" | "jit" | "threads"
>;

export interface FrozenNetworkOptions {
  /** A safetensors or PyTorch file, a folder with one, a run, or a checkpoint of one. */
  readonly weights: string;
  /** Which of the file's networks, where it has both (default: the teacher). */
  readonly network?: "student" | "teacher";
  /** What the weights do not tell, or tell otherwise; see `inferBackbone`. */
  readonly backbone?: RunConfig["backbone"];
  readonly train: ComputeSettings;
  /** Of each channel (default: what lies beside the weights says, else ImageNet's). */
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  readonly logger?: Pick<Logger, "warn">;
}

/** A backbone in an engine of its own. */
export interface FrozenNetwork extends FeatureNetwork {
  readonly channels: 1 | 3;
  /** Side in pixels of the images that its positions are made for. */
  readonly size: number;
  /** The file that was read. */
  readonly path: string;
  /** The `backbone` of a config. */
  readonly config: ResolvedConfig["backbone"];
  readonly match: WeightsMatch;
  /** Random values in the place of the file's: those that a run of this seed starts with. */
  initialize(seed: number): Promise<void>;
  /** The file's values, which it has from the start. Throws WEIGHTS_DAMAGED. */
  load(): Promise<void>;
  /** Frees the engine. The network is not used afterwards. */
  close(): void;
}

/**
 * Opens the weights, builds the backbone that they are of, and loads it. libtensorflow is downloaded where it is
 * missing.
 *
 * @throws WEIGHTS_MISSING, WEIGHTS_FORMAT, WEIGHTS_DAMAGED; WEIGHTS_MISMATCH where any part of the backbone has no
 *   values, or the weights have parts that it does not have; CONFIG_INVALID; what the engine throws
 */
export async function openFrozenNetwork(options: FrozenNetworkOptions): Promise<FrozenNetwork> {
  const weights = await openWeights(options.weights, options.logger);
  const { path, label, about } = weights;
  const stored = networkFor(weights, options.network ?? "teacher");
  const numHeads = options.backbone?.numHeads ?? about.numHeads;
  const { channels, backbone: inferred } = inferBackbone(path, stored, { ...about, numHeads });
  const { backbone: schema, data: dataSchema } = runSchema.shape;
  const { value: sizes, problems } = check(schema, { ...inferred, ...options.backbone }, "backbone");
  throwProblems(problems);
  const config = sizes!;
  const { imageSize: size = inferred.imageSize } = config;
  // No dataset: the schema fills in and checks what normalises pixels.
  const given = { channels, mean: options.mean ?? about.mean, std: options.std ?? about.std };
  const data = check(dataSchema, { ...given, dataset: "none" }, "data");
  throwProblems(data.problems);

  const backbone = new VisionTransformer({ ...config, imageSize: size, channels });
  const wanted = backbone.parameters().map(({ name, shape }) => ({ name: `backbone.${name}`, shape }));
  const matched = matchWeights(wanted, stored);
  requireWholeBackbone(weights, stored, matched.match);

  const engine = await createEngine({ ...options.train, library: (gpu) => ensureLibrary({ gpu }) });
  try {
    const variables = new Map(wanted.map(({ name, shape }) => [name, engine.variable(name, shape)]));
    const network: FrozenNetwork = {
      name: stored.role === "network" ? label : `${stored.role} of ${label}`,
      backbone,
      engine,
      channels: data.value!.channels,
      normalisation: { mean: data.value!.mean, std: data.value!.std },
      variable: (parameter) => variables.get(`backbone.${parameter}`)!,
      size,
      path,
      config,
      match: matched.match,
      async initialize(seed) {
        for (const { name, init } of backbone.parameters()) {
          const variable = network.variable(name);
          const random = new Random(seed, "init", `backbone.${name}`);
          await engine.load([[variable, initialValue(init, variable.size, random)]]);
        }
      },
      async load() {
        for await (const [name, values] of matched.values())
          await engine.load([[variables.get(name)!, values]]);
      },
      close: () => engine.close(),
    };
    await network.load();
    return network;
  } catch (error) {
    engine.close();
    throw error;
  }
}
