/**
 * Gradient ops belong to the plugin whose forward op they differentiate: while `keepTapeScopes` runs, each
 * node of tfjs's tape remembers the scope and the fp32 island that it was made in.
 */
import type * as tf from "@tensorflow/tfjs-core";
import { described } from "../described.ts";
import { errors } from "../errors.ts";
import { float32, isFloat32Island } from "../math/ambient.ts";
import { currentScope, pluginOf, withScope } from "../scopes.ts";
import { opOf, watchingTfjs, type TapeNode } from "./tfjs-engine.ts";

let differentiating: string | undefined;

/** The op whose gradient is being computed, as tfjs calls its kernel. */
export function differentiated(): string | undefined {
  return differentiating;
}

export function keepTapeScopes<T>(run: () => T): T {
  return watchingTfjs(
    ({ state, addTapeNode }) => ({
      addTapeNode(...args) {
        addTapeNode(...args);
        const node = state.activeTape?.at(-1);
        if (node) keepScope(node);
      },
    }),
    run,
  );
}

function keepScope(node: TapeNode): void {
  const scope = currentScope();
  const { gradient, kernelName } = node;
  if (!gradient) {
    node.gradient = () => {
      throw errors.noGradient(pluginOf(scope), scope, kernelName);
    };
    return;
  }
  const island = isFloat32Island();
  const name = nameOf(node);
  const inScope = <R>(compute: () => R): R =>
    withScope(scope, () => {
      const outer = differentiating;
      differentiating = name;
      try {
        return island ? float32(compute) : compute();
      } finally {
        differentiating = outer;
      }
    });
  // tfjs asks for each input's gradient later, through the functions in the result.
  node.gradient = (dys) =>
    Object.fromEntries(
      Object.entries(inScope(() => gradient(dys))).map(([input, lazy]) => [
        input,
        () => fitting(inScope(lazy), node.inputs[input]!, name, scope),
      ]),
    );
}

/** A kernel, or the op that was called. Ops with a gradient of the plugin's own have no name. */
const nameOf = ({ kernelName }: TapeNode): string | undefined =>
  opOf(kernelName) ?? (/^[A-Z_]/.test(kernelName) ? kernelName : undefined);

/** A gradient has the shape of what it is of; some of tfjs's forget that their operands were broadcast. */
function fitting(dx: tf.Tensor, x: tf.Tensor, op: string | undefined, scope: string): tf.Tensor {
  if (dx.shape.join() === x.shape.join()) return dx;
  const problem = `its gradient to ${described(x)} has the shape ${described(dx)}`;
  const fix =
    op === undefined
      ? "let its gradient function return gradients of the shapes of its inputs"
      : "give its operands one shape before it, with tf.broadcastTo or tf.tile; docs/ops.md lists such ops";
  throw errors.opRefused(pluginOf(scope), scope, op ?? "withGradient", [], problem, fix);
}
