/**
 * Everything that plugins declared in `setup`: networks, passes, variables, heads, schedules, inputs, phases.
 * Plain data once setup is over; the step and the trainer read it.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import {
  bufferOptions,
  healthRule,
  initializer,
  inputSpec,
  linearClassifier,
  maskSpec,
  networkSpec,
  optimizerGroupSpec,
  passSpec,
  variableOptions,
} from "../argument-shapes.ts";
import { requireArgument } from "../arguments.ts";
import type { Backbone, TokenGrid } from "../backbone.ts";
import type {
  BufferOptions,
  HeadHandle,
  HeadModule,
  HealthLimit,
  HealthRule,
  InputHandle,
  InputSpec,
  Initializer,
  LinearClassifier,
  MaskHandle,
  MaskInputSpec,
  Network,
  NetworkSpec,
  OptimizerGroup,
  OptimizerGroupSpec,
  ParameterSpec,
  Pass,
  PassSpec,
  PhaseHandle,
  PhaseValue,
  Progress,
  RunInfo,
  SamplerContext,
  ScaledWeight,
  ScheduleHandle,
  SetupContext,
  VariableHandle,
  VariableOptions,
  ViewGroupSpec,
} from "../contexts.ts";
import { didYouMean } from "../config/did-you-mean.ts";
import { learningViews } from "../data/view-group.ts";
import { described, differences } from "../described.ts";
import { errors } from "../errors.ts";
import { currentScope, pluginOf } from "../scopes.ts";
import type { Services, Token } from "../tokens.ts";
import { asPlugin } from "./as-plugin.ts";
import { finiteLimit, finiteSchedule, requireFunction, requireOwn } from "./declaration-checks.ts";
import { declared } from "./handles.ts";
import { maskedRows, mostMaskedOf, type MaskDeclaration } from "./mask-rows.ts";

/** A weight of the student, with a twin in each following network unless it is the student's alone. */
export interface ParameterDeclaration extends VariableHandle {
  readonly kind: "parameter";
  /** Who declared it: a plugin, or the core. */
  readonly owner: string;
  readonly init: Initializer;
  readonly trainable: boolean;
  readonly ema: boolean;
  readonly weightDecay: boolean | undefined;
  readonly group: (OptimizerGroup & OptimizerGroupSpec) | undefined;
  /** The schedule that opens its updates, if any. */
  gate?: ScheduleHandle;
}

interface ClassifierDeclaration extends LinearClassifier {
  readonly owner: string;
}

/** State that only `update` writes. */
export interface BufferDeclaration extends VariableHandle {
  readonly kind: "buffer";
  readonly init: Initializer;
  readonly perNetwork: boolean;
  /** Of a `perNetwork` one: only the student has it. */
  readonly studentOnly: boolean;
}

export type VariableDeclaration = ParameterDeclaration | BufferDeclaration;

export interface PassDeclaration extends Pass {
  cls: boolean;
  patches: boolean;
  readonly blocks: Set<number>;
  /** Who asked for its patches. */
  readonly patchReaders: Set<string>;
  /** It runs while one of these is true; undefined: always. */
  phases: PhaseHandle<boolean>[] | undefined;
}

interface HeadDeclaration extends HeadHandle<Tensor, Tensor> {
  readonly module: HeadModule<Tensor, Tensor>;
  readonly owner: string;
}

interface ScheduleDeclaration extends ScheduleHandle {
  readonly at: (progress: Progress) => number;
}

interface InputDeclaration extends InputHandle {
  readonly sample: (context: SamplerContext) => Float32Array | Int32Array;
}

interface PhaseDeclaration extends PhaseHandle {
  readonly at: (epoch: number) => PhaseValue;
}

export const STUDENT = "student";
export const TEACHER = "teacher";

const BACKBONE_PREFIX = "backbone.";

