/**
 * Every error that relata raises on purpose, in one place.
 *
 * Each has a stable code, a message that names the config path, plugin or file at fault, and the fix.
 * Throw `errors.someName(…)`; attach the original with `.because(cause)`.
 */
export class RelataError extends Error {
  override readonly name = "RelataError";
  readonly code: string;
  /** What to do about it, one sentence. */
  readonly fix: string;
  /** The plugin and the hook that it came out of, such as "dino/loss". */
  where: string | undefined;

  constructor(code: string, message: string, fix: string) {
    super(message);
    this.code = code;
    this.fix = fix;
    const frames = /\n {4}at [^]*/.exec(this.stack ?? "")?.[0] ?? "";
    // What test runners, and Node itself, print of an error.
    Object.defineProperty(this, "stack", { configurable: true, get: () => `${String(this)}${frames}` });
  }

  /** Says which plugin's hook it came out of; the innermost counts. */
  in(where: string): this {
    this.where ??= where;
    return this;
  }

  /** Keeps the error that led to this one. */
  because(cause: unknown): this {
    this.cause = cause;
    return this;
  }

  /** The message, with the plugin and hook where it does not say them itself. */
  get told(): string {
    const { message, where } = this;
    return where === undefined || message.includes(where) ? message : `${message}\n  in ${where}`;
  }

  override toString(): string {
    return `${this.code}: ${this.told}\n  fix: ${this.fix}`;
  }
}

type Describe<A extends unknown[]> = (...args: A) => { message: string; fix: string };

function coded<A extends unknown[]>(code: string, describe: Describe<A>): (...args: A) => RelataError {
  return (...args) => {
    const { message, fix } = describe(...args);
    return new RelataError(code, message, fix);
  };
}

interface Size {
  readonly width: number;
  readonly height: number;
}

interface GridSize {
  readonly rows: number;
  readonly columns: number;
}

const didYouMean = (nearest: string | undefined) => (nearest ? ` Did you mean "${nearest}"?` : "");

