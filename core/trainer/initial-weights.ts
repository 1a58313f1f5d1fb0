/** Weights that a run starts from in the place of random ones: of each network, what a file has of it. */
import { errors } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { inferBackbone, publishedHeads, settingsOf } from "../weights/infer-backbone.ts";
import { listed, matchWeights, shapesText, type WeightsMatch } from "../weights/match.ts";
import type { NetworkRole, StoredNetwork, StoredRole } from "../weights/networks.ts";
import type { SkippedTensor } from "../weights/stored-tensor.ts";
import { networkFor, openWeights, type Weights } from "../weights/open.ts";
import { STUDENT, TEACHER } from "./declarations.ts";
import type { Network } from "../contexts.ts";
import type { Training } from "./training.ts";

/** Where the weights of a run's networks are from, as it is told and noted in run.json. */
export interface WeightsOrigin {
  /** The file. */
  readonly path: string;
  readonly label: string;
  readonly networks: readonly NetworkOrigin[];
  /** Tensors of types that are not read. */
  readonly skipped: readonly SkippedTensor[];
}

/** Of one network of the run. */
export interface NetworkOrigin extends Omit<WeightsMatch, "kept"> {
  readonly network: string;
  /** How many of its weights are the file's, without those that were resized. */
  readonly kept: number;
  /** The file's network; a teacher alone starts both, and so does a student. */
  readonly from: StoredRole;
}

/** Weights that fit a run, not yet read. */
export interface InitialWeights {
  readonly origin: WeightsOrigin;
  /** Sets every weight that the file has; the others stay. Throws WEIGHTS_DAMAGED. */
  load(): Promise<void>;
}

/**
 * Opens weights for a run's networks and their heads. Optimizer state, centers and step counts are not taken.
 *
 * @param options.from whose weights start every network (default: each network's own, as far as they are there)
 * @throws what `openWeights` throws; WEIGHTS_MISMATCH where no weight of the backbone fits
 */
export async function openInitialWeights(
  named: string,
  training: Training,
  { from, logger }: { readonly from?: NetworkRole; readonly logger: Pick<Logger, "warn"> },
): Promise<InitialWeights> {
  const weights = await openWeights(named, logger);
  const { engine, state, declarations } = training;
  const matched = [...declarations.networks.values()].map((network) => {
    const prefix = `${network.name}/`;
    const variables = new Map(
      state.variables
        .filter(({ name }) => name.startsWith(prefix))
        .map((variable) => [variable.name.slice(prefix.length), variable]),
    );
    const stored = networkFor(weights, from ?? roleOf(network));
    const wanted = Array.from(variables, ([name, { shape }]) => ({ name, shape }));
    return { network, variables, stored, ...matchWeights(wanted, stored) };
  });
  for (const { stored, match } of matched)
    requireSomeBackbone(weights, stored, match, declarations.backbone.numHeads);
  return {
    origin: {
      path: weights.path,
      label: weights.label,
      skipped: weights.skipped,
      networks: matched.map(({ network, stored, match }) => ({
        network: network.name,
        from: stored.role,
        ...match,
        kept: match.kept.length,
      })),
    },
    async load() {
      for (const { variables, values } of matched)
        for await (const [name, value] of values()) await engine.load([[variables.get(name)!, value]]);
    },
  };
}

/** "teacher of my-run after 1200 steps" */
export function originText({ label, networks }: WeightsOrigin): string {
  const roles = [...new Set(networks.map(({ from }) => from))];
  return `${roles.join(" and ")} of ${label}`;
}

/** A network that follows the teacher starts as the teacher. */
function roleOf({ name, from }: Network): typeof STUDENT | typeof TEACHER {
  if (name === STUDENT || name === TEACHER) return name;
  return from ? roleOf(from) : STUDENT;
}

/** @param heads of the run's backbone, for weights that do not tell theirs */
function requireSomeBackbone(
  { path, about }: Weights,
  stored: StoredNetwork,
  match: WeightsMatch,
  heads: number,
): void {
  const { kept, resized, missing, ofAnotherShape } = match;
  const inBackbone = (name: string) => name.startsWith("backbone.");
  if ([...kept, ...resized.map(({ name }) => name)].some(inBackbone)) return;
  const problem = [
    ...listed("of another shape", ofAnotherShape.filter(({ name }) => inBackbone(name)).map(shapesText)),
    ...listed("missing", missing.filter(inBackbone)),
  ];
  const numHeads = about.numHeads ?? publishedHeads(stored) ?? heads;
  const { backbone } = inferBackbone(path, stored, { numHeads });
  throw errors.weightsMismatch(
    path,
    problem.join("; "),
    `use the backbone of the weights: ${settingsOf(backbone)}`,
  );
}
