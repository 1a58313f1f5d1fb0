import { errors } from "../errors.ts";

/** @throws EVAL_INVALID for labels of another number than rows, or outside 0..numClasses-1. */
export function checkLabels(
  protocol: string,
  name: string,
  labels: ArrayLike<number>,
  rows: number,
  numClasses: number,
): void {
  if (labels.length !== rows) {
    throw errors.evalInvalid(
      protocol,
      `${labels.length} ${name} for ${rows} features`,
      "give one label per row",
    );
  }
  for (let i = 0; i < rows; i++) {
    const label = labels[i]!;
    if (!Number.isInteger(label) || label < 0 || label >= numClasses) {
      const problem = `${name}[${i}] is ${label}, with ${numClasses} classes`;
      throw errors.evalInvalid(protocol, problem, `number the classes 0..${numClasses - 1}`);
    }
  }
}

/** The rows of each class, [numClasses] lists in order. */
export function rowsByClass(labels: ArrayLike<number>, numClasses: number): number[][] {
  const rows = Array.from({ length: numClasses }, (): number[] => []);
  for (let i = 0; i < labels.length; i++) rows[labels[i]!]!.push(i);
  return rows;
}
