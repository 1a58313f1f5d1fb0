/** Which optimizer moves which weights, with what numbers. */
import type { Variable } from "../engine/engine.ts";
import type { Optimizer, TrainableParameter } from "./optimizer.ts";

/** An optimizer and the weights that are its own to move. */
export interface OptimizerShare {
  readonly optimizer: Optimizer;
  readonly members: ReadonlySet<string>;
}

/** The run's optimizer has the weights of every group that brings none of its own. */
export function shareOut(
  parameters: readonly TrainableParameter[],
  run: Optimizer,
  state: (name: string, shape: readonly number[]) => Variable,
): OptimizerShare[] {
  const ownerOf = ({ group }: TrainableParameter) => group?.optimizer ?? run;
  return [...new Set([run, ...parameters.map(ownerOf)])].map((optimizer) => {
    const own = parameters.filter((parameter) => ownerOf(parameter) === optimizer);
    // An optimizer is one group's, and its state is saved under the group's name.
    const prefix = optimizer === run ? "" : `${own[0]!.group!.name}/`;
    optimizer.declare(own, (name, shape) => state(`${prefix}${name}`, shape));
    return { optimizer, members: new Set(own.map(({ name }) => name)) };
  });
}
