/** What the objects that plugins hand to the contract have to look like; what each key means is in contexts.ts. */
import {
  anything,
  finite,
  flag,
  listOf,
  oneOf,
  optional,
  record,
  run,
  text,
  valueThat,
  wholeFrom,
  type KeysOf,
  type Want,
} from "./arguments.ts";
import type {
  BilinearOptions,
  BufferOptions,
  CrossViewOptions,
  HealthRule,
  Initializer,
  InputSpec,
  LinearClassifier,
  MaskInputSpec,
  NetworkSpec,
  NetworkUpdate,
  OptimizerGroupSpec,
  PassSpec,
  VariableOptions,
  ViewGroupSpec,
} from "./contexts.ts";

// A function has a name too.
const hasName = (value: unknown) =>
  typeof value === "object" && typeof (value as { name?: unknown } | null)?.name === "string";
const isSize = (value: unknown) => Number.isInteger(value) && Number(value) >= 1;
const isRate = (value: unknown) => Number.isFinite(value) && Number(value) >= 0;
const rateOrSchedule = valueThat("a number from 0 or a schedule", (value) => isRate(value) || hasName(value));
const handle = (kind: string): Want => valueThat(`what setup's ${kind} gave`, hasName);

// --- setup -------------------------------------------------------------------------------------------------

export const passSpec = record<PassSpec>({
  // NETWORK_FOREIGN
  network: anything,
  views: text,
  unmasked: optional(flag),
  own: optional(text),
  phase: optional(handle("phase")),
  outputs: record<PassSpec["outputs"]>({
    cls: optional(flag),
    patches: optional(flag),
    blocks: optional(listOf("a list of blocks' indices", Number.isInteger)),
  }),
});

const copies = record<Extract<NetworkUpdate, object>>({
  // COPY_INTERVAL
  copyEvery: anything,
  fromStep: anything,
});
const follows = oneOf(["ema", "frozen"] satisfies NetworkUpdate[]);

export const networkSpec = record<NetworkSpec>({
  from: text,
  update: (value, path) => (typeof value === "object" ? copies : follows)(value, path),
});

export const variableOptions = record<VariableOptions>({
  trainable: optional(flag),
  ema: optional(flag),
  weightDecay: optional(flag),
  group: optional(handle("optimizerGroup")),
});

export const bufferOptions = record<BufferOptions>({ perNetwork: optional(flag) });

type InitializerKeys = {
  readonly [K in Initializer["kind"]]: KeysOf<Extract<Initializer, { readonly kind: K }>>;
};
const initializers: InitializerKeys = {
  zeros: { kind: anything },
  ones: { kind: anything },
  constant: { kind: anything, value: finite },
  truncatedNormal: { kind: anything, std: finite },
  uniform: { kind: anything, bound: finite },
};
const initializerKind = oneOf(Object.keys(initializers));

export const initializer: Want = (value, path) => {
  const kind = (value as Partial<Initializer> | null | undefined)?.kind;
  return initializerKind(kind, "kind") ?? record(initializers[kind!])(value, path);
};

export const optimizerGroupSpec = record<OptimizerGroupSpec>({
  lr: optional(rateOrSchedule),
  weightDecay: optional(rateOrSchedule),
  clipGrad: optional(valueThat("a number from 0", isRate)),
  optimizer: optional(valueThat("an optimizer", (value) => typeof value === "object")),
});

export const linearClassifier = record<LinearClassifier>({
  weight: handle("variable"),
  bias: handle("variable"),
});

export const inputSpec = record<InputSpec>({
  shape: listOf(
    "a shape such as [2, 3] or [null, 3]",
    (size, i) => isSize(size) || (i === 0 && size === null),
  ),
  dtype: optional(oneOf(["float32", "int32"] satisfies InputSpec["dtype"][])),
  // NOT_FUNCTION
  sample: anything,
});

export const maskSpec = record<MaskInputSpec>({
  most: wholeFrom(0),
  startEpoch: optional(finite),
  sample: run,
});

const limit = valueThat(
  "a number or a function",
  (value) => Number.isFinite(value) || typeof value === "function",
);

export const healthRule = record<HealthRule>({
  signal: text,
  above: optional(limit),
  below: optional(limit),
  problem: text,
  remedy: valueThat("words or a function", (value) => ["string", "function"].includes(typeof value)),
});

// --- views -------------------------------------------------------------------------------------------------

const range = listOf("[low, high]", Number.isFinite);

/** VIEW_GROUP_INVALID is of what the numbers may be. */
export const viewGroupSpec = record<ViewGroupSpec>({
  group: text,
  count: anything,
  size: anything,
  scale: range,
  ratio: range,
  flip: anything,
  sameCropAs: optional(text),
  auxiliary: optional(flag),
});

// --- inside the step ---------------------------------------------------------------------------------------

export const bilinearOptions = record<BilinearOptions>({
  axis: oneOf(["token", "channel"] satisfies BilinearOptions["axis"][]),
  heads: optional(wholeFrom(1)),
  scale: optional(finite),
});

export const crossViewOptions = record<CrossViewOptions>({
  target: optional(run),
  linear: optional(flag),
  overlapSide: optional(
    record<Required<CrossViewOptions>["overlapSide"]>({ global: wholeFrom(1), local: wholeFrom(1) }),
  ),
  padding: optional(oneOf(["zeros", "border"] satisfies CrossViewOptions["padding"][])),
  disjoint: optional(oneOf(["count", "skip"] satisfies CrossViewOptions["disjoint"][])),
  teacher: optional(text),
});
