/** The rules that hold for every method; a plugin declares its own with `setup.health`. */
import type { ResolvedConfig } from "../config/schema.ts";
import { RANK_ME } from "../eval/rank-me.ts";
import type { Declarations } from "./declarations.ts";
import { featureStdOf } from "./feature-signals.ts";
import { HealthMonitor, type HealthNotes, type WatchedRule } from "./health.ts";
import { stepOutputs } from "./step.ts";

/** Of what features that point everywhere alike would have. */
const COLLAPSED_STD = 0.1;
/** Of the first judged updates. */
const LOSS_GROWTH = 2;
const GRADIENT_GROWTH = 10;
/** Of the untrained network's. */
const COLLAPSED_RANK = 0.25;

const LOWER_LR = "lower train.lr, or lengthen train.warmupEpochs";

export function coreRules(embedDim: number): WatchedRule[] {
  const std = (network: string): WatchedRule => ({
    signal: stepOutputs.metric(featureStdOf(network)),
    below: COLLAPSED_STD / Math.sqrt(embedDim),
    problem: `the ${network} gives nearly the same features for all images: it collapses`,
    remedy: `${LOWER_LR}; see that something keeps targets apart: a center, negatives, a predictor`,
  });
  return [
    std("student"),
    std("teacher"),
    {
      signal: stepOutputs.total,
      // Some losses rise for good reasons once training is on its way, but not beyond what an untrained network has.
      above: ({ initial, settled }) =>
        settled === undefined || settled <= 0 ? undefined : Math.max(LOSS_GROWTH * settled, initial!),
      problem: "the loss grows: training diverges",
      remedy: LOWER_LR,
    },
    {
      signal: stepOutputs.gradientNorm,
      above: ({ settled }) =>
        settled === undefined || settled === 0 ? undefined : GRADIENT_GROWTH * settled,
      problem: "the gradients grow: training diverges",
      remedy: `${LOWER_LR}, or lower train.clipGrad`,
    },
    {
      signal: RANK_ME,
      window: 1,
      below: ({ initial }) => (initial === undefined ? undefined : COLLAPSED_RANK * initial),
      problem: "the features of different images use few directions: they collapse",
      remedy: `${LOWER_LR}; a term that spreads features keeps them apart`,
    },
  ];
}

/** The monitor of a run; undefined where the config wants none. */
export function makeMonitor(
  { health, train }: ResolvedConfig,
  { run, backbone, healthRules }: Declarations,
  notes?: HealthNotes,
): HealthMonitor | undefined {
  if (health === false) return undefined;
  const warmup = train.warmupEpochs * run.stepsPerEpoch;
  return new HealthMonitor([...coreRules(backbone.embedDim), ...healthRules], {
    window: health.window,
    // A short run may be all warm-up.
    fromStep: Math.round(Math.min(warmup, run.totalSteps / 2)),
    notes,
  });
}
