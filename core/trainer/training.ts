/**
 * A method ready to train: plugins applied, declarations made, variables in the engine, programs by phase.
 * It knows tensors and steps; files, progress and epochs are the trainer's.
 */
import type { Backbone } from "../backbone.ts";
import type {
  InputShape,
  Network,
  Progress,
  RunInfo,
  SamplerContext,
  ScheduleHandle,
  ViewGroupSpec,
} from "../contexts.ts";
import type { ViewBatch } from "../data/pipeline.ts";
import type { Engine, Feeds, HostArray, Program, Trace, Variable } from "../engine/engine.ts";
import { finiteAdvice } from "../engine/op-advice.ts";
import { errors, type RelataError } from "../errors.ts";
import type { Services } from "../tokens.ts";
import type { Hooks } from "../hooks.ts";
import { Random } from "../random.ts";
import { withScope } from "../scopes.ts";
import { Declarations, STUDENT, TEACHER, type PassDeclaration } from "./declarations.ts";
import { traceViews, type ViewSink } from "./forward.ts";
import type { Optimizer } from "./optimizer.ts";
import type { Normalisation } from "./pixels.ts";
import { traceRelations, type ShownPoints } from "./relation-rows.ts";
import { cosineSchedule } from "./schedule.ts";
import { openSetup } from "./setup-context.ts";
import { ModelState } from "./state.ts";
import { inputNames, type Variant } from "./step-context.ts";
import { stepOutputs, traceStep, type StepKind, type StepParts } from "./step.ts";

export interface TrainingSettings {
  /** Peak learning rate, already scaled by the global batch size. */
  readonly lr: number;
  readonly minLr: number;
  readonly warmupEpochs: number;
  readonly weightDecay: number;
  readonly weightDecayEnd: number;
  readonly momentum: number;
  readonly momentumEnd: number;
  readonly clipGrad: number;
  readonly accumulation: number;
  readonly normalisation: Normalisation;
  /** Steps also give the signals of health that every method has (default: they do not). */
  readonly health?: boolean;
}

export interface TrainingSpec {
  readonly hooks: Hooks;
  readonly views: readonly ViewGroupSpec[];
  readonly run: RunInfo;
  readonly backbone: Backbone;
  readonly engine: Engine;
  readonly optimizer: Optimizer;
  /** What plugins may ask for in setup. */
  readonly services: Services;
  readonly settings: TrainingSettings;
  /** Steps also give every raw gradient. */
  readonly outputGradients?: boolean;
}

export interface StepOutcome {
  readonly finite: boolean;
  /** Loss terms, total, gradient norm and metrics by name. */
  readonly scalars: Readonly<Record<string, number>>;
  /** What the step was fed. */
  readonly feeds: Feeds;
}

export class Training {
  readonly declarations: Declarations;
  readonly state: ModelState;
  readonly hooks: Hooks;
  readonly engine: Engine;
  private readonly parts: StepParts;
  readonly normalisation: Normalisation;
  private readonly programs = new Map<string, Program>();

  /** Runs the setup hook and declares every variable in the engine. No value is set yet. */
  static async create(spec: TrainingSpec): Promise<Training> {
    const declarations = new Declarations(spec.run, spec.backbone, spec.views, spec.services);
    const setup = openSetup(declarations);
    await spec.hooks.setup.promise(setup.context);
    setup.close();
    const relating = spec.hooks.relation.taps.map(({ name }) => name);
    if (relating.length > 0) withScope("core", () => readPatchesForRelations(declarations, relating));
    if (declarations.passes.size === 0) throw errors.noPasses();
    const schedules = withScope("core", () => declareSchedules(declarations, spec.run, spec.settings));
    return new Training(spec, declarations, schedules);
  }

  private constructor(spec: TrainingSpec, declarations: Declarations, schedules: StepParts["schedules"]) {
    const { engine, hooks, optimizer, settings } = spec;
    this.hooks = hooks;
    this.engine = engine;
    this.declarations = declarations;
    this.normalisation = settings.normalisation;
    this.state = new ModelState(engine, declarations, optimizer);
    const accumulators = new Map<string, Variable>();
    if (settings.accumulation > 1) {
      for (const { name, shape } of this.state.trainable) {
        accumulators.set(name, engine.variable(`accumulator/${name}`, shape));
      }
    }
    const { normalisation, clipGrad, accumulation, health } = settings;
    this.parts = {
      declarations,
      hooks,
      state: this.state,
      schedules,
      normalisation,
      clipGrad,
      accumulation,
      accumulators,
      health,
      outputGradients: spec.outputGradients,
    };
  }

