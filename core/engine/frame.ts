/** Where traced nodes are added: the program's graph, or the body of a function that is called as one node. */
import { createHash } from "node:crypto";
import { attr } from "./binding.ts";
import type { HostArray, NodeOutput } from "./c-api.ts";
import type { Graph } from "./graph.ts";

/** On a call of a function: XLA compiles it. */
export const mustCompile = attr.bool("_XlaMustCompile", true);

export interface TracedTensor {
  readonly output: NodeOutput;
  readonly dtype: number;
  readonly shape: readonly number[];
  readonly frame: Frame;
  /** Values of a small constant, for rewrites that need them. */
  readonly constant?: HostArray;
  /** Of a fused function's result, and of what only moves its values. */
  readonly demand?: Demand;
}

/** How a float32 result is read: by matrix products, which want it in bf16, or as it is. */
export interface Demand {
  narrow: boolean;
  wide: boolean;
}

export class Frame {
  readonly graph: Graph;
  /** Small constants by value. */
  readonly constants = new Map<string, TracedTensor>();
  /** Casts by output and type. */
  readonly casts = new Map<string, TracedTensor>();

  constructor(graph: Graph) {
    this.graph = graph;
  }

  /** Hears of every node. */
  added(_op: string, _signature: string, _inputs: readonly NodeOutput[], _outputs: readonly NodeOutput[]) {}
}

/** The body of a function. Tensors of the program that it reads become its parameters. */
export class FunctionBody extends Frame {
  readonly parameters = new Map<string, { readonly outer: TracedTensor; readonly inner: TracedTensor }>();
  /** Elements of the largest tensor. */
  largest = 0;
  private readonly signature: string[] = [];
  private readonly labels = new Map<string, string>();

  override added(
    op: string,
    signature: string,
    inputs: readonly NodeOutput[],
    outputs: readonly NodeOutput[],
  ): void {
    const from = inputs.map((input) => this.label(input));
    const place = this.signature.length;
    for (const output of outputs) this.labels.set(outputKey(output), `${place}:${output.index}`);
    this.signature.push(`${op}|${signature}|${from.join()}`);
  }

  /** The same for bodies that compute the same. Throws Error for an output of another graph. */
  digest(outputs: readonly NodeOutput[]): string {
    const results = outputs.map((output) => this.label(output));
    return createHash("sha1")
      .update([...this.signature, results.join()].join("\n"))
      .digest("hex")
      .slice(0, 16);
  }

  private label(output: NodeOutput): string {
    const label = this.labels.get(outputKey(output));
    if (label === undefined) throw new Error(`the output ${outputKey(output)} is not of this function`);
    return label;
  }
}

export function outputKey({ oper, index }: NodeOutput): string {
  return `${oper}:${index}`;
}
