/** The engine that captures: one TF_Graph holds the variables and every program, one session runs them. */
import { errors } from "../errors.ts";
import { fusingWith, tensorsIn, type Fuser } from "../math/fused.ts";
import { withScope } from "../scopes.ts";
import { registerEagerBackend, tracing } from "./backends.ts";
import type { CApi, HostArray } from "./c-api.ts";
import type {
  Engine,
  EngineDescription,
  Feeds,
  Jit,
  NonFinite,
  Precision,
  Program,
  Trace,
  Variable,
} from "./engine.ts";
import { namingOps } from "./failed-ops.ts";
import { addFiniteCheck, type FloatNode } from "./finite-check.ts";
import { GraphBinding } from "./graph-binding.ts";
import { GraphProgram, orderFeeds, type Captured, type Demands, type Inputs } from "./graph-program.ts";
import { GraphTracer } from "./graph-tracer.ts";
import { addVariable, scratchVariables, type GraphVariable } from "./graph-variables.ts";
import { Graph } from "./graph.ts";
import { encodeConfig, type ConfigProto, type NodeTiming } from "./protos.ts";
import { Session, type PreparedRun } from "./session.ts";
import { keepTapeScopes } from "./tape-scopes.ts";
import { compareTraces } from "./trace-records.ts";
import { trimMemory } from "./trim-memory.ts";

export interface GraphEngineOptions {
  readonly api: CApi;
  readonly precision: Precision;
  readonly device: "cpu" | "gpu";
  readonly deviceProblem?: string;
  readonly jit: Jit;
  readonly jitProblem?: string;
  /** The elements from which on a piece of `fused`, or an update, is compiled. */
  readonly fuseFrom: number;
  readonly config: ConfigProto;
}

/** How much state one session call loads or saves at most. */
const TRANSFER_BYTES = 256 * 2 ** 20;

export class GraphEngine implements Engine {
  readonly description: EngineDescription;
  private readonly options: GraphEngineOptions;
  private readonly graph: Graph;
  private readonly session: Session;
  private readonly variables = new Map<string, GraphVariable>();
  private readonly loaded = new Set<string>();
  private readonly programNames = new Set<string>();
  private readonly checks = new Map<GraphProgram, FiniteCheck>();

  constructor(options: GraphEngineOptions) {
    const { api, device, precision, jit } = options;
    this.options = options;
    const config = encodeConfig(options.config);
    registerEagerBackend(api, encodeConfig({ ...options.config, device_count: { CPU: 1, GPU: 0 } }));
    this.graph = new Graph(api);
    this.session = new Session(this.graph, config);
    const devices = this.session.devices();
    const gpu = devices.find((d) => d.type === "GPU");
    if (device === "gpu" && !gpu) {
      this.close();
      throw errors.gpuUnavailable(devices.map((d) => d.name));
    }
    this.description = {
      kind: "graph",
      backend: "tensorflow",
      device: (gpu ?? devices.find((d) => d.type === "CPU"))?.name ?? "CPU",
      deviceProblem: options.deviceProblem,
      precision,
      jit,
      jitProblem: options.jitProblem,
      library: api.TF_Version() as string,
    };
  }

  variable(name: string, shape: readonly number[]): Variable {
    if (this.variables.has(name)) throw errors.variableDeclaredTwice(name);
    const variable = addVariable(this.graph, name, shape, this.variables.size);
    this.variables.set(name, variable);
    return variable;
  }

  async load(values: Iterable<readonly [Variable, Float32Array]>): Promise<void> {
    for (const group of inTransfers(values, ([variable]) => variable.size)) {
      const variables = group.map(([variable, value]) => {
        if (value.length !== variable.size)
          throw errors.variableValues(variable.name, variable.size, value.length);
        return this.own(variable);
      });
      await this.session
        .prepare(
          variables.map((v) => v.initial),
          [],
          variables.map((v) => v.initialize),
        )
        .run(group.map(([, value]) => value));
      for (const { name } of variables) this.loaded.add(name);
    }
    trimMemory();
  }

  async save(variables: readonly Variable[]): Promise<Float32Array[]> {
    this.ready(variables);
    const saved: Float32Array[] = [];
    for (const group of inTransfers(variables, (v) => v.size)) {
      const run = this.session.prepare(
        [],
        group.map((v) => this.own(v).read),
        [],
      );
      saved.push(...((await run.run([])) as Float32Array[]));
    }
    return saved;
  }

  // Tracing is synchronous; the signature leaves room for an engine that compiles in the background.
  // eslint-disable-next-line @typescript-eslint/require-await
  async program(name: string, trace: Trace): Promise<Program> {
    let unique = name;
    for (let n = 2; this.programNames.has(unique); n++) unique = `${name}-${n}`;
    this.programNames.add(unique);
    const rehearsed = this.rehearse(unique, trace);
    const captured = this.capture(this.graph, unique, trace, (v) => this.own(v), {
      learned: rehearsed.demands,
    });
    compareTraces(rehearsed.records, captured.records);
    return new GraphProgram(unique, trace, captured, this.session, this.ready);
  }

