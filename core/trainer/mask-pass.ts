/** What methods have in common that mask patches of the student's views: the masks, and the token in their place. */
import type { Initializer, MaskHandle, Pass, SetupContext } from "../contexts.ts";
import { errors } from "../errors.ts";
import type { Hooks } from "../hooks.ts";
import { replaceMasked } from "../math/index.ts";
import { maskSampler, mostMasked, type MaskSpec } from "../data/draw-mask.ts";

/** Which masks there are, and how the token starts that stands for masked patches. */
export interface MaskedPassSpec {
  readonly masks: MaskSpec;
  readonly token: Initializer;
  /** Nothing is masked before; 0 by default. */
  readonly startEpoch?: number;
}

/**
 * In `setup`: declares the masks of a pass's views and a learned `maskToken`, and taps `embed` to put it in the place of
 * the pass's masked patches. Throws OPTION_INVALID of the plugin's `maskRatio` where no patch can be masked.
 */
export function maskPass(
  hooks: Hooks,
  setup: SetupContext,
  plugin: string,
  pass: Pass,
  { masks, token, startEpoch }: MaskedPassSpec,
): MaskHandle {
  const { grid, views } = pass;
  const patches = grid.rows * grid.columns;
  const most = mostMasked(masks, patches);
  if (most === 0) {
    const problem = `masks none of a view's ${patches} patches`;
    throw errors.optionInvalid(plugin, "maskRatio", problem, "choose a larger one, or larger views");
  }
  const sample = maskSampler(masks, views.count, grid);
  const mask = setup.mask(views.group, { most, startEpoch, sample });
  const maskToken = setup.variable("maskToken", [1, setup.backbone.stemDim], token, { ema: false });
  hooks.embed.tap(plugin, (patchTokens, step) => {
    const masked = step.pass === pass ? step.masked(mask) : undefined;
    return masked ? replaceMasked(patchTokens, masked.stemCells, step.read(maskToken)) : patchTokens;
  });
  return mask;
}