  /** Sets every variable to its start: `values` by variable name, and the others drawn from the seed. */
  async initialize(values?: ReadonlyMap<string, Float32Array>): Promise<void> {
    const { engine, state, declarations, parts } = this;
    await engine.load(state.initialValues(declarations.run.seed, values));
    await engine.load([...parts.accumulators.values()].map((v) => [v, new Float32Array(v.size)] as const));
  }

  /**
   * Call before the first micro-batch of an update; the function that it gives undoes the update's micro-batches, until
   * the last one. The weights wait for that one, the running statistics of heads do not.
   */
  async beginUpdate(): Promise<() => Promise<void>> {
    const { engine, declarations, state, parts } = this;
    if (parts.accumulation === 1) return () => Promise.resolve();
    const networks = [...declarations.networks.values()];
    const moved = declarations
      .headBuffers()
      .flatMap((buffer) =>
        networks.filter((n) => declarations.isIn(buffer, n)).map((n) => state.get(buffer, n)),
      );
    const values = await engine.save(moved);
    return () => engine.load(moved.map((variable, i) => [variable, values[i]!] as const));
  }

  private phasesAt(epoch: number): Variant["phases"] {
    const phases = [...this.declarations.phases.values()];
    return Object.fromEntries(phases.map(({ name, at }) => [name, at(epoch)]));
  }

  /** The structure of a step: the phases of its epoch, and how many rows are fed to inputs that vary in size. */
  variantOf(epoch: number, feeds: Feeds): Variant {
    const { inputs, masks } = this.declarations;
    const phases = this.phasesAt(epoch);
    // Masks that have not started are not read.
    const unread = [...masks.values()].flatMap(({ name, started }) => (phases[started.name] ? [] : [name]));
    const varying = [...inputs.values()].filter(
      ({ name, shape }) => shape[0] === null && !unread.includes(name),
    );
    return {
      phases,
      rows: Object.fromEntries(varying.map(({ name, shape }) => [name, rowsOf(name, shape, feeds[name]!)])),
    };
  }

  /** The program for a kind of step, an epoch and what is fed, captured when first needed. */
  async program(kind: StepKind, epoch: number, feeds: Feeds, onCapture?: () => void): Promise<Program> {
    const variant = this.variantOf(epoch, feeds);
    const key = `${kind} ${JSON.stringify(variant)}`;
    let program = this.programs.get(key);
    if (!program) {
      onCapture?.();
      program = await this.engine.program(kind, traceStep(this.parts, kind, variant));
      this.programs.set(key, program);
    }
    return program;
  }

  /** A program body that gives every view group augmented, in 0..1, or what `sink` makes of it, and does nothing else. */
  traceViews(feeds: Feeds, sink: ViewSink = (tracer, group, views) => tracer.output(group, views)): Trace {
    return traceViews(this.parts, this.variantOf(0, feeds), sink);
  }

  /** A program body that gives how points of an overlap relate to all tokens, and changes nothing. */
  traceRelations(feeds: Feeds, shown: ShownPoints): Trace {
    return traceRelations(this.parts, this.variantOf(0, feeds), shown);
  }

  /** Traces every captured program again. Throws FROZEN_VALUE where a plugin's host state leaked into it. */
  verify(): void {
    for (const program of this.programs.values()) this.engine.verify(program);
  }

  /** Runs one micro-batch. Nothing changes when the outcome is not finite. `onCapture` is told before a long start. */
  async step(
    kind: StepKind,
    batch: ViewBatch,
    progress: Progress,
    onCapture?: () => void,
  ): Promise<StepOutcome> {
    return this.stepOn(kind, this.feeds(batch, progress), progress, onCapture);
  }

  /** `step` on what its inputs are fed. */
  async stepOn(
    kind: StepKind,
    feeds: Feeds,
    progress: Progress,
    onCapture?: () => void,
  ): Promise<StepOutcome> {
    const program = await this.program(kind, progress.epoch, feeds, onCapture);
    const outputs = await program.run(feeds);
    return {
      finite: outputs[stepOutputs.finite]![0] === 1,
      scalars: Object.fromEntries(
        Object.entries(outputs)
          .filter(([name, values]) => name !== stepOutputs.finite && values.length === 1)
          .map(([name, values]) => [name, values[0]!]),
      ),
      feeds,
    };
  }