export const errors = {
  // --- configuration -------------------------------------------------------------------------------------
  configUnknownKey: coded(
    "CONFIG_UNKNOWN_KEY",
    (path: string, key: string, known: readonly string[], nearest?: string) => ({
      message:
        `${path === "" ? "" : `${path}.`}${key}: unknown key.` +
        (nearest ? didYouMean(nearest) : ` There is ${known.length > 0 ? known.join(", ") : "none here"}.`),
      fix: `remove it or use one of: ${known.length > 0 ? known.join(", ") : "(no options)"}`,
    }),
  ),
  configInvalid: coded("CONFIG_INVALID", (path: string, problem: string) => ({
    message: `${path}: ${problem}`,
    fix: `correct ${path} in the config`,
  })),
  configProblems: coded("CONFIG_PROBLEMS", (problems: readonly RelataError[]) => ({
    message: `${problems.length} problems in the config:\n${problems.map(({ message }) => `  - ${message}`).join("\n")}`,
    fix: "correct each of them",
  })),
  // --- config files and overrides ------------------------------------------------------------------------
  configMissing: coded("CONFIG_MISSING", (file: string, nearest?: string) => ({
    message: `there is no config ${file}.${didYouMean(nearest)}`,
    fix: "name a .yaml, .json or .ts file, or use --preset",
  })),
  configFormat: coded("CONFIG_FORMAT", (file: string, known: readonly string[]) => ({
    message: `${file} is not a config that can be read`,
    fix: `use a file that ends in ${known.join(", ")}`,
  })),
  configSyntax: coded("CONFIG_SYNTAX", (file: string, line: number, column: number, problem: string) => ({
    message: `${file}:${line}:${column}: ${problem}`,
    fix: `correct line ${line}`,
  })),
  configLoad: coded("CONFIG_LOAD", (file: string, cause: unknown) => ({
    message: `${file} failed while it was loaded: ${cause instanceof Error ? cause.message : String(cause)}`,
    fix: "correct the file; it has to export its config as default",
  })),
  overrideSyntax: coded("OVERRIDE_SYNTAX", (text: string, problem: string) => ({
    message: `--set ${text}: ${problem}`,
    fix: "write --set key=value, such as --set train.epochs=50 or --set plugins.dino.weight=1",
  })),
  overridePath: coded(
    "OVERRIDE_PATH",
    (text: string, key: string, place: string, known: readonly string[], nearest?: string) => ({
      message: `--set ${text}: there is no "${key}" in ${place}.${didYouMean(nearest)}`,
      fix: known.length > 0 ? `use one of: ${known.join(", ")}` : `${place} holds a value, not further keys`,
    }),
  ),
  presetUnknown: coded("PRESET_UNKNOWN", (name: string, known: readonly string[], nearest?: string) => ({
    message: `there is no preset "${name}".${didYouMean(nearest)}`,
    fix: `use one of: ${known.join(", ")}`,
  })),
  // --- plugin registry -----------------------------------------------------------------------------------
  pluginUnknown: coded(
    "PLUGIN_UNKNOWN",
    (name: string, builtins: readonly string[], folder: string, nearest?: string) => ({
      message: `plugin "${name}" is neither built in nor a package that ${folder} can import.${didYouMean(nearest)}`,
      fix: `use one of: ${builtins.join(", ")}; a path such as ./${name}.ts; or install the package there`,
    }),
  ),
  pluginFileMissing: coded(
    "PLUGIN_FILE_MISSING",
    (path: string, tried: readonly string[], nearest?: string) => ({
      message: `there is no plugin at ${path}.${didYouMean(nearest)}`,
      fix: `make one of: ${tried.join(", ")}; paths start from the config's folder`,
    }),
  ),
  pluginLoad: coded("PLUGIN_LOAD", (source: string, cause: unknown) => ({
    message: `the plugin ${source} failed while it was loaded: ${cause instanceof Error ? cause.message : String(cause)}`,
    fix: "correct the plugin, or install what it imports",
  })),
  pluginShape: coded("PLUGIN_SHAPE", (source: string, problem: string, fix: string) => ({
    message: `${source} is not a plugin: ${problem}`,
    fix,
  })),
  pluginApi: coded("PLUGIN_API", (plugin: string, wanted: string, supported: string) => ({
    message: `plugin "${plugin}" is written for version ${wanted} of the plugin contract; this relata has ${supported}`,
    fix: "install a version of the plugin, or of relata, that fits the other",
  })),
  pluginTwice: coded("PLUGIN_TWICE", (plugin: string, sources: readonly string[]) => ({
    message: `plugin "${plugin}" is listed ${sources.length} times (${sources.join(", ")})`,
    fix: "keep one; two plugins of one name cannot be told apart",
  })),
  pluginRequires: coded("PLUGIN_REQUIRES", (plugin: string, missing: string) => ({
    message: `plugin "${plugin}" requires "${missing}", which is not enabled`,
    fix: `add "${missing}" to plugins`,
  })),
  pluginCycle: coded("PLUGIN_CYCLE", (cycle: readonly string[]) => ({
    message: `these plugins all want to run after each other: ${cycle.join(" -> ")}`,
    fix: "remove one of their `after`",
  })),
  pluginName: coded("PLUGIN_NAME", (name: string) => ({
    message: `"${name}" is no name for a plugin`,
    fix: "use lower case, digits and dashes, such as my-relation",
  })),
  pluginFolderExists: coded("PLUGIN_FOLDER_EXISTS", (folder: string) => ({
    message: `${folder} holds something already`,
    fix: "name another folder with --out, or empty this one",
  })),
  // --- hooks and plugins ---------------------------------------------------------------------------------
  hookAsyncTap: coded("HOOK_ASYNC_TAP", (plugin: string, hook: string) => ({
    message: `plugin "${plugin}" taps the synchronous hook "${hook}" with an async function`,
    fix: `make the tap synchronous, or do the waiting in "setup" or "afterEpoch"`,
  })),
  hookReturnedNothing: coded("HOOK_RETURNED_NOTHING", (plugin: string, hook: string) => ({
    message: `plugin "${plugin}" returned nothing from "${hook}", whose value is passed on from tap to tap`,
    fix: "return the value that was received, changed or not",
  })),
  hookUnknown: coded(
    "HOOK_UNKNOWN",
    (plugin: string, hook: string, known: readonly string[], nearest?: string) => ({
      message: `plugin "${plugin}" taps "${hook}", which is no hook.${didYouMean(nearest)}`,
      fix: `use one of: ${known.join(", ")}`,
    }),
  ),
  hookShape: coded(
    "HOOK_SHAPE",
    (plugin: string, hook: string, place: string, got: string, want: string, fix: string) => ({
      message: `plugin "${plugin}" returned ${got} from "${hook}"${place}, where ${want} is wanted`,
      fix,
    }),
  ),
  pluginThrew: coded("PLUGIN_THREW", (plugin: string, hook: string, cause: unknown) => ({
    message: `plugin "${plugin}" failed in "${hook}": ${cause instanceof Error ? cause.message : String(cause)}`,
    fix: `correct the plugin (--verbose shows how it came there), or remove "${plugin}" from the config`,
  })),
  // --- declarations --------------------------------------------------------------------------------------
  viewGroupMissing: coded(
    "VIEW_GROUP_MISSING",
    (plugin: string, group: string, known: readonly string[], nearest?: string) => ({
      message: `plugin "${plugin}" needs the view group "${group}"; there is ${known.length > 0 ? known.join(", ") : "none"}.${didYouMean(nearest)}`,
      fix: `enable a plugin that makes views (multi-crop), or one that makes "${group}"`,
    }),
  ),
  viewSize: coded("VIEW_SIZE", (group: string, size: number, cause: unknown) => ({
    message: `views "${group}" of ${size} pixels do not fit the backbone: ${cause instanceof Error ? cause.message : String(cause)}`,
    fix: "choose a multiple of the pixels that a token of the backbone covers: of a ViT, backbone.patchSize",
  })),
  networkUnknown: coded("NETWORK_UNKNOWN", (plugin: string, network: string) => ({
    message: `plugin "${plugin}" asks for the network "${network}", which nobody described`,
    fix: `ask for "student" or "teacher", or say what it follows: network("${network}", { from, update })`,
  })),
  networkConflict: coded("NETWORK_CONFLICT", (plugin: string, network: string) => ({
    message: `plugin "${plugin}" describes the network "${network}" differently from another plugin`,
    fix: "use another name for it",
  })),
  networkForeign: coded("NETWORK_FOREIGN", (plugin: string, network: string) => ({
    message: `plugin "${plugin}" asks for a pass of ${network}, which is no network of this run`,
    fix: 'give the pass what this run\'s setup.network("student") or setup.network("teacher") returns',
  })),
  blockMissing: coded("BLOCK_MISSING", (plugin: string, block: number, depth: number) => ({
    message: `plugin "${plugin}" asks for block ${block} of a backbone with ${depth} blocks`,
    fix: `use an index from ${-depth} to ${depth - 1}`,
  })),
  headNotLinear: coded("HEAD_NOT_LINEAR", (head: string) => ({
    message: `the head "${head}" has no weight to be read whole: it is more than one product`,
    fix: "use step.apply, or give the head module a `weight` if it is x -> x weight^T and nothing else",
  })),
  headConflict: coded(
    "HEAD_CONFLICT",
    (name: string, owner: string, plugin: string, differences: readonly string[]) => ({
      message: `plugins "${owner}" and "${plugin}" share the head "${name}" but want ${differences.join(", ")}`,
      fix: "give both plugins the same head options, or separate heads",
    }),
  ),
  declaredLate: coded("DECLARED_LATE", (plugin: string, scope: string, method: string) => ({
    message: `plugin "${plugin}" calls setup's ${method} in ${scope}, when setup is over`,
    fix: "declare it in the setup hook, and use the handle that this gives",
  })),
  undeclared: coded(
    "UNDECLARED",
    (plugin: string, scope: string, kind: string, name: string | undefined, nearest?: string) => ({
      message:
        `plugin "${plugin}" uses ${name === undefined ? `no ${kind} where one belongs` : `the ${kind} "${name}"`} in ${scope}` +
        (name === undefined ? "" : `, which nobody declared.${didYouMean(nearest)}`),
      fix:
        `declare the ${kind} in setup, and use the handle that this gives` +
        (kind === "variable" ? "; a head's weights are what its parameters() lists" : ""),
    }),
  ),
  argumentInvalid: coded(
    "ARGUMENT_INVALID",
    (plugin: string, scope: string, call: string, problem: string, fix: string) => ({
      message: `plugin "${plugin}" gives ${call} in ${scope} ${problem}`,
      fix,
    }),
  ),
  notFunction: coded("NOT_FUNCTION", (plugin: string, kind: string, name: string, got: string) => ({
    message: `plugin "${plugin}" declares the ${kind} "${name}" with ${got} where a function belongs`,
    fix: "write a function of the step, such as ({ step, epoch }) => …; what never changes needs no declaration",
  })),
  scheduleValue: coded("SCHEDULE_VALUE", (plugin: string, name: string, step: number, got: string) => ({
    message: `plugin "${plugin}": the schedule "${name}" gives ${got} at step ${step}`,
    fix: "let it return a finite number at every step",
  })),
  healthUnlimited: coded("HEALTH_UNLIMITED", (plugin: string, signal: string) => ({
    message: `plugin "${plugin}" watches "${signal}" without a limit`,
    fix: "say above or below which value it is unhealthy",
  })),
  healthLimit: coded("HEALTH_LIMIT", (plugin: string, signal: string, step: number, got: string) => ({
    message: `plugin "${plugin}": the limit of "${signal}" is ${got} at step ${step}`,
    fix: "let it return a finite number, or nothing where nothing is judged",
  })),
  gateUnknown: coded("GATE_UNKNOWN", (plugin: string, name: string) => ({
    message: `plugin "${plugin}" gates "${name}", which is not a declared weight`,
    fix: "declare the variable or head before gating it",
  })),
  optionInvalid: coded("OPTION_INVALID", (plugin: string, option: string, problem: string, fix: string) => ({
    message: `plugin "${plugin}": ${option} ${problem}`,
    fix,
  })),
  backboneMerges: coded("BACKBONE_MERGES", (plugin: string, stem: GridSize, grid: GridSize) => ({
    message:
      `plugin "${plugin}" wants a token of each patch, and the backbone merges ` +
      `${stem.rows} x ${stem.columns} patches into ${grid.rows} x ${grid.columns}`,
    fix: `use a backbone that keeps its patches, such as vit-small, or remove "${plugin}"`,
  })),
  tokensDropped: coded("TOKENS_DROPPED", (tokens: number, { rows, columns }: GridSize) => ({
    message: `a pass has tokens of ${tokens} of a view's ${rows} x ${columns} patches, and the backbone merges neighbours: it needs all`,
    fix: "use a backbone that keeps its patches, such as vit-small, or remove the plugin that drops tokens",
  })),
  labelsMissing: coded("LABELS_MISSING", (plugin: string) => ({
    message: `plugin "${plugin}" learns from labels, and the images have none`,
    fix: `put the images of each class into a folder of its own, or remove "${plugin}" from the config`,
  })),
  maskConflict: coded("MASK_CONFLICT", (group: string, owner: string, plugin: string) => ({
    message: `plugins "${owner}" and "${plugin}" both mask the view group "${group}"`,
    fix: "let one of them mask another group, or disable one",
  })),
  maskInvalid: coded("MASK_INVALID", (plugin: string, group: string, problem: string) => ({
    message: `plugin "${plugin}" drew an impossible mask for the views "${group}": ${problem}`,
    fix: "give one cell for each patch of each image, view-major, and declare in `most` how many may be masked",
  })),
  inputRows: coded("INPUT_ROWS", (input: string, rest: number, length: number) => ({
    message: `the input "${input}" got ${length} values, not a whole number of rows of ${rest}`,
    fix: "let its sampler give whole rows, at least one",
  })),
  gateConflict: coded("GATE_CONFLICT", (plugin: string, name: string) => ({
    message: `plugin "${plugin}" gates "${name}", which another plugin gates already`,
    fix: "let one of the plugins that share it hold it back",
  })),
  classifierShape: coded(
    "CLASSIFIER_SHAPE",
    (plugin: string, got: readonly string[], wanted: readonly string[]) => ({
      message: `plugin "${plugin}" declares a classifier of the shapes [${got.join("] and [")}], where the classes and the backbone want [${wanted.join("] and [")}]`,
      fix: "give a weight of [run.numClasses, backbone.embedDim] and a bias of [run.numClasses]",
    }),
  ),
  lrScale: coded("LR_SCALE", (plugin: string, weight: string, value: string) => ({
    message: `plugin "${plugin}" scales the learning rate of "${weight}" by ${value}`,
    fix: "give a finite number from 0 for each weight",
  })),
  layersUnknown: coded("LAYERS_UNKNOWN", () => ({
    message:
      "learning rates are to differ by layer, and the backbone does not say which layer a weight is of",
    fix: "give the backbone a layerOf, or remove the plugin that asks for layers, such as layer-decay",
  })),
  optimizerShared: coded("OPTIMIZER_SHARED", (plugin: string, group: string, other: string) => ({
    message: `plugin "${plugin}" gives the optimizer group "${group}" the same optimizer as "${other}" has`,
    fix: "make an instance for each group: it has the state of its group's weights",
  })),
  variableShape: coded("VARIABLE_SHAPE", (plugin: string, name: string, shape: readonly number[]) => ({
    message: `plugin "${plugin}" declares "${name}" with the impossible shape [${shape.join(", ")}]`,
    fix: "use positive whole numbers",
  })),
  declaredTwice: coded("DECLARED_TWICE", (name: string, owner?: string) => ({
    message: `"${name}" is declared twice${owner === undefined ? "" : `, first by plugin "${owner}"`}`,
    fix: "give one of them another name, such as one that starts with the plugin's",
  })),
  // --- inside the step --------------------------------------------------------------------------------
  outputUndeclared: coded("OUTPUT_UNDECLARED", (plugin: string, pass: string, output: string) => ({
    message: `plugin "${plugin}" reads ${output} of the pass ${pass}, which it did not ask for`,
    fix: `ask for it in setup: outputs: { ${output.startsWith("block ") ? `blocks: [${output.slice(6)}]` : `${output}: true`} }`,
  })),
  passInactive: coded("PASS_INACTIVE", (plugin: string, pass: string) => ({
    message: `plugin "${plugin}" reads the pass ${pass} in an epoch in which it does not run`,
    fix: "read it only while the phase that it was declared with is true",
  })),
  notInNetwork: coded("NOT_IN_NETWORK", (plugin: string, name: string, network: string) => ({
    message: `plugin "${plugin}" reads "${name}" in the network "${network}", which has no copy of it`,
    fix: "read it in the student, or declare it with `ema: true` (buffers: `perNetwork: true`)",
  })),
  notBuffer: coded("NOT_BUFFER", (plugin: string, name: string) => ({
    message: `plugin "${plugin}" writes "${name}", whose values the optimizer sets`,
    fix: "declare it with setup's `buffer`, or leave it to the optimizer",
  })),
  noPasses: coded("NO_PASSES", () => ({
    message: "no plugin asks for a pass of the backbone: there is nothing to train",
    fix: "enable a plugin with a loss, such as dino",
  })),
  noLoss: coded("NO_LOSS", () => ({
    message: "no plugin adds a loss term: there is nothing to train",
    fix: "enable a plugin with a loss, such as dino",
  })),
  lossDuplicate: coded("LOSS_DUPLICATE", (plugin: string, term: string) => ({
    message: `plugin "${plugin}" adds the loss term "${term}" a second time`,
    fix: "give each term its own name",
  })),
  notTensor: coded("NOT_TENSOR", (plugin: string, scope: string, what: string, got: string) => ({
    message: `plugin "${plugin}" gives ${what} in ${scope} ${got} where a tensor belongs`,
    fix: "return the tensor from the function that computes it; a number that never changes is tf.scalar(x), one that does a schedule",
  })),
  lossWeight: coded("LOSS_WEIGHT", (plugin: string, term: string, got: string) => ({
    message: `plugin "${plugin}" adds the loss term "${term}" with the weight ${got}`,
    fix: "give losses.add a name, then a finite number or a schedule, then the value",
  })),
  lossNotScalar: coded("LOSS_NOT_SCALAR", (plugin: string, term: string, shape: readonly number[]) => ({
    message: `plugin "${plugin}" adds the loss term "${term}" of shape [${shape.join(", ")}]`,
    fix: "reduce it to a scalar with tf.mean or tf.sum",
  })),
  relationMissing: coded(
    "RELATION_MISSING",
    (plugin: string, relation: string, network: string, known: readonly string[]) => ({
      message: `plugin "${plugin}" compares the relation "${relation}", which no pass of the ${network} has; ${known.length > 0 ? `there is ${known.join(", ")}` : "nobody adds any"}`,
      fix: `add it in the relation hook, for teacher and student, or enable the plugin that adds "${relation}"`,
    }),
  ),
  relationShape: coded("RELATION_SHAPE", (plugin: string, relation: string, got: string, want: string) => ({
    message: `plugin "${plugin}" adds the relation "${relation}" of shape ${got}, where ${want} is wanted`,
    fix: "addBilinear takes features [B, N, D], D divisible by the heads; add takes [B, …, rows, columns]",
  })),
  // --- assembling a run ----------------------------------------------------------------------------------
  noViews: coded("NO_VIEWS", () => ({
    message: "no plugin makes views of the images",
    fix: "add multi-crop to the plugins",
  })),
  resumeDiffers: coded(
    "RESUME_DIFFERS",
    (differences: readonly { readonly key: string; readonly before: unknown; readonly now: unknown }[]) => {
      const shown = (value: unknown) => (value === undefined ? "nothing" : JSON.stringify(value));
      const told = differences.map(
        ({ key, before, now }) => `${key} was ${shown(before)}, now ${shown(now)}`,
      );
      return {
        message: `the run would not go on as it was: ${told.slice(0, 5).join("; ")}${told.length > 5 ? `; and ${told.length - 5} more` : ""}`,
        fix: "leave them as they were, start a new run, or resume with --force",
      };
    },
  ),
  bestUnknown: coded("BEST_UNKNOWN", (figure: string, known: readonly string[]) => ({
    message: `checkpoint.best is "${figure}", which no evaluation of this run gives`,
    fix: known.length > 0 ? `use one of: ${known.join(", ")}` : "leave it out: the run has no evaluation",
  })),
  // --- training and checkpoints --------------------------------------------------------------------------
  notFinite: coded(
    "NOT_FINITE",
    (
      step: number,
      terms: readonly string[],
      origin: { op: string; scope: string; gradientOf?: string } | undefined,
      fix: string = "lower train.lr, raise the temperatures, or use fp32, then resume",
      saved?: { file: string; command: string },
    ) => ({
      message:
        `step ${step} is not finite (${terms.length > 0 ? terms.join(", ") : "gradients"})` +
        (origin ? `; the first such value is the result of ${origin.op} in ${origin.scope}` : "") +
        (origin?.gradientOf === undefined ? "" : `, in the gradient of ${origin.gradientOf}`) +
        (saved
          ? `; the state before it is kept, and its batch in ${saved.file}`
          : "; the state before it is kept"),
      fix: saved ? `${fix}; \`${saved.command}\` runs the step again` : fix,
    }),
  ),
  replayDamaged: coded("REPLAY_DAMAGED", (path: string, cause: unknown) => ({
    message: `the saved batch ${path} is damaged: ${cause instanceof Error ? cause.message : String(cause)}`,
    fix: "delete it, and let the run go on to the step again with --resume",
  })),
  replayMissing: coded("REPLAY_MISSING", (folder: string, step: number, known: readonly number[]) => ({
    message:
      `there is no saved batch of step ${step} in ${folder}` +
      (known.length > 0 ? `; there are those of ${known.join(", ")}` : ""),
    fix: "leave out --step for the latest one, or for the step that comes next",
  })),
  replayState: coded("REPLAY_STATE", (saved: number, checkpoint: number) => ({
    message: `the saved batch is of step ${saved}, and the newest checkpoint up to there of step ${checkpoint}`,
    fix: "look at a failing step before the run goes on past its checkpoint; without that, resume the run",
  })),
  replayMismatch: coded("REPLAY_MISMATCH", (what: string) => ({
    message: `the saved batch does not fit this config: ${what}`,
    fix: "replay with the batch sizes, views and plugins of the run; learning rate, temperatures and weights may differ",
  })),
  checkpointWrite: coded("CHECKPOINT_WRITE", (path: string, cause: unknown) => ({
    message: `the checkpoint ${path} could not be written: ${cause instanceof Error ? cause.message : String(cause)}`,
    fix: "make the run folder writable and free some space; earlier checkpoints are untouched",
  })),
  checkpointDamaged: coded("CHECKPOINT_DAMAGED", (path: string, cause: unknown) => ({
    message: `the checkpoint ${path} is damaged: ${cause instanceof Error ? cause.message : String(cause)}`,
    fix: "resume from an earlier checkpoint of the run; delete this one",
  })),
  checkpointRead: coded("CHECKPOINT_READ", (path: string, cause: unknown) => ({
    message: `the checkpoint ${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`,
    fix: "give this user the right to read it, or see to the disk; it may be whole, so no older one is taken",
  })),
  checkpointMissing: coded("CHECKPOINT_MISSING", (folder: string) => ({
    message: `there is no whole checkpoint in ${folder}`,
    fix: "name a run folder that has one, or train without --resume",
  })),
  checkpointBest: coded("CHECKPOINT_BEST", (folder: string) => ({
    message: `no checkpoint in ${folder} is marked as the best`,
    fix: "name one by its step, or train with checkpoint.best",
  })),
  checkpointMismatch: coded(
    "CHECKPOINT_MISMATCH",
    (missing: readonly string[], unexpected: readonly string[], reshaped: readonly string[]) => {
      const list = (names: readonly string[]) =>
        names.slice(0, 3).join(", ") + (names.length > 3 ? ` and ${names.length - 3} more` : "");
      const parts = [
        reshaped.length > 0 ? `of another shape: ${list(reshaped)}` : "",
        missing.length > 0 ? `missing: ${list(missing)}` : "",
        unexpected.length > 0 ? `not in this model: ${list(unexpected)}` : "",
      ].filter((part) => part !== "");
      return {
        message: `the checkpoint is of another model: ${parts.join("; ")}`,
        fix: "resume with the backbone and plugins that the checkpoint was trained with",
      };
    },
  ),
  checkpointStep: coded("CHECKPOINT_STEP", (folder: string, step: number, known: readonly number[]) => ({
    message: `there is no whole checkpoint of step ${step} in ${folder}; there ${known.length > 0 ? `is ${known.join(", ")}` : "is none"}`,
    fix: "give one of these steps, the path of a checkpoint, or leave --checkpoint out for the newest",
  })),
  checkpointNetwork: coded("CHECKPOINT_NETWORK", (network: string, known: readonly string[]) => ({
    message: `the checkpoint has no backbone of a network "${network}"`,
    fix: known.length > 0 ? `use one of: ${known.join(", ")}` : "name a checkpoint of a run",
  })),
  // --- weights out -----------------------------------------------------------------------------------------
  exportBackbone: coded("EXPORT_BACKBONE", (differing: readonly string[], unexpected: readonly string[]) => {
    const list = (names: readonly string[]) =>
      names.slice(0, 3).join(", ") + (names.length > 3 ? ` and ${names.length - 3} more` : "");
    const parts = [
      differing.length > 0 ? `missing or of another shape: ${list(differing)}` : "",
      unexpected.length > 0 ? `not of that transformer: ${list(unexpected)}` : "",
    ].filter((part) => part !== "");
    return {
      message: `the backbone is neither the vision transformer that the run's config describes nor a ConvNeXt of four stages, and has no name in timm: ${parts.join("; ")}`,
      fix: "take its weights from the run's checkpoints, which are safetensors files by relata's own names",
    };
  }),
  outputFormat: coded("OUTPUT_FORMAT", (path: string, known: readonly string[]) => ({
    message: `${path} is no file of features: its name does not end in ${known.join(", ")}`,
    fix: `name a file that does: --out features${known[0]}`,
  })),
  outputExists: coded("OUTPUT_EXISTS", (path: string) => ({
    message: `there is something at ${path} already`,
    fix: "name another place with --out, or remove it",
  })),
  outputWrite: coded("OUTPUT_WRITE", (path: string, cause: unknown) => ({
    message: `${path} could not be written: ${cause instanceof Error ? cause.message : String(cause)}`,
    fix: "free some space, or name a place that you may write to with --out",
  })),
  // --- files of weights ----------------------------------------------------------------------------------
  weightsMissing: coded("WEIGHTS_MISSING", (path: string, problem: string, files: readonly string[]) => ({
    message: `${problem} at ${path}${files.length > 0 ? `: ${files.join(", ")}` : ""}`,
    fix: "name a .safetensors or .pth file, a folder with one, or a run",
  })),
  weightsFormat: coded("WEIGHTS_FORMAT", (path: string, problem: string, fix: string) => ({
    message: `${path} ${problem}`,
    fix,
  })),
  weightsDamaged: coded("WEIGHTS_DAMAGED", (path: string, cause: unknown) => ({
    message: `the weights ${path} are damaged: ${cause instanceof Error ? cause.message : String(cause)}`,
    fix: "copy or download the file again",
  })),
  weightsMismatch: coded("WEIGHTS_MISMATCH", (path: string, problem: string, fix: string) => ({
    message: `the weights ${path} do not fit the backbone: ${problem}`,
    fix,
  })),
  // --- engine --------------------------------------------------------------------------------------------
  libraryNotLoaded: coded("LIBRARY_NOT_LOADED", (file: string, cause: unknown) => ({
    message: `libtensorflow could not be loaded from ${file}: ${cause instanceof Error ? cause.message : String(cause)}`,
    fix: "run `relata setup` to install the version that relata is tested with",
  })),
  cudaLibrary: coded("CUDA_LIBRARY", (library: string, cause: unknown) => ({
    message: `${library}, which TensorFlow needs to use a GPU, could not be loaded: ${cause instanceof Error ? cause.message : String(cause)}`,
    fix: "run `relata setup --gpu`, which brings CUDA's libraries, and unset RELATA_TENSORFLOW; or put your own CUDA 12 on LD_LIBRARY_PATH; or set train.device to cpu",
  })),
  valueReadWhileTracing: coded("VALUE_READ_WHILE_TRACING", (plugin: string, scope: string) => ({
    message: `plugin "${plugin}" reads a tensor's value in ${scope} while the step is being captured`,
    fix: "compute with tensors only (no dataSync, data or arraySync); log a value with losses.metric",
  })),
  undeclaredConstant: coded(
    "UNDECLARED_CONSTANT",
    (plugin: string, scope: string, shape: readonly number[], bytes: number) => ({
      message: `plugin "${plugin}" makes a constant [${shape.join(", ")}] of ${bytes} bytes from JavaScript values in ${scope}`,
      fix: "random or changing values belong in setup's `input` or `schedule`; wrap a real constant in `constant(…)`",
    }),
  ),
  statefulOp: coded("STATEFUL_OP", (plugin: string, scope: string, op: string) => ({
    message: `plugin "${plugin}" uses the stateful op ${op} in ${scope}: a resumed run could not repeat it`,
    fix: "draw random values in setup's `input`, from the random stream it is given",
  })),
  frozenValue: coded("FROZEN_VALUE", (plugin: string, scope: string, op: string, detail: string) => ({
    message: `plugin "${plugin}" builds a different graph each time it is traced (${op} in ${scope}: ${detail})`,
    fix: "a random draw, a time or a count is frozen by capture: declare in setup what changes by step, as `schedule`, `input` or `phase`, and read it with `value` or `phase` of what the hook gets: `step.value(handle)`, or `{ value }` taken out of it",
  })),
  dynamicShape: coded("DYNAMIC_SHAPE", (plugin: string, scope: string, op: string) => ({
    message: `plugin "${plugin}" uses ${op} in ${scope}, whose result's shape depends on values`,
    fix: "use an op with a static shape; mask with weights instead of selecting",
  })),
  opRefused: coded(
    "OP_REFUSED",
    (
      plugin: string,
      scope: string,
      op: string,
      operands: readonly string[],
      problem: string,
      fix: string,
    ) => ({
      message:
        `plugin "${plugin}" gives ${op} in ${scope} what it does not take: ${problem}` +
        (operands.length > 0 ? ` (it was given ${operands.join(", ")})` : ""),
      fix,
    }),
  ),
  opFailed: coded("OP_FAILED", (plugin: string, scope: string, op: string, problem: string, fix: string) => ({
    message: `${op} of plugin "${plugin}" in ${scope} failed in the step: ${problem}`,
    fix,
  })),
  foreignTensor: coded("FOREIGN_TENSOR", (plugin: string, scope: string, op: string) => ({
    message: `plugin "${plugin}" gives ${op} in ${scope} a tensor from outside of this capture`,
    fix: "make tensors in the hook that uses them: keep state in `buffer`, and share within a step through `once`",
  })),
  fusedLeak: coded("FUSED_LEAK", (plugin: string, scope: string, op: string) => ({
    message: `plugin "${plugin}" gives ${op} in ${scope} a tensor that was made inside \`fused\` and not returned by it`,
    fix: "return from `fused` every tensor that is used outside of it, saved ones too; what is learned needs `withGradient` around it, and `once` belongs outside",
  })),
  // --- evaluation and reports ----------------------------------------------------------------------------
  evalInvalid: coded("EVAL_INVALID", (protocol: string, problem: string, fix: string) => ({
    message: `${protocol}: ${problem}`,
    fix,
  })),
  splitLabels: coded("SPLIT_LABELS", (dataset: string) => ({
    message: `data.split is "train", and the images of ${dataset} have no labels to be split by`,
    fix: "put the images of each class into a folder of its own, or leave data.split out",
  })),
  evalUnlabelled: coded("EVAL_UNLABELLED", (protocols: readonly string[], dataset: string) => ({
    message: `${protocols.join(", ")}: the images of ${dataset} have no classes`,
    fix: "put the images of each class into a folder of its own, name such a folder with --data, or evaluate by knn",
  })),
  splitClasses: coded("SPLIT_CLASSES", (path: string, problem: string) => ({
    message: `evaluation.test: ${path}: ${problem}`,
    fix: "give the test images the class folders of the training images, or leave evaluation.test out to test on a share of each class",
  })),
  splitOverlap: coded("SPLIT_OVERLAP", (path: string, images: number) => ({
    message: `evaluation.test: ${images} images of ${path} are training images too`,
    fix: "move the test images out of the folder that is trained on",
  })),
  metricsOrder: coded("METRICS_ORDER", (file: string, step: number, last: number) => ({
    message: `step ${step} is logged after step ${last} in ${file}`,
    fix: "log in the order of the steps; to go back, open the log with the step that is resumed from",
  })),
  metricsCorrupt: coded("METRICS_CORRUPT", (file: string, line: number) => ({
    message: `line ${line} of ${file} is not a JSON object with a "step"`,
    fix: "delete that line; only an unfinished last line is put right by itself",
  })),
  imageInvalid: coded("IMAGE_INVALID", (what: string, problem: string) => ({
    message: `${what}: ${problem}`,
    fix: "give 8-bit RGB pixels, height * width * 3 bytes in row-major order",
  })),
  // --- devices, variables and programs ----------------------------------------------------------------
  gpuUnavailable: coded("GPU_UNAVAILABLE", (devices: readonly string[]) => ({
    message: `device "gpu" was asked for, but TensorFlow sees only: ${devices.join(", ")}`,
    fix: "run `relata doctor`; install the CUDA libraries with `relata setup --gpu`, or set train.device to cpu",
  })),
  gpuDriverMissing: coded("GPU_DRIVER_MISSING", () => ({
    message: 'device "gpu" was asked for, but this machine has no NVIDIA driver',
    fix: "install NVIDIA's driver (in a container, start it with the GPUs), or set train.device to cpu",
  })),
  eagerPrecision: coded("EAGER_PRECISION", (precision: string) => ({
    message: `the eager engine computes in fp32, not ${precision}`,
    fix: "set train.precision to fp32, or train.engine to graph",
  })),
  variableDeclaredTwice: coded("VARIABLE_DECLARED_TWICE", (name: string) => ({
    message: `the variable "${name}" is declared twice`,
    fix: "give one of them another name, or share it as a head",
  })),
  variableUnknown: coded("VARIABLE_UNKNOWN", (name: string) => ({
    message: `the variable "${name}" has no value in this engine`,
    fix: "declare it in setup and load its value before the first run",
  })),
  assignShape: coded("ASSIGN_SHAPE", (name: string, want: readonly number[], got: readonly number[]) => ({
    message: `"${name}" has shape [${want.join(", ")}] but is assigned [${got.join(", ")}]`,
    fix: "reshape the value before writing it",
  })),
  variableValues: coded("VARIABLE_VALUES", (name: string, want: number, got: number) => ({
    message: `"${name}" holds ${want} values but is loaded with ${got}`,
    fix: "give as many values as its shape holds",
  })),
  opMissing: coded("OP_MISSING", (plugin: string, scope: string, kernel: string) => ({
    message: `plugin "${plugin}" uses ${kernel} in ${scope}, which has no kernel for TensorFlow`,
    fix: "docs/ops.md lists the ops there are, and what to use instead of this one",
  })),
  noGradient: coded("NO_GRADIENT", (plugin: string, scope: string, kernel: string) => ({
    message: `the loss depends on the weights through ${kernel} of plugin "${plugin}" in ${scope}, which has no gradient`,
    fix: "wrap its input in stopGradient, or use an op with a gradient: docs/ops.md lists them",
  })),
  programFeed: coded(
    "PROGRAM_FEED",
    (program: string, input: string, want: string, got: string | undefined) => ({
      message: `program "${program}" needs values for "${input}", ${want}, got ${got ?? "none"}`,
      fix: `return ${want} from the sampler of "${input}"`,
    }),
  ),
  // --- libtensorflow: finding and installing --------------------------------------------------------------
  libraryPath: coded("LIBRARY_PATH", (source: string, directory: string, names: string) => ({
    message: `${source} names ${directory}, which does not hold libtensorflow (${names})`,
    fix: "give the folder that holds both files, or leave it out: relata then finds or installs the library itself",
  })),
  cpuBuild: coded("CPU_BUILD", (source: string, directory: string) => ({
    message: `${source} names ${directory}, which holds the build of libtensorflow for CPUs: it cannot use a GPU`,
    fix: "leave it out and run `relata setup --gpu`, or set train.device to cpu",
  })),
  platformUnsupported: coded(
    "PLATFORM_UNSUPPORTED",
    (platform: string, gpu: boolean, known: readonly string[]) => ({
      message: `there is no ${gpu ? "GPU build of libtensorflow" : "libtensorflow"} to install for ${platform}, only for ${known.join(", ")}`,
      fix: gpu
        ? "set train.device to cpu, or run on Linux x64 with an NVIDIA GPU"
        : "point RELATA_TENSORFLOW to a folder with libtensorflow, or set train.engine to eager and train.backend to cpu",
    }),
  ),
  pipMissing: coded("PIP_MISSING", () => ({
    message: "neither pip (20.3 or newer) nor uv was found, with which relata downloads libtensorflow",
    fix: "install Python's pip or uv; or give a TensorFlow wheel: `relata setup --wheel FILE`; or set train.engine to eager and train.backend to cpu",
  })),
  downloadFailed: coded("DOWNLOAD_FAILED", (what: string, pip: string, lastLines: string) => ({
    message: `${pip} could not download ${what}:\n  ${lastLines || "it said nothing"}`,
    fix: "check the network and pip's configuration; or download the wheel elsewhere and run `relata setup --wheel FILE`",
  })),
  wheelInvalid: coded("WHEEL_INVALID", (file: string, problem: string) => ({
    message: `${file} ${problem}`,
    fix: "download it again, or leave out --wheel: relata then downloads the right one",
  })),
  wheelChecksum: coded("WHEEL_CHECKSUM", (file: string, want: string, got: string) => ({
    message: `${file} has the SHA-256 ${got}, but the published wheel has ${want}`,
    fix: "it is damaged or not the original: download it again",
  })),
  diskFull: coded("DISK_FULL", (directory: string, needBytes?: number, freeBytes?: number) => ({
    message:
      needBytes === undefined || freeBytes === undefined
        ? `the disk of ${directory} is full`
        : `${directory} needs ${(needBytes / 1e9).toFixed(1)} GB, but its disk has ${(freeBytes / 1e9).toFixed(1)} GB left`,
    fix: "free some space, or choose another disk for the cache with RELATA_CACHE",
  })),
  cacheNotWritable: coded("CACHE_NOT_WRITABLE", (directory: string, cause: unknown) => ({
    message: `the cache ${directory} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`,
    fix: "choose another folder with RELATA_CACHE",
  })),
  // --- data ----------------------------------------------------------------------------------------------
  datasetMissing: coded("DATASET_MISSING", (path: string) => ({
    message: `there is no image folder at ${path}`,
    fix: "set data.path to an existing folder",
  })),
  datasetNotFolder: coded("DATASET_NOT_FOLDER", (path: string) => ({
    message: `${path} is not a folder`,
    fix: "set data.path to the folder that holds the images, or data.dataset to webdataset for .tar files and to parquet for .parquet files",
  })),
  datasetShardsMissing: coded("DATASET_SHARDS_MISSING", (path: string, extension: string) => ({
    message: `there is no ${extension} file at ${path}`,
    fix: `set data.path to a folder of ${extension} files, one file, a pattern such as train-{000..009}${extension} or train-*${extension}, or a list`,
  })),
  datasetShard: coded("DATASET_SHARD", (path: string, problem: string, fix: string) => ({
    message: `${path}: ${problem}`,
    fix,
  })),
  datasetUnreadable: coded("DATASET_UNREADABLE", (path: string) => ({
    message: `the folder ${path} cannot be listed`,
    fix: "give this user the right to read it",
  })),
  datasetEmpty: coded("DATASET_EMPTY", (path: string, extensions: readonly string[]) => ({
    message: `no image lies in ${path} or below`,
    fix: `put images there whose names end in ${extensions.join(", ")}`,
  })),
  datasetLimit: coded("DATASET_LIMIT", (limit: number, least: number) => ({
    message: `data.limit is ${limit}`,
    fix: `use a whole number from ${least}, or leave it out to use all images`,
  })),
  datasetIndex: coded("DATASET_INDEX", (dataset: string, index: number, size: number) => ({
    message: `the dataset "${dataset}" has no item ${index}`,
    fix: `use a whole number from 0 to ${size - 1}`,
  })),
  emojiMissing: coded("EMOJI_MISSING", (packages: readonly string[]) => ({
    message: `the dataset "emoji" is in the packages ${packages.join(" and ")}, which are not both installed`,
    fix: `npm i -D ${packages.map((name) => `${name}@16`).join(" ")}`,
  })),
  imageUnreadable: coded("IMAGE_UNREADABLE", (path: string, reason: string) => ({
    message: `${path} cannot be read as an image: ${reason}`,
    fix: "remove the file or replace it by an intact copy",
  })),
  imageMemory: coded("IMAGE_MEMORY", ({ width, height }: Size, bytes: number) => ({
    message: `an image of ${width} x ${height} pixels needs ${(bytes / 1e9).toFixed(2)} GB to be resized, and there is no such room`,
    fix: "make the image smaller, or take away other work from the machine's memory",
  })),
  masksFolder: coded("MASKS_FOLDER", (folder: string, cause: unknown) => ({
    message: `evaluation.dense.masks: there are no masks in ${folder}: ${cause instanceof Error ? cause.message : String(cause)}`,
    fix: "set evaluation.dense.masks to the folder of the mask files, to alpha, or evaluation.dense to false",
  })),
  masksMissing: coded("MASKS_MISSING", (source: string, masked: number, images: number) => ({
    message: `${masked} of ${images} images have a mask (${source}); dense evaluation takes two, to fit to and to test on`,
    fix: "name each mask file as its image, sub-folders included (cats/7.png for cats/7.jpg), or set evaluation.dense to false",
  })),
  maskSize: coded("MASK_SIZE", (file: string, mask: Size, image: Size) => ({
    message: `the mask ${file} has ${mask.width} x ${mask.height} pixels, its image ${image.width} x ${image.height}`,
    fix: "make the mask as large as its image, upright by the image's orientation tag",
  })),
  masksUniform: coded("MASKS_UNIFORM", (source: string, everything: "foreground" | "background") => ({
    message: `dense evaluation: every pixel is ${everything} (${source})`,
    fix: "mark the foreground with 255 and the rest with 0 (128 and more count as foreground), or set evaluation.dense to false",
  })),
  allImagesCorrupt: coded("ALL_IMAGES_CORRUPT", (dataset: string, tries: number, reason: string) => ({
    message: `an image of "${dataset}" and the ${tries} drawn in its place are all corrupt; the first: ${reason}`,
    fix: "check that the files are intact and can be read; copy or download them again",
  })),
  imagesUnreachable: coded("IMAGES_UNREACHABLE", (dataset: string, tries: number, reason: string) => ({
    message: `the disk does not give an image of "${dataset}", nor the ${tries} drawn in its place; the first: ${reason}`,
    fix: "check the disk or network that data.path is on, then resume the run",
  })),
  imagesUnreadable: coded(
    "IMAGES_UNREADABLE",
    (dataset: string, unreadable: number, samples: number, most: number, reason: string) => ({
      message:
        `${unreadable} of the last ${samples} samples of "${dataset}" could not be read, more than ${100 * most} %; ` +
        `the last: ${reason}`,
      fix: "mend the images or the disk and resume the run; where the images are known to be so, raise data.maxUnreadable",
    }),
  ),
  batchTooLarge: coded("BATCH_TOO_LARGE", (batchSize: number, dataset: string, size: number) => ({
    message: `a batch of ${batchSize} samples is more than the ${size} images of "${dataset}"`,
    fix: `set train.batchSize to at most ${size}, or add images`,
  })),
  viewGroupInvalid: coded("VIEW_GROUP_INVALID", (group: string, problem: string, fix: string) => ({
    message: `view group "${group}": ${problem}`,
    fix,
  })),
  dataWorkerDied: coded("DATA_WORKER_DIED", (worker: string, reason: string) => ({
    message: `data worker ${worker} has died: ${reason}; so did those that took its place`,
    fix: "resume the run; if it happens again, set data.workers lower (memory) or to 0 to see it in this thread",
  })),
  pipelineClosed: coded("PIPELINE_CLOSED", () => ({
    message: "the data pipeline was closed before the batch was made",
    fix: "close it after the last step",
  })),
  // --- run folders and the command line ------------------------------------------------------------------
  runFolderExists: coded("RUN_FOLDER_EXISTS", (folder: string) => ({
    message: `the run folder ${folder} exists and is not empty`,
    fix: "name another folder with --out, or go on with that run: --resume",
  })),
  runFolderNotWritable: coded("RUN_FOLDER_NOT_WRITABLE", (folder: string, cause: unknown) => ({
    message: `the run folder ${folder} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`,
    fix: "name a folder that you may write to with --out",
  })),
  runDiskFull: coded("RUN_DISK_FULL", (folder: string, needBytes?: number, freeBytes?: number) => ({
    message:
      needBytes === undefined || freeBytes === undefined
        ? `the disk of ${folder} is full, or a file there is as large as files may be`
        : `the run needs about ${(needBytes / 1e9).toFixed(2)} GB in ${folder}, whose disk has ${(freeBytes / 1e9).toFixed(2)} GB left`,
    fix: "free some space, or name a folder on another disk with --out",
  })),
  runMissing: coded("RUN_MISSING", (folder: string, known: readonly string[]) => ({
    message: `there is no run in ${folder}${known.length > 0 ? `; there are ${known.join(", ")}` : ""}`,
    fix: "name the folder of a run; `relata runs` lists them",
  })),
  runBusy: coded("RUN_BUSY", (folder: string, writer?: { readonly pid: number; readonly host: string }) => ({
    message: `the run ${folder} is going on${writer ? `, in process ${writer.pid} on ${writer.host}` : ""}`,
    fix: "wait for it or stop it, or give this one another folder",
  })),
  runFileDamaged: coded("RUN_FILE_DAMAGED", (file: string, cause: unknown) => ({
    message: `${file} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`,
    fix: "correct the file, or start a new run",
  })),
  usage: coded("USAGE", (message: string, fix: string) => ({ message, fix })),
  // --- the trainer ---------------------------------------------------------------------------------------
  datasetUnknown: coded("DATASET_UNKNOWN", (name: string) => ({
    message: `no plugin gives the dataset "${name}"`,
    fix: "set data.dataset to image-folder, webdataset, parquet or emoji, or enable a plugin that binds DATASET",
  })),
  relationComparison: coded(
    "RELATION_COMPARISON",
    (plugin: string, relation: string, matrices: number, shape: readonly number[]) => ({
      message: `plugin "${plugin}" compares ${matrices} matrices of the relation "${relation}" and returns [${shape.join(", ")}]`,
      fix: `return one loss for each matrix or for each of their rows; a scalar, their mean, only where disjoint is "count"`,
    }),
  ),
  noViewPairs: coded("NO_VIEW_PAIRS", (plugin: string, group: string) => ({
    message: `plugin "${plugin}" compares different views of an image, but there is only one of "${group}"`,
    fix: `make a second view of "${group}" with multi-crop's globalCrops.count, or, for a plugin that compares all views, local ones with localCrops.count`,
  })),
  probeTeaches: coded("PROBE_TEACHES", (plugin: string, weight: string, owner: string) => ({
    message: `the probe of plugin "${plugin}" has a gradient to "${weight}", a weight of ${owner}`,
    fix: "let it read the outputs of the context that addProbe hands over, and weights of its own",
  })),
  batchTooSmall: coded("BATCH_TOO_SMALL", (plugin: string, samples: number, why: string) => ({
    message: `plugin "${plugin}" ${why}, and a step has ${samples} at a time`,
    fix: "set train.batchSize, and train.microBatch where it is smaller, to 2 or more",
  })),
  lossUnreached: coded("LOSS_UNREACHED", (terms: readonly string[]) => ({
    message: `no weight has a part in the loss (${terms.join(", ")}): there is nothing to train`,
    fix: "compute it from a student's pass, and not from tensors whose gradient is stopped",
  })),
  copyInterval: coded(
    "COPY_INTERVAL",
    (plugin: string, network: string, copyEvery: number, fromStep: number) => ({
      message: `plugin "${plugin}" wants the network "${network}" copied every ${copyEvery} steps from step ${fromStep}`,
      fix: "give copyEvery a whole number of steps from 1, and fromStep one from 0",
    }),
  ),
  // --- services ------------------------------------------------------------------------------------------
  serviceNotBound: coded("SERVICE_NOT_BOUND", (service: string) => ({
    message: `no service is bound for ${service}`,
    fix: `bind ${service} in the container before it is used`,
  })),
} as const;
