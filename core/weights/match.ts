/** Which tensors of a file go into which parameters, and what does not fit. */
import { errors } from "../errors.ts";
import type { StoredNetwork } from "./networks.ts";
import { positionForm, resizePositions, type PositionForm } from "./positions.ts";
import type { Weights } from "./open.ts";
import type { SkippedTensor, StoredTensor } from "./stored-tensor.ts";

/** A parameter of a backbone or head that wants values: "backbone.cls_token", "projection.mlp.0.weight". */
export interface WantedParameter {
  readonly name: string;
  readonly shape: readonly number[];
}

/** What became of a file's tensors. */
export interface WeightsMatch {
  /** Parameters that have the file's values. */
  readonly kept: readonly string[];
  /** The position embedding, where the file's is of another grid; patches along a side. */
  readonly resized: readonly { readonly name: string; readonly from: number; readonly to: number }[];
  /** Parameters that the file does not have. */
  readonly missing: readonly string[];
  /** Parameters whose tensors in the file do not fit. */
  readonly ofAnotherShape: readonly {
    readonly name: string;
    readonly file: readonly number[];
    readonly here: readonly number[];
  }[];
  /** Tensors of the file's network that nothing here has a place for, by their names in the file. */
  readonly unexpected: readonly string[];
}

/** A match whose values can be read. */
export interface MatchedWeights {
  readonly match: WeightsMatch;
  /** The values of each parameter that was kept or resized, one after the other. Throws WEIGHTS_DAMAGED. */
  values(): AsyncGenerator<readonly [name: string, values: Float32Array]>;
}

type Read = () => Promise<Float32Array>;

/** Compares names and shapes; reads no values yet. */
export function matchWeights(wanted: readonly WantedParameter[], network: StoredNetwork): MatchedWeights {
  const match = {
    kept: [] as string[],
    resized: [] as WeightsMatch["resized"][number][],
    missing: [] as string[],
    ofAnotherShape: [] as WeightsMatch["ofAnotherShape"][number][],
  };
  const positions = positionsOf(network);
  const used = new Set<StoredTensor>();
  const reads = new Map<string, Read>();
  for (const { name, shape } of wanted) {
    const tensor = network.find(name);
    if (!tensor) {
      match.missing.push(name);
      continue;
    }
    used.add(tensor);
    const read = readerFor(name, shape, tensor, positions);
    if (read) reads.set(name, read);
    if (!read) match.ofAnotherShape.push({ name, file: tensor.shape, here: shape });
    else if (name === POSITIONS && positions && positions.form.side !== sideOf(shape))
      match.resized.push({ name, from: positions.form.side, to: sideOf(shape) });
    else match.kept.push(name);
  }
  const unexpected = network.tensors.filter((tensor) => !used.has(tensor)).map(({ name }) => name);
  return {
    match: { ...match, unexpected },
    async *values() {
      for (const [name, read] of reads) yield [name, await read()] as const;
    },
  };
}

/** Tensors that change what a transformer computes; others, such as a classifier's, may be left out. */
const TRUNK = /^(blocks|norm\w*|patch_embed|dist_token|rope\w*|rel_pos\w*)\b/;

/**
 * For a backbone that is used as it is.
 *
 * @throws WEIGHTS_MISMATCH where a parameter has no value, or a tensor of the transformer no place
 */
export function requireWholeBackbone(
  { path, skipped }: Pick<Weights, "path" | "skipped">,
  network: StoredNetwork,
  { missing, ofAnotherShape, unexpected }: WeightsMatch,
): void {
  const left = new Set(unexpected);
  const foreign = [...network.backbone()].flatMap(([name, tensor]) =>
    TRUNK.test(name) && left.has(tensor.name) ? [name] : [],
  );
  const problems = [
    ...listed("missing", missing),
    ...listed("of another shape", ofAnotherShape.map(shapesText)),
    ...listed("that this backbone has no part for", foreign),
  ];
  if (problems.length === 0) return;
  problems.push(...listed("of types that are not read", skipped.map(skippedText)));
  throw errors.weightsMismatch(
    path,
    problems.join("; "),
    "name the weights of a plain ViT: pre-norm blocks, a class token, learned positions, MLPs with GELU",
  );
}

/** "missing: a, b, c and 5 more" */
export function listed(what: string, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const more = names.length > 3 ? ` and ${names.length - 3} more` : "";
  return [`${what}: ${names.slice(0, 3).join(", ")}${more}`];
}

/** "norm.weight (F8_E4M3)" */
export function skippedText({ name, reason }: SkippedTensor): string {
  return `${name} (${reason})`;
}

/** "backbone.norm.weight [384], here [192]" */
export function shapesText({ name, file, here }: WeightsMatch["ofAnotherShape"][number]): string {
  return `${name} [${file.join(", ")}], here [${here.join(", ")}]`;
}

const POSITIONS = "backbone.pos_embed";
const REGISTERS = "backbone.register_tokens";

interface StoredPositions {
  readonly tensor: StoredTensor;
  readonly form: PositionForm;
  readonly dim: number;
}

function positionsOf(network: StoredNetwork): StoredPositions | undefined {
  const tensor = network.find(POSITIONS);
  const [batch, rows, dim] = tensor?.shape ?? [];
  if (!tensor || batch !== 1 || rows === undefined || dim === undefined) return undefined;
  const form = positionForm(rows, network.find(REGISTERS)?.shape[1] ?? 0);
  return form && { tensor, form, dim };
}

/** Patches along a side of relata's position embedding, whose first row is the class token's. */
const sideOf = ([, rows = 0]: readonly number[]): number => Math.sqrt(rows - 1);

/** Undefined where the tensor does not fit. */
function readerFor(
  name: string,
  shape: readonly number[],
  tensor: StoredTensor,
  positions: StoredPositions | undefined,
): Read | undefined {
  const fits = tensor.shape.join() === shape.join();
  const { front = 1 } = positions?.form ?? {};
  if (name === POSITIONS && positions && Number.isInteger(sideOf(shape)))
    return positions.dim === shape[2] ? () => readPositions(positions, sideOf(shape)) : undefined;
  if (name === REGISTERS && positions && front > 1)
    return fits ? () => readRegisters(tensor, positions) : undefined;
  return fits ? () => tensor.read() : undefined;
}

/** The class token's position, zero where it has none, and the patches' at the wanted size. */
async function readPositions(
  { tensor, form: { front, side }, dim }: StoredPositions,
  wantedSide: number,
): Promise<Float32Array> {
  const stored = await tensor.read();
  const patches = resizePositions(stored.subarray(front * dim), dim, side, wantedSide);
  const values = new Float32Array(dim + patches.length);
  if (front > 0) values.set(stored.subarray(0, dim));
  values.set(patches, dim);
  return values;
}

/** Registers have no position here: one that a file has is added to the register. */
async function readRegisters(
  registers: StoredTensor,
  { tensor, dim }: StoredPositions,
): Promise<Float32Array> {
  const positions = await tensor.read();
  return (await registers.read()).map((value, i) => value + positions[dim + i]!);
}