export class Declarations implements SetupContext {
  readonly run: RunInfo;
  readonly backbone: Backbone;
  readonly views: readonly ViewGroupSpec[];
  /** `views` and the auxiliary ones, in order. */
  readonly viewGroups: readonly ViewGroupSpec[];
  readonly networks = new Map<string, Network>();
  readonly passes = new Map<string, PassDeclaration>();
  readonly variables = new Map<string, VariableDeclaration>();
  readonly heads = new Map<string, HeadDeclaration>();
  readonly schedules = new Map<string, ScheduleDeclaration>();
  readonly inputs = new Map<string, InputDeclaration>();
  readonly phases = new Map<string, PhaseDeclaration>();
  readonly optimizerGroups = new Map<string, OptimizerGroup & OptimizerGroupSpec>();
  /** Signals by their names in the log. */
  readonly healthRules: HealthRule[] = [];
  classifierDeclared: ClassifierDeclaration | undefined;
  private readonly lrScales: ((weight: ScaledWeight) => number)[] = [];
  /** By view group. */
  readonly masks = new Map<string, MaskDeclaration>();

  private readonly services: Services;

  constructor(run: RunInfo, backbone: Backbone, viewGroups: readonly ViewGroupSpec[], services: Services) {
    this.services = services;
    this.run = run;
    this.backbone = backbone;
    this.viewGroups = viewGroups;
    this.views = learningViews(viewGroups);
    for (const spec of backbone.parameters()) this.declareParameter("backbone", spec);
  }

  viewGroup(name: string): ViewGroupSpec {
    const group = this.viewGroups.find((v) => v.group === name);
    if (group) return group;
    const known = this.viewGroups.map((v) => v.group);
    throw errors.viewGroupMissing(this.plugin(), name, known, didYouMean(name, known));
  }

  network(name: string, spec?: NetworkSpec): Network {
    if (spec) requireArgument(`setup.network("${name}")`, networkSpec, spec);
    const known = this.networks.get(name);
    if (name === STUDENT) return known ?? this.addNetwork({ name });
    const { from, update } = spec ?? { from: STUDENT, update: "ema" as const };
    if (!spec && name !== TEACHER) throw errors.networkUnknown(this.plugin(), name);
    if (known) {
      if (spec && (known.from?.name !== from || JSON.stringify(known.update) !== JSON.stringify(update))) {
        throw errors.networkConflict(this.plugin(), name);
      }
      return known;
    }
    const source = from === STUDENT || from === TEACHER ? this.network(from) : this.networks.get(from);
    if (!source) throw errors.networkUnknown(this.plugin(), from);
    return this.addNetwork({ name, from: source, update });
  }

  pass(spec: PassSpec): Pass {
    requireArgument("setup.pass", passSpec, spec);
    const { network, views, unmasked = false, own, phase, outputs } = spec;
    requireOwn(this.networks, network);
    const apart = own === undefined ? unmasked && "/unmasked" : `/${this.qualified(own)}`;
    const key = `${network.name}/${views}${apart || ""}`;
    let pass = this.passes.get(key);
    if (!pass) {
      const group = this.viewGroup(views);
      pass = {
        key,
        network,
        views: group,
        unmasked: unmasked || own !== undefined,
        owner: own === undefined ? undefined : this.plugin(),
        grid: this.gridOf(group),
        cls: false,
        patches: false,
        blocks: new Set(),
        patchReaders: new Set(),
        phases: [],
      };
      this.passes.set(key, pass);
    }
    if (phase === undefined) pass.phases = undefined;
    else pass.phases?.push(phase);
    pass.cls ||= outputs.cls ?? false;
    pass.patches ||= outputs.patches ?? false;
    if (outputs.patches) pass.patchReaders.add(this.plugin());
    for (const block of outputs.blocks ?? []) pass.blocks.add(this.blockIndex(block));
    return pass;
  }

  private gridOf(group: ViewGroupSpec): TokenGrid {
    try {
      return this.backbone.grid(group.size);
    } catch (error) {
      throw errors.viewSize(group.group, group.size, error).because(error);
    }
  }

  /** The view groups of a network's shared passes whose patches the plugin asked for. */
  taughtGroups(plugin: string, network: string): string[] {
    return [...this.passes.values()]
      .filter((pass) => pass.network.name === network && !pass.unmasked && !pass.views.auxiliary)
      .filter(({ patchReaders }) => patchReaders.has(plugin))
      .map(({ views }) => views.group);
  }

