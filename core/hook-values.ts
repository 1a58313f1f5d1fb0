/** What a tap of a waterfall hook may return, given what it received. */
import { viewGroupSpec } from "./argument-shapes.ts";
import { requireArgument } from "./arguments.ts";
import type { PassContext, ViewGroupSpec } from "./contexts.ts";
import { described, isTensor } from "./described.ts";

interface Refusal {
  /** What is wanted, in words or as a shape. */
  readonly want: string;
  readonly fix: string;
}

/** Undefined where the value may be passed on. The context is what the plugin's tap got besides the value. */
export type ValueCheck = (
  returned: unknown,
  received: unknown,
  context: unknown,
  plugin: string,
) => Refusal | undefined;

/** A tensor of the shape of the one received. */
export const sameShape: ValueCheck = (returned, received) =>
  isTensor(returned) && described(returned) === described(received)
    ? undefined
    : { want: described(received), fix: "return a tensor of the shape that the tap received" };

/** Tokens [B, T, D]: T may change in a pass of the plugin's own. */
export const tokensOfPass: ValueCheck = (returned, received, context, plugin) => {
  if ((context as PassContext).pass.owner !== plugin) {
    const refusal = sameShape(returned, received, context, plugin);
    const own = "return tokens of the shape that the tap received; drop tokens in a pass of your own (`own`)";
    return refusal && { ...refusal, fix: own };
  }
  const [batch, , width] = (received as { shape: readonly number[] }).shape;
  if (isTensor(returned) && returned.shape.length === 3) {
    const [ownBatch, , ownWidth] = returned.shape;
    if (ownBatch === batch && ownWidth === width) return undefined;
  }
  return {
    want: `[${batch}, T, ${width}]`,
    fix: "return tokens of the batch and the width that the tap received",
  };
};

/** It is looked at no further: outputs are computed when they are read. */
export const backboneOutput: ValueCheck = (returned) => {
  const { grid, block, norm } = (returned ?? {}) as Record<string, unknown>;
  if (typeof grid === "object" && typeof block === "function" && typeof norm === "function") return undefined;
  return {
    want: "a BackboneOutput",
    fix: "return the output that the tap received, or a Proxy of it: a copy made with … loses its getters and methods",
  };
};

/** View groups by different names. Throws ARGUMENT_INVALID for one that is otherwise none. */
export const viewGroups: ValueCheck = (returned) => {
  const fix = "return [...views, yours], each group with a name of its own";
  if (!Array.isArray(returned)) return { want: "an array of view groups", fix };
  returned.forEach((view, i) => requireArgument(`view group ${i}`, viewGroupSpec, view));
  const names = (returned as ViewGroupSpec[]).map(({ group }) => group);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  return twice === undefined ? undefined : { want: `one group named "${twice}"`, fix };
};
