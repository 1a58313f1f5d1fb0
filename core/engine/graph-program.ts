/** What capturing a trace gives, and the program that runs it. */
import type { HostArray, NodeOutput, Pointer } from "./c-api.ts";
import type { Feeds, InputType, Program, Trace, Variable } from "./engine.ts";
import { checkedFeed } from "./feeds.ts";
import type { FloatNode } from "./finite-check.ts";
import type { GraphBinding } from "./graph-binding.ts";
import type { NodeTiming } from "./protos.ts";
import { runFailure } from "./run-failure.ts";
import type { FeedSlot, PreparedRun, Session } from "./session.ts";
import type { TraceRecord } from "./trace-records.ts";

/** How the results of fused functions are read: what one trace learns for the next. */
export type Demands = GraphBinding["demands"];

export class GraphProgram implements Program {
  readonly name: string;
  readonly session: Session;
  readonly trace: Trace;
  readonly captured: Captured;
  readonly inputs: Inputs;
  readonly variables: readonly Variable[];
  readonly outputs: readonly string[];
  private readonly prepared: PreparedRun;
  private readonly ready: (variables: readonly Variable[]) => void;

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
    this.variables = captured.variables;
    this.ready = ready;
    this.captured = captured;
    this.inputs = captured.inputs;
    this.outputs = captured.outputs.map((o) => o.name);
    this.prepared = session.prepare(
      captured.inputs,
      captured.outputs.map((o) => o.output),
      captured.targets,
    );
  }

  async run(feeds: Feeds): Promise<Record<string, HostArray>> {
    this.ready(this.variables);
    const ordered = orderFeeds(this.name, this.inputs, feeds);
    try {
      return this.named(await this.prepared.run(ordered));
    } catch (error) {
      throw runFailure(error);
    }
  }

  profile(feeds: Feeds): { outputs: Record<string, HostArray>; timings: NodeTiming[] } {
    this.ready(this.variables);
    const { outputs, timings } = this.prepared.profile(orderFeeds(this.name, this.inputs, feeds));
    return { outputs: this.named(outputs), timings };
  }

  /** Throws RangeError for an output that it does not have. */
  part(names: readonly string[]): GraphProgram {
    const missing = names.find((name) => !this.outputs.includes(name));
    if (missing !== undefined) throw new RangeError(`the program ${this.name} has no output ${missing}`);
    const outputs = this.captured.outputs.filter(({ name }) => names.includes(name));
    const captured = { ...this.captured, outputs, targets: [] };
    return new GraphProgram(`${this.name}.part`, this.trace, captured, this.session, this.ready);
  }

  private named(values: readonly HostArray[]): Record<string, HostArray> {
    return Object.fromEntries(this.outputs.map((name, i) => [name, values[i]!]));
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
  readonly floats: readonly FloatNode[];
  readonly demands: Demands;
}
