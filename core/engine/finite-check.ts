/** Nodes that tell whether all that another gives is finite. */
import { attr } from "./binding.ts";
import { DataType, type NodeOutput } from "./c-api.ts";
import type { Graph } from "./graph.ts";

/** A traced node that gives floats, and where it comes from. */
export interface FloatNode {
  readonly name: string;
  readonly op: string;
  readonly scope: string;
  readonly gradientOf: string | undefined;
  readonly output: NodeOutput;
  readonly dtype: number;
}

/** A scalar: whether every element is finite. */
export function addFiniteCheck(graph: Graph, name: string, { output, dtype }: FloatNode): NodeOutput {
  const rank = graph.shapeOf(output)!.length;
  const every = Int32Array.from({ length: rank }, (_, i) => i);
  const axes = graph.constant(`${name}/axes`, DataType.INT32, [rank], every);
  const finite = graph.node({
    op: "IsFinite",
    name: `${name}/elements`,
    inputs: [output],
    attributes: [attr.type("T", dtype)],
  });
  return graph.node({
    op: "All",
    name,
    inputs: [finite, axes],
    attributes: [attr.bool("keep_dims", false), attr.type("Tidx", DataType.INT32)],
  });
}