  service<T>(token: Token<T>): T {
    return this.services.get(token);
  }

  /** Negative indices count from the last block. */
  blockIndex(block: number): number {
    const { depth } = this.backbone;
    const index = block < 0 ? depth + block : block;
    if (!Number.isInteger(index) || index < 0 || index >= depth) {
      throw errors.blockMissing(this.plugin(), block, depth);
    }
    return index;
  }

  variable(
    name: string,
    shape: readonly number[],
    init: Initializer,
    options: VariableOptions = {},
  ): VariableHandle {
    requireArgument(`setup.variable("${name}")`, variableOptions, options);
    const trainable = options.trainable ?? true;
    return this.addVariable({
      kind: "parameter",
      owner: this.plugin(),
      name: `${this.plugin()}.${name}`,
      shape,
      init,
      trainable,
      ema: options.ema ?? trainable,
      weightDecay: options.weightDecay,
      group: options.group,
    });
  }

  buffer(
    name: string,
    shape: readonly number[],
    init: Initializer,
    options: BufferOptions = {},
  ): VariableHandle {
    requireArgument(`setup.buffer("${name}")`, bufferOptions, options);
    const { perNetwork = false } = options;
    const full = `${this.plugin()}.${name}`;
    return this.addVariable({ kind: "buffer", name: full, shape, init, perNetwork, studentOnly: false });
  }

  head<In extends Tensor, Out extends Tensor>(
    name: string,
    module: HeadModule<In, Out>,
  ): HeadHandle<In, Out> {
    const known = this.heads.get(name);
    if (known) {
      const apart = differences(known.module.spec, module.spec);
      if (apart.length > 0) throw errors.headConflict(name, known.owner, this.plugin(), apart);
      return known as HeadHandle<In, Out>;
    }
    for (const spec of module.parameters()) this.declareParameter(name, spec);
    for (const { name: buffer, shape, init, studentOnly = false } of module.buffers?.() ?? []) {
      const full = `${name}.${buffer}`;
      this.addVariable({ kind: "buffer", name: full, shape, init, perNetwork: true, studentOnly });
    }
    const head = { name, module: module as unknown as HeadModule<Tensor, Tensor>, owner: this.plugin() };
    this.heads.set(name, head);
    const { frozenEpochs = 0 } = module;
    if (frozenEpochs > 0) {
      const open = this.schedule(`${name}.open`, ({ epoch }) => (Math.floor(epoch) < frozenEpochs ? 0 : 1));
      this.gate([head], open);
    }
    return head as HeadHandle<In, Out>;
  }

  headSpec(name: string): HeadModule["spec"] | undefined {
    return this.heads.get(name)?.module.spec;
  }

  optimizerGroup(name: string, spec: OptimizerGroupSpec): OptimizerGroup {
    requireArgument(`setup.optimizerGroup("${name}")`, optimizerGroupSpec, spec);
    const other = [...this.optimizerGroups.values()].find(
      ({ optimizer }) => optimizer !== undefined && optimizer === spec.optimizer,
    );
    if (other) throw errors.optimizerShared(this.plugin(), name, other.name);
    for (const rate of [spec.lr, spec.weightDecay])
      if (typeof rate === "object") declared("schedule", this.schedules, rate);
    return this.add(this.optimizerGroups, { ...spec, name: this.qualified(name) });
  }

  classifier(classifier: LinearClassifier): void {
    requireArgument("setup.classifier", linearClassifier, classifier);
    const plugin = this.plugin();
    const [weight, bias] = [classifier.weight, classifier.bias].map((handle) =>
      declared("variable", this.variables, handle),
    ) as [VariableDeclaration, VariableDeclaration];
    const known = this.classifierDeclared;
    if (known) throw errors.declaredTwice("classifier", known.owner);
    const classes = this.run.numClasses ?? 0;
    const wanted = [`${classes},${this.backbone.embedDim}`, `${classes}`];
    const got = [weight, bias].map(({ shape }) => shape.join());
    if (wanted.join(" ") !== got.join(" ")) throw errors.classifierShape(plugin, got, wanted);
    this.classifierDeclared = { weight, bias, owner: plugin };
  }

