/** What capturing a trace gives, and the program that runs it. */
import type { HostArray, NodeOutput, Pointer } from "./c-api.ts";
import type { Feeds, InputType, Program, Trace, Variable } from "./engine.ts";
import { checkedFeed } from "./feeds.ts";
import type { GraphBinding } from "./graph-binding.ts";
import type { NodeTiming } from "./protos.ts";
import { runFailure } from "./run-failure.ts";
import type { FeedSlot, PreparedRun, Session } from "./session.ts";
import type { TraceRecord } from "./trace-records.ts";
import { trimMemory } from "./trim-memory.ts";

/** How the results of fused functions are read: what one trace learns for the next. */
export type Demands = GraphBinding["demands"];

export class GraphProgram implements Program {
  readonly name: string;
  readonly session: Session;
  readonly trace: Trace;
  readonly captured: Captured;
  private readonly prepared: PreparedRun;
  private readonly ready: (variables: readonly Variable[]) => void;
  private optimised = false;

  /** `ready` throws where a variable has no value yet. */
  constructor(
    name: string,
    trace: Trace,
    captured: Captured,
    session: Session,
    ready: (variables: readonly Variable[]) => void,
  ) {
    this.name = name;
    this.session = session;
    this.trace = trace;
    this.ready = ready;
    this.captured = captured;
    this.prepared = session.prepare(
      captured.inputs,
      captured.outputs.map((o) => o.output),
      captured.targets,
    );
  }

  async run(feeds: Feeds): Promise<Record<string, HostArray>> {
    const values = this.valuesOf(feeds);
    try {
      const outputs = this.named(await this.prepared.run(values));
      // TensorFlow optimises and compiles in the first run.
      if (!this.optimised) trimMemory();
      this.optimised = true;
      return outputs;
    } catch (error) {
      throw runFailure(error);
    }
  }

  profile(feeds: Feeds): { outputs: Record<string, HostArray>; timings: NodeTiming[] } {
    const { outputs, timings } = this.prepared.profile(this.valuesOf(feeds));
    return { outputs: this.named(outputs), timings };
  }

  /** Throws RangeError for an output that it does not have. */
  part(names: readonly string[]): GraphProgram {
    const all = this.captured.outputs;
    const missing = names.find((name) => !all.some((output) => output.name === name));
    if (missing !== undefined) throw new RangeError(`the program ${this.name} has no output ${missing}`);
    const outputs = all.filter(({ name }) => names.includes(name));
    const captured = { ...this.captured, outputs, targets: [] };
    return new GraphProgram(`${this.name}.part`, this.trace, captured, this.session, this.ready);
  }

  private valuesOf(feeds: Feeds): HostArray[] {
    this.ready(this.captured.variables);
    return orderFeeds(this.name, this.captured.inputs, feeds);
  }

  private named(values: readonly HostArray[]): Record<string, HostArray> {
    return Object.fromEntries(this.captured.outputs.map(({ name }, i) => [name, values[i]!]));
  }
}

export type Inputs = readonly (FeedSlot & { readonly name: string; readonly type: InputType })[];

export function orderFeeds(program: string, inputs: Inputs, feeds: Feeds): HostArray[] {
  return inputs.map(({ name, shape, type }) => checkedFeed(program, { name, shape, type }, feeds[name]));
}

export interface Captured {
  readonly records: readonly TraceRecord[];
  readonly inputs: Inputs;
  readonly variables: readonly Variable[];
  readonly outputs: readonly { readonly name: string; readonly output: NodeOutput }[];
  readonly targets: readonly Pointer[];
  readonly demands: Demands;
}
