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
  const shares: OptimizerShare[] = [];
  const share = (optimizer: Optimizer, prefix: string, own: readonly TrainableParameter[]) => {
    optimizer.declare(own, (name, shape) => state(`${prefix}${name}`, shape));
    shares.push({ optimizer, members: new Set(own.map(({ name }) => name)) });
  };
  share(
    run,
    "",
    parameters.filter(({ group }) => !group?.optimizer),
  );
  const groups = new Set(parameters.map(({ group }) => group).filter((group) => group?.optimizer));
  for (const group of groups) {
    share(
      group!.optimizer!,
      `${group!.name}/`,
      parameters.filter((parameter) => parameter.group === group),
    );
  }
  return shares;
}
