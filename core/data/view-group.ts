/** The views of a sample: what plugins ask for, checked and made ready to render. */
import { errors } from "../errors.ts";

/** Views of one kind: drawn alike, of one size, in one batch. */
export interface ViewGroupSpec {
  readonly group: string;
  /** Views per sample. */
  readonly count: number;
  /** Side of the square view in pixels. */
  readonly size: number;
  /** Share of the image's area, 0..1. */
  readonly scale: readonly [number, number];
  /** Width / height of the crop before it is resized. */
  readonly ratio: readonly [number, number];
  /** Probability of mirroring left and right. */
  readonly flip: number;
  /** Same rectangles and flips as this group of the same count, at another size; own ranges are not used. */
  readonly sameCropAs?: string;
  /**
   * Only for plugins that ask for it by name: no method takes it for a view to learn from, and its passes are asked for
   * no relations.
   */
  readonly auxiliary?: boolean;
}

/** A checked view group; `cropsOf` is the spec whose name and ranges decide the rectangles. */
export interface ViewGroup {
  readonly group: string;
  readonly count: number;
  readonly size: number;
  readonly cropsOf: ViewGroupSpec;
}

/** Those that methods learn from. */
export function learningViews(specs: readonly ViewGroupSpec[]): readonly ViewGroupSpec[] {
  return specs.filter(({ auxiliary = false }) => !auxiliary);
}

/** @throws VIEW_GROUP_INVALID, naming the group and what is wrong with it. */
export function resolveViewGroups(specs: readonly ViewGroupSpec[]): ViewGroup[] {
  if (specs.length === 0) {
    throw errors.viewGroupInvalid("(none)", "no view is asked for", "enable a plugin that adds views");
  }
  const byName = new Map(specs.map((spec) => [spec.group, spec]));
  return specs.map((spec) => {
    if (byName.get(spec.group) !== spec) {
      throw errors.viewGroupInvalid(spec.group, "the name is used twice", "give each group its own name");
    }
    checkNumbers(spec);
    return { group: spec.group, count: spec.count, size: spec.size, cropsOf: cropSource(spec, byName) };
  });
}

function checkNumbers({ group, count, size, scale, ratio, flip }: ViewGroupSpec): void {
  const refuse = (what: string, fix: string) => {
    throw errors.viewGroupInvalid(group, what, fix);
  };
  const positive = (value: number) => Number.isInteger(value) && value >= 1;
  const ordered = ([low, high]: readonly [number, number], most: number) =>
    low > 0 && low <= high && high <= most && Number.isFinite(high);
  if (!positive(count)) refuse(`count is ${count}`, "use a whole number from 1");
  if (!positive(size)) refuse(`size is ${size}`, "use a whole number of pixels from 1");
  if (!ordered(scale, 1))
    refuse(`scale is [${scale.join(", ")}]`, "use [low, high] with 0 < low <= high <= 1");
  if (!ordered(ratio, Infinity))
    refuse(`ratio is [${ratio.join(", ")}]`, "use [low, high] with 0 < low <= high");
  if (!(flip >= 0 && flip <= 1)) refuse(`flip is ${flip}`, "use a probability from 0 to 1");
}

/** Follows `sameCropAs` to the group that draws. */
function cropSource(spec: ViewGroupSpec, byName: ReadonlyMap<string, ViewGroupSpec>): ViewGroupSpec {
  const seen = new Set<ViewGroupSpec>();
  let source = spec;
  while (source.sameCropAs !== undefined) {
    seen.add(source);
    const next = byName.get(source.sameCropAs);
    if (next === undefined) {
      const known = [...byName.keys()].join(", ");
      const problem = `it takes the crops of "${source.sameCropAs}", which does not exist`;
      throw errors.viewGroupInvalid(spec.group, problem, `use one of: ${known}`);
    }
    if (seen.has(next)) {
      const problem = "groups take their crops from each other in a circle";
      throw errors.viewGroupInvalid(spec.group, problem, "let one of them draw its own crops");
    }
    source = next;
  }
  if (source.count !== spec.count) {
    const problem = `it has ${spec.count} views but takes the crops of "${source.group}", which has ${source.count}`;
    throw errors.viewGroupInvalid(spec.group, problem, "give both the same count");
  }
  return source;
}
