/** The nodes that hold a variable: its handle, reading it, and giving it a value. */
import { attr } from "./binding.ts";
import { DataType, type NodeOutput, type Pointer } from "./c-api.ts";
import type { Variable } from "./engine.ts";
import { inNodeName, type Graph } from "./graph.ts";
import type { FeedSlot } from "./session.ts";

/** A variable's nodes in the graph. */
export interface GraphVariable extends Variable {
  readonly handle: NodeOutput;
  readonly read: NodeOutput;
  readonly initial: FeedSlot;
  readonly initialize: Pointer;
}

/** `index` tells variables apart whose names differ only in what a node's name may not have. */
export function addVariable(
  graph: Graph,
  name: string,
  shape: readonly number[],
  index: number,
): GraphVariable {
  const float = attr.type("dtype", DataType.FLOAT);
  const node = `variables/${index}/${inNodeName(name)}`;
  const handle = graph.node({
    op: "VarHandleOp",
    name: node,
    attributes: [float, attr.shape("shape", shape), attr.string("shared_name", node)],
  });
  const initial = graph.node({
    op: "Placeholder",
    name: `${node}/initial`,
    attributes: [float, attr.shape("shape", shape)],
  });
  const initialize = graph.add({
    op: "AssignVariableOp",
    name: `${node}/initialize`,
    inputs: [handle, initial],
    attributes: [float],
  });
  const read = graph.node({
    op: "ReadVariableOp",
    name: `${node}/read`,
    inputs: [handle],
    attributes: [float],
  });
  return {
    name,
    shape,
    size: shape.reduce((a, b) => a * b, 1),
    handle,
    read,
    initial: { output: initial, dtype: DataType.FLOAT, shape },
    initialize,
  };
}

/** Stand-ins for the variables in a throw-away graph. */
export function scratchVariables(graph: Graph): (variable: Variable) => GraphVariable {
  const made = new Map<string, GraphVariable>();
  return ({ name, shape }) => {
    let variable = made.get(name);
    if (!variable) made.set(name, (variable = addVariable(graph, name, shape, made.size)));
    return variable;
  };
}
