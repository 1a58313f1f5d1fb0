/** Values in words, for messages. */

/** A tensor's shape, a number, or what kind of value it is. */
export function described(value: unknown): string {
  if (value === undefined || value === null || typeof value === "number") return String(value);
  const { shape } = value as { shape?: unknown };
  if (Array.isArray(shape)) return `[${shape.join(", ")}]`;
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/** Whether it is a tensor, or behaves as one. */
export function isTensor(value: unknown): value is { readonly shape: readonly number[] } {
  const { shape, dtype } = (value ?? {}) as { shape?: unknown; dtype?: unknown };
  return Array.isArray(shape) && typeof dtype === "string";
}

/** What two objects of plain values have otherwise, such as "outDim 8 and 16". */
export function differences(
  one: Readonly<Record<string, unknown>>,
  other: Readonly<Record<string, unknown>>,
): string[] {
  const told = (value: unknown) => JSON.stringify(value) ?? "none";
  return [...new Set([...Object.keys(one), ...Object.keys(other)])]
    .filter((key) => told(one[key]) !== told(other[key]))
    .map((key) => `${key} ${told(one[key])} and ${told(other[key])}`);
}