  /**
   * NOT_FINITE: what is known of a step whose outcome is not finite. Runs it again.
   *
   * @param saved where its batch is for another look, and the command for that
   */
  async notFinite(
    kind: StepKind,
    progress: Progress,
    { scalars, feeds }: StepOutcome,
    saved?: { readonly file: string; readonly command: string },
  ): Promise<RelataError> {
    const program = await this.program(kind, progress.epoch, feeds);
    const origin = await this.engine.firstNonFinite(program, feeds);
    const terms = Object.keys(scalars).filter(
      (name) => name.startsWith("loss/") && !Number.isFinite(scalars[name]!),
    );
    return errors.notFinite(progress.step, terms, origin, finiteAdvice(origin), saved);
  }

  /** What micro-batches move before the update, and checkpoints may not have: sums of gradients, and buffers. */
  private get betweenUpdates(): readonly Variable[] {
    const { accumulators } = this.parts;
    return accumulators.size === 0 ? [] : [...accumulators.values(), ...this.state.buffers];
  }

  /** Its values by name; empty without accumulation. */
  async saveBetweenUpdates(): Promise<Map<string, Float32Array>> {
    const variables = this.betweenUpdates;
    const values = await this.engine.save(variables);
    return new Map(variables.map(({ name }, i) => [name, values[i]!]));
  }

  /** Gives the names that are missing, or not of this method; then nothing is set. */
  async loadBetweenUpdates(values: ReadonlyMap<string, Float32Array>): Promise<readonly string[]> {
    const variables = this.betweenUpdates;
    const own = new Map(variables.map(({ name, size }) => [name, size]));
    const names = [...new Set([...own.keys(), ...values.keys()])];
    const apart = names.filter((name) => own.get(name) !== values.get(name)?.length);
    if (apart.length === 0) await this.engine.load(variables.map((v) => [v, values.get(v.name)!] as const));
    return apart;
  }

  /** The value of every schedule at a step. */
  schedulesAt(progress: Progress): Record<string, number> {
    const entries = [...this.declarations.schedules.values()].map(
      ({ name, at }) => [name, at(progress)] as const,
    );
    return Object.fromEntries(entries);
  }

  /** What the step's inputs are fed with; samplers run only for inputs that the program has. */
  feeds(batch: ViewBatch, progress: Progress): Feeds {
    const { declarations } = this;
    const feeds: Record<string, HostArray> = {
      [inputNames.labels]: batch.labels,
      [inputNames.indices]: batch.indices,
    };
    for (const [group, pixels] of batch.pixels) feeds[inputNames.pixels(group)] = pixels;
    for (const [group, rects] of batch.rects) feeds[inputNames.rects(group)] = rects;
    for (const [name, value] of Object.entries(this.schedulesAt(progress)))
      feeds[name] = Float32Array.of(value);
    for (const input of declarations.inputs.values()) {
      lazily(feeds, input.name, () => input.sample(this.samplerContext(input.name, batch, progress)));
    }
    for (const pass of declarations.passes.values()) {
      if (pass.network.name !== STUDENT) continue;
      lazily(feeds, inputNames.dropPath(pass.key), () => sampleDropPath(declarations, pass, batch, progress));
    }
    return feeds;
  }

  /** `feeds` with nothing masked and no branch dropped. */
  plainFeeds(batch: ViewBatch, progress: Progress): Feeds {
    const { masks, passes } = this.declarations;
    const unmasked = [...masks.values()].map(({ name }) => [name, Int32Array.of(-1)] as const);
    const feeds = { ...this.feeds(batch, progress), ...Object.fromEntries(unmasked) };
    for (const { key } of passes.values()) feeds[inputNames.dropPath(key)]?.fill(1);
    return feeds;
  }

  /** The masks of a view group at a step, [count * B, N], not 0 where masked; undefined where nothing is masked. */
  maskCells(group: string, batch: ViewBatch, progress: Progress): ArrayLike<number> | undefined {
    const mask = this.declarations.masks.get(group);
    if (!mask || !this.phasesAt(progress.epoch)[mask.started.name]) return undefined;
    return mask.sample(this.samplerContext(mask.name, batch, progress));
  }

