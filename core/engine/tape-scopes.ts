/**
 * Gradient ops belong to the plugin whose forward op they differentiate: while `keepTapeScopes` runs, each
 * node of tfjs's tape remembers the scope and the fp32 island that it was made in.
 */
import * as tf from "@tensorflow/tfjs-core";
import { errors } from "../errors.ts";
import { float32, isFloat32Island } from "../math/ambient.ts";
import { currentScope, pluginOf, withScope } from "../scopes.ts";

type Gradients = Record<string, () => tf.Tensor>;
interface TapeNode {
  kernelName: string;
  gradient?: (dys: tf.Tensor[]) => Gradients;
}
/** The private part of tfjs-core 4.22's engine that is used here. */
interface TapeEngine {
  state: { activeTape: TapeNode[] | null };
  addTapeNode: (...args: unknown[]) => void;
}

export function keepTapeScopes<T>(run: () => T): T {
  const engine = tf.engine() as unknown as TapeEngine;
  const addTapeNode = engine.addTapeNode.bind(engine);
  engine.addTapeNode = (...args) => {
    addTapeNode(...args);
    const node = engine.state.activeTape?.at(-1);
    if (!node) return;
    const scope = currentScope();
    if (!node.gradient) {
      node.gradient = () => {
        throw errors.noGradient(pluginOf(scope), scope, node.kernelName);
      };
      return;
    }
    const island = isFloat32Island();
    const inScope = <R>(compute: () => R): R =>
      withScope(scope, () => (island ? float32(compute) : compute()));
    const gradient = node.gradient;
    // tfjs asks for each input's gradient later, through the functions in the result.
    node.gradient = (dys) =>
      Object.fromEntries(
        Object.entries(inScope(() => gradient(dys))).map(([name, lazy]) => [name, () => inScope(lazy)]),
      );
  };
  try {
    return run();
  } finally {
    delete (engine as { addTapeNode?: unknown }).addTapeNode;
  }
}