  lrScale(scale: (weight: ScaledWeight) => number): void {
    requireFunction("learning-rate scale", "lrScale", scale);
    const plugin = this.plugin();
    this.lrScales.push((weight) => {
      const value: unknown = asPlugin(plugin, "lrScale", () => scale(weight));
      if (typeof value === "number" && Number.isFinite(value) && value >= 0) return value;
      throw errors.lrScale(plugin, weight.name, described(value));
    });
  }

  /** What all plugins together multiply the learning rate of a weight by. */
  lrScaleOf(name: string): number {
    const { backbone } = this;
    const own = name.startsWith(BACKBONE_PREFIX) ? name.slice(BACKBONE_PREFIX.length) : undefined;
    const weight: ScaledWeight = {
      name,
      get layer() {
        if (own === undefined) return backbone.depth + 1;
        if (!backbone.layerOf) throw errors.layersUnknown();
        return backbone.layerOf(own);
      },
    };
    return this.lrScales.reduce((product, scale) => product * scale(weight), 1);
  }

  schedule(name: string, at: (progress: Progress) => number): ScheduleHandle {
    const full = this.qualified(name);
    return this.add(this.schedules, { name: full, at: this.blaming("schedule", finiteSchedule(full, at)) });
  }

  input(name: string, spec: InputSpec): InputHandle {
    requireArgument(`setup.input("${name}")`, inputSpec, spec);
    const { shape, dtype = "float32", sample } = spec;
    const full = this.qualified(name);
    requireFunction("input", full, sample);
    return this.add(this.inputs, { name: full, shape, dtype, sample: this.blaming("input", sample) });
  }

  mask(group: string, spec: MaskInputSpec): MaskHandle {
    requireArgument(`setup.mask("${group}")`, maskSpec, spec);
    const { most, startEpoch = 0, sample } = spec;
    const views = this.viewGroup(group);
    const { rows, columns } = this.gridOf(views);
    const plugin = this.plugin();
    const known = this.masks.get(group);
    if (known) throw errors.maskConflict(group, known.owner, plugin);
    const images = views.count * this.run.batchSize;
    const patches = rows * columns;
    const name = `mask.${group}`;
    const input = this.input(name, {
      shape: [null],
      dtype: "int32",
      sample: (context) => {
        const cells = sample(context);
        if (cells.length !== images * patches) {
          throw errors.maskInvalid(plugin, group, `${cells.length} cells for ${images * patches} patches`);
        }
        const largest = mostMaskedOf(cells, patches);
        if (largest > most) {
          throw errors.maskInvalid(plugin, group, `${largest} patches of an image, of at most ${most}`);
        }
        return maskedRows(cells, images, most);
      },
    });
    const started = this.phase(`${name}.started`, (epoch) => epoch >= startEpoch);
    const mask = { name: input.name, group, owner: plugin, patches, started, sample };
    this.masks.set(group, mask);
    return mask;
  }

  phase<T extends PhaseValue>(name: string, at: (epoch: number) => T): PhaseHandle<T> {
    const full = this.qualified(name);
    requireFunction("phase", full, at);
    return this.add(this.phases, { name: full, at: this.blaming("phase", at) }) as PhaseHandle<T>;
  }

  gate(variables: readonly (VariableHandle | HeadHandle)[], open: ScheduleHandle): void {
    for (const { name } of variables) {
      const names = this.heads.has(name) ? this.parametersOfHead(name) : [name];
      for (const parameter of names) {
        const declared = this.variables.get(parameter);
        if (declared?.kind !== "parameter") throw errors.gateUnknown(this.plugin(), parameter);
        if (declared.gate && declared.gate !== open) throw errors.gateConflict(this.plugin(), parameter);
        declared.gate = open;
      }
    }
  }

