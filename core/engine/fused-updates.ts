/**
 * Updates of variables as functions that XLA compiles: each passes over memory once. It takes over a variable's buffer
 * and writes in place where nobody else holds the old value; otherwise the new value has a buffer of its own.
 */
import { attr } from "./binding.ts";
import { DataType, type NodeOutput } from "./c-api.ts";
import { Graph } from "./graph.ts";

const T = attr.type("T", DataType.FLOAT);
const float = attr.type("dtype", DataType.FLOAT);

/** The body of an update of variables of one shape, and what it is given: the variables, then tensors. */
class UpdateBody {
  readonly graph: Graph;
  readonly parameters: NodeOutput[] = [];
  private readonly shape: readonly number[];
  private nodes = 0;

  constructor(graph: Graph, shape: readonly number[]) {
    this.graph = graph;
    this.shape = shape;
  }

  variable(): NodeOutput {
    return this.parameter([attr.type("dtype", DataType.RESOURCE), attr.shape("shape", [])]);
  }

  tensor(): NodeOutput {
    return this.parameter([float, attr.shape("shape", this.shape)]);
  }

  scalar(): NodeOutput {
    return this.parameter([float, attr.shape("shape", [])]);
  }

  read(variable: NodeOutput): NodeOutput {
    return this.node("ReadVariableOp", [variable], [float]);
  }

  assign(variable: NodeOutput, value: NodeOutput): void {
    this.node("AssignVariableOp", [variable, value], [float]);
  }

  constant(value: number): NodeOutput {
    const values = Float32Array.of(value);
    return this.graph.constant(this.name("Const"), DataType.FLOAT, [], values);
  }

  op(op: string, ...inputs: NodeOutput[]): NodeOutput {
    return this.node(op, inputs, [T]);
  }

  private parameter(attributes: ReturnType<typeof attr.type>[]): NodeOutput {
    const parameter = this.node("Placeholder", [], attributes);
    this.parameters.push(parameter);
    return parameter;
  }

  private node(op: string, inputs: NodeOutput[], attributes: ReturnType<typeof attr.type>[]): NodeOutput {
    return this.graph.node({ op, name: this.name(op), inputs, attributes });
  }

  private name(op: string): string {
    return `${op}_${this.nodes++}`;
  }
}

/** A function of variables of one shape. */
export interface FusedUpdate {
  /** The same for the same function. */
  readonly name: string;
  define(graph: Graph, name: string): void;
}

function fusedUpdate(name: string, shape: readonly number[], build: (body: UpdateBody) => void): FusedUpdate {
  return {
    name: [name, ...shape].join("_").replaceAll(".", "d"),
    define(graph, unique) {
      const body = new UpdateBody(new Graph(graph.api), shape);
      try {
        build(body);
        graph.define(unique, body.graph, body.parameters, []);
      } finally {
        body.graph.delete();
      }
    },
  };
}

/**
 * One tensor's step of AdamW, given its variables p, m and v, the gradient, and the scalars scale, decay, rate and
 * epsilon, the last two with the bias correction in them. With g = scale gradient:
 *
 *     m += (1 - beta1) (g - m),   v += (1 - beta2) (g^2 - v),   p -= decay p + rate m / (sqrt v + epsilon)
 */
export function adamUpdate(shape: readonly number[], beta1: number, beta2: number): FusedUpdate {
  return fusedUpdate(`adam_${beta1}_${beta2}`, shape, (body) => {
    const [p, m, v] = [body.variable(), body.variable(), body.variable()];
    const gradient = body.tensor();
    const [scale, decay, rate, epsilon] = [body.scalar(), body.scalar(), body.scalar(), body.scalar()];
    // 1 - beta as TensorFlow's own kernel computes it, in float32
    const toward = (from: NodeOutput, to: NodeOutput, beta: number): NodeOutput =>
      body.op("AddV2", from, body.op("Mul", body.op("Sub", to, from), body.constant(1 - Math.fround(beta))));
    const g = body.op("Mul", gradient, scale);
    const old = body.read(p);
    const nextM = toward(body.read(m), g, beta1);
    const nextV = toward(body.read(v), body.op("Square", g), beta2);
    const deviation = body.op("AddV2", body.op("Sqrt", nextV), epsilon);
    const change = body.op("RealDiv", body.op("Mul", rate, nextM), deviation);
    const decayed = body.op("Sub", old, body.op("Mul", decay, old));
    body.assign(m, nextM);
    body.assign(v, nextV);
    body.assign(p, body.op("Sub", decayed, change));
  });
}

/** An exponential moving average: variable += rate (value - variable), given the variable, value and rate. */
export function blendUpdate(shape: readonly number[]): FusedUpdate {
  return fusedUpdate("blend", shape, (body) => {
    const [variable, value, rate] = [body.variable(), body.tensor(), body.scalar()];
    const old = body.read(variable);
    body.assign(variable, body.op("AddV2", old, body.op("Mul", rate, body.op("Sub", value, old))));
  });
}