  private samplerContext(input: string, { indices }: ViewBatch, progress: Progress): SamplerContext {
    const { seed } = this.declarations.run;
    return {
      ...progress,
      indices,
      random: (...keys) => new Random(seed, input, progress.step, ...keys),
    };
  }
}

/** Whole rows of a [rows, ...] input. Throws INPUT_ROWS. */
function rowsOf(input: string, shape: InputShape, values: HostArray): number {
  const width = shape.slice(1).reduce<number>((product, size) => product * size!, 1);
  const rows = values.length / width;
  if (!Number.isInteger(rows) || rows < 1) throw errors.inputRows(input, width, values.length);
  return rows;
}

function lazily(feeds: Record<string, HostArray>, name: string, sample: () => HostArray): void {
  let value: HostArray | undefined;
  Object.defineProperty(feeds, name, { enumerable: true, get: () => (value ??= sample()) });
}

function declareSchedules(
  declarations: Declarations,
  run: RunInfo,
  settings: TrainingSettings,
): StepParts["schedules"] {
  const { lr, minLr, warmupEpochs, weightDecay, weightDecayEnd, momentum, momentumEnd } = settings;
  const cosine = (name: string, at: (step: number) => number): ScheduleHandle =>
    declarations.schedule(name, ({ step }) => at(step));
  const { totalSteps } = run;
  const hasEma = [...declarations.networks.values()].some(({ update }) => update === "ema");
  return {
    lr: cosine("lr", cosineSchedule(lr, minLr, totalSteps, Math.round(warmupEpochs * run.stepsPerEpoch))),
    weightDecay: cosine("weightDecay", cosineSchedule(weightDecay, weightDecayEnd, totalSteps)),
    momentum: hasEma ? cosine("momentum", cosineSchedule(momentum, momentumEnd, totalSteps)) : undefined,
    copies: declareCopies(declarations),
  };
}

/** By network that is copied every n steps: 1 in steps that end with a copy. */
function declareCopies(declarations: Declarations): ReadonlyMap<string, ScheduleHandle> {
  const copies = new Map<string, ScheduleHandle>();
  for (const { name, update } of declarations.networks.values()) {
    if (typeof update !== "object") continue;
    const { copyEvery, fromStep = 0 } = update;
    const isCopied = (step: number) => step >= fromStep && (step - fromStep) % copyEvery === 0;
    copies.set(
      name,
      declarations.schedule(`copy.${name}`, ({ step }) => (isCopied(step) ? 1 : 0)),
    );
  }
  return copies;
}

/**
 * Relations compare patch tokens: every view group's student pass gives them, and the teacher's of the first group, unless
 * every plugin with relations asked for a teacher's pass itself.
 */
function readPatchesForRelations(declarations: Declarations, plugins: readonly string[]): void {
  const outputs = { patches: true };
  const [student, teacher] = [STUDENT, TEACHER].map((name) =>
    declarations.network(name as typeof STUDENT | typeof TEACHER),
  ) as [Network, Network];
  if (plugins.some((plugin) => declarations.taughtGroups(plugin, TEACHER).length === 0))
    declarations.pass({ network: teacher, views: declarations.views[0]!.group, outputs });
  for (const { group } of declarations.views) declarations.pass({ network: student, views: group, outputs });
}

/** [2 * depth, count * B]: 0 where the branch is dropped for the sample, else 1 / keep (arXiv 1603.09382). */
function sampleDropPath(
  declarations: Declarations,
  pass: PassDeclaration,
  batch: ViewBatch,
  { step }: Progress,
): Float32Array {
  const { dropPathRates } = declarations.backbone;
  const { count, group } = pass.views;
  const samples = batch.indices.length;
  const images = count * samples;
  const keep = new Float32Array(2 * dropPathRates.length * images);
  for (let view = 0; view < count; view++) {
    for (let b = 0; b < samples; b++) {
      const random = new Random(declarations.run.seed, "dropPath", step, group, view, batch.indices[b]!);
      for (let branch = 0; branch < 2 * dropPathRates.length; branch++) {
        const rate = dropPathRates[branch >> 1]!;
        const kept = rate === 0 || !random.bernoulli(rate);
        keep[branch * images + view * samples + b] = kept ? 1 / (1 - rate) : 0;
      }
    }
  }
  return keep;
}