  health(rule: HealthRule): void {
    requireArgument(`setup.health("${(rule as HealthRule | undefined)?.signal}")`, healthRule, rule);
    const { signal, above, below, remedy } = rule;
    if (above === undefined && below === undefined) throw errors.healthUnlimited(this.plugin(), signal);
    const limit = (own: HealthLimit | undefined) =>
      typeof own === "function" ? this.blaming("health", finiteLimit(signal, own)) : own;
    this.healthRules.push({
      ...rule,
      signal: `metric/${this.qualified(signal)}`,
      above: limit(above),
      below: limit(below),
      remedy: typeof remedy === "function" ? this.blaming("health", remedy) : remedy,
    });
  }

  /** The full names of a head's parameters. */
  parametersOfHead(name: string): string[] {
    return this.heads
      .get(name)!
      .module.parameters()
      .map((p) => `${name}.${p.name}`);
  }

  /** Parameters in the order of their declaration, which is the order of gradients and checkpoints. */
  parameters(): ParameterDeclaration[] {
    return [...this.variables.values()].filter((v) => v.kind === "parameter");
  }

  buffers(): BufferDeclaration[] {
    return [...this.variables.values()].filter((v) => v.kind === "buffer");
  }

  /** Running statistics: what every micro-batch moves. */
  headBuffers(): BufferDeclaration[] {
    return [...this.heads.values()].flatMap(({ name, module }) =>
      (module.buffers?.() ?? []).map(
        (buffer) => this.variables.get(`${name}.${buffer.name}`) as BufferDeclaration,
      ),
    );
  }

  /** Whether a network has its own copy of the variable. */
  isIn(variable: VariableDeclaration, network: Network): boolean {
    const isStudent = network.from === undefined;
    if (variable.kind === "buffer") return variable.perNetwork && (isStudent || !variable.studentOnly);
    return isStudent || variable.ema;
  }

  private declareParameter(prefix: string, spec: ParameterSpec): void {
    const trainable = spec.trainable ?? true;
    this.addVariable({
      kind: "parameter",
      owner: this.plugin(),
      name: `${prefix}.${spec.name}`,
      shape: spec.shape,
      init: spec.init,
      trainable,
      ema: !spec.studentOnly,
      weightDecay: undefined,
      group: undefined,
    });
  }

  private addVariable(declaration: VariableDeclaration): VariableHandle {
    const { name, shape, init } = declaration;
    requireArgument(`the initializer of "${name}"`, initializer, init);
    if (shape.some((size) => !Number.isInteger(size) || size < 1)) {
      throw errors.variableShape(this.plugin(), name, shape);
    }
    if (this.variables.has(name)) throw errors.variableDeclaredTwice(name);
    this.variables.set(name, declaration);
    return declaration;
  }

  private addNetwork(network: Network): Network {
    const { update, name } = network;
    if (typeof update === "object") {
      const { copyEvery, fromStep = 0 } = update;
      const whole = (value: number, least: number) => Number.isInteger(value) && value >= least;
      if (!whole(copyEvery, 1) || !whole(fromStep, 0))
        throw errors.copyInterval(this.plugin(), name, copyEvery, fromStep);
    }
    this.networks.set(network.name, network);
    return network;
  }

  private add<T extends { readonly name: string }>(into: Map<string, T>, declaration: T): T {
    const { name } = declaration;
    // They are fed to the step by name.
    if ([this.schedules, this.inputs, this.phases, this.optimizerGroups].some((of) => of.has(name)))
      throw errors.declaredTwice(name);
    into.set(name, declaration);
    return declaration;
  }

  /** A function that a plugin hands over to be called at each step, with its failures in the plugin's name. */
  private blaming<A, R>(
    what: "schedule" | "input" | "phase" | "health",
    run: (argument: A) => R,
  ): (argument: A) => R {
    const plugin = this.plugin();
    return (argument) => asPlugin(plugin, what, () => run(argument));
  }

  private qualified(name: string): string {
    return `${this.plugin()}.${name}`;
  }

  private plugin(): string {
    return pluginOf(currentScope());
  }
}
