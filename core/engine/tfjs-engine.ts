/** The private part of tfjs-core 4.22's engine that relata watches while a step is traced, and how. */
import * as tf from "@tensorflow/tfjs-core";

export type Gradients = Record<string, () => tf.Tensor>;

export interface TapeNode {
  readonly kernelName: string;
  readonly inputs: Readonly<Record<string, tf.Tensor>>;
  gradient?: (dys: tf.Tensor[]) => Gradients;
}

interface Methods {
  addTapeNode(...args: unknown[]): void;
  startScope(name?: string): void;
  endScope(result?: unknown): void;
  runKernel(
    name: string,
    inputs: Record<string, tf.Tensor | undefined>,
    ...rest: unknown[]
  ): tf.Tensor | tf.Tensor[];
}

export interface TfjsEngine extends Methods {
  readonly state: { readonly activeTape: TapeNode[] | null; readonly activeScope: { readonly name: string } };
}

/** Runs with some of the engine's methods replaced. `replace` is given the engine as it was. */
export function watchingTfjs<T>(replace: (engine: TfjsEngine) => Partial<Methods>, run: () => T): T {
  const engine = tf.engine() as unknown as TfjsEngine;
  const { state } = engine;
  const replaced = replace({
    state,
    addTapeNode: engine.addTapeNode.bind(engine),
    startScope: engine.startScope.bind(engine),
    endScope: engine.endScope.bind(engine),
    runKernel: engine.runKernel.bind(engine),
  });
  const before = Object.keys(replaced).map(
    (key) => [key, Object.getOwnPropertyDescriptor(engine, key)] as const,
  );
  Object.assign(engine, replaced);
  try {
    return run();
  } finally {
    for (const [key, own] of before) {
      if (own) Object.defineProperty(engine, key, own);
      else Reflect.deleteProperty(engine, key);
    }
  }
}

/** How tfjs names the scopes of its ops, and of nothing else. */
const OP_SCOPE = /__op$/;

/** The op that a scope is of. */
export function opOf(scope: string): string | undefined {
  return OP_SCOPE.test(scope) ? scope.replace(OP_SCOPE, "") : undefined;
}
