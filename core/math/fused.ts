/** Work that an engine may compile into one kernel, so that memory is passed over once. */
import { Tensor } from "@tensorflow/tfjs-core";

/** Tensors, also in arrays and objects. */
export type Tensors = Tensor | readonly Tensors[] | { readonly [key: string]: Tensors };

/** What an engine that captures the step does with a fused piece. */
export type Fuser = <R extends Tensors>(name: string, compute: () => R) => R;

let active: Fuser | undefined;

/**
 * Declares that the ops of `compute` belong together: elementwise ops, and reductions of rows, without matrix
 * products. An engine may compile them into one kernel, which reads and writes memory once; elsewhere they run
 * as they are. No value changes by it, but for rounding.
 *
 * Only what is returned can be used afterwards, and it has no gradient: call it inside `withGradient`, or where
 * nothing is learned. `compute` may run twice, so that it keeps nothing for later: what `once` makes belongs outside.
 * `name` is what the profile calls it. Ops on fewer than some thousand elements are left as they are.
 */
export function fused<R extends Tensors>(name: string, compute: () => R): R {
  return active ? active(name, compute) : compute();
}

export function tensorsIn(value: Tensors): Tensor[] {
  return value instanceof Tensor ? [value] : Object.values(value).flatMap(tensorsIn);
}

/** Runs `run` with `fuser` behind `fused`; a fused piece within another belongs to it. */
export function fusingWith<T>(fuser: Fuser, run: () => T): T {
  const withActive = <R>(next: Fuser | undefined, body: () => R): R => {
    const outer = active;
    active = next;
    try {
      return body();
    } finally {
      active = outer;
    }
  };
  return withActive((name, compute) => withActive(undefined, () => fuser(name, compute)), run);
}
