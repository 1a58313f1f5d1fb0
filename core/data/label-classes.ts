/** From labels as they are written to classes. */

/** Numbers are put in their order, names in that of their characters. Nothing where there are fewer than two classes. */
export function classesOf(labels: readonly (string | undefined)[]): {
  readonly classNames?: readonly string[];
  /** [labels] index into classNames, -1 where there is no label. */
  readonly labels?: Int32Array;
} {
  const distinct = [...new Set(labels)].filter((label) => label !== undefined);
  if (distinct.length < 2) return {};
  const numbers = distinct.every((label) => /^-?\d+$/.test(label));
  const classNames = numbers ? distinct.sort((a, b) => Number(a) - Number(b)) : distinct.sort();
  const byName = new Map(classNames.map((name, label) => [name, label]));
  return {
    classNames,
    labels: Int32Array.from(labels, (label) => (label === undefined ? -1 : byName.get(label)!)),
  };
}