  verify(program: Program): void {
    const { name, trace, captured } = this.ownProgram(program);
    compareTraces(captured.records, this.rehearse(name, trace).records);
  }

  async firstNonFinite(program: Program, feeds: Feeds): Promise<NonFinite | undefined> {
    const own = this.ownProgram(program);
    this.ready(own.captured.variables);
    const { inputs, floats, run } = this.finiteCheck(own);
    const results = await run.run(orderFeeds(own.name, inputs, feeds));
    const first = floats[results.findIndex((finite) => finite[0] === 0)];
    return first && { op: first.op, scope: first.scope, gradientOf: first.gradientOf };
  }

  /** Names of what every run of a program gives. */
  outputs(program: Program): readonly string[] {
    return this.ownProgram(program).captured.outputs.map(({ name }) => name);
  }

  /** A program of some of another's outputs: what they do not need is not computed, nor is anything written. */
  part(program: Program, outputs: readonly string[]): Program {
    return this.ownProgram(program).part(outputs);
  }

  /** Runs a program with every node timed. */
  profile(program: Program, feeds: Feeds): { outputs: Record<string, HostArray>; timings: NodeTiming[] } {
    return this.ownProgram(program).profile(feeds);
  }

  get nodeCount(): number {
    return this.graph.nodeCount;
  }

  close(): void {
    this.session.close();
    this.graph.delete();
  }

  /** Captures into a graph that is thrown away. */
  private rehearse(name: string, trace: Trace): Captured {
    const scratch = new Graph(this.options.api);
    try {
      return this.capture(scratch, name, trace, scratchVariables(scratch));
    } finally {
      scratch.delete();
    }
  }

  /** With `floats` the program only looks: it writes nothing, compiles nothing, and notes every float there. */
  private capture(
    graph: Graph,
    name: string,
    trace: Trace,
    resolve: (v: Variable) => GraphVariable,
    { floats, learned }: { floats?: FloatNode[]; learned?: Demands } = {},
  ): Captured {
    const { precision, jit, fuseFrom } = this.options;
    const check = floats !== undefined;
    const fused = jit === "fused" && !check;
    const binding = new GraphBinding(graph, name, { precision, fuseFrom, learned, floats });
    return tracing(binding, (backend) => {
      const tracer = new GraphTracer(graph, binding, backend, resolve, {
        writes: !check,
        fuseFrom: fused ? fuseFrom : Infinity,
      });
      const fuse: Fuser = (piece, compute) =>
        binding.fuse(piece, compute, (value) => backend.getInputTensorIds(tensorsIn(value)));
      const traced = () => withScope("core", () => namingOps(() => keepTapeScopes(() => trace(tracer))));
      try {
        if (fused) fusingWith(fuse, traced);
        else traced();
        const { records, demands } = binding;
        return { ...tracer.finish(), records, demands };
      } finally {
        tracer.dispose();
      }
    });
  }

  /** A twin of the program that writes nothing and looks at every float; made once. */
  private finiteCheck(program: GraphProgram): FiniteCheck {
    let check = this.checks.get(program);
    if (!check) {
      const name = `${program.name}.check`;
      const floats: FloatNode[] = [];
      const { inputs } = this.capture(this.graph, name, program.trace, (v) => this.own(v), { floats });
      const finite = floats.map((node, i) => addFiniteCheck(this.graph, `${name}/finite_${i}`, node));
      check = { inputs, floats, run: this.session.prepare(inputs, finite, []) };
      this.checks.set(program, check);
    }
    return check;
  }

  private readonly ready = (variables: readonly Variable[]): void => {
    for (const { name } of variables) if (!this.loaded.has(name)) throw errors.variableUnknown(name);
  };

  private ownProgram(program: Program): GraphProgram {
    if (program instanceof GraphProgram && program.session === this.session) return program;
    throw new TypeError("the program belongs to another engine");
  }

  private own(variable: Variable): GraphVariable {
    const own = this.variables.get(variable.name);
    if (!own) throw errors.variableUnknown(variable.name);
    return own;
  }
}

interface FiniteCheck {
  readonly inputs: Inputs;
  readonly floats: readonly FloatNode[];
  readonly run: PreparedRun;
}

function* inTransfers<T>(items: Iterable<T>, size: (item: T) => number): Generator<T[]> {
  let group: T[] = [];
  let bytes = 0;
  for (const item of items) {
    group.push(item);
    bytes += 4 * size(item);
    if (bytes < TRANSFER_BYTES) continue;
    yield group;
    group = [];
    bytes = 0;
  }
  if (group.length > 0) yield group;
}
