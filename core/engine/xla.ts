/** Whether XLA can compile on this machine: on a GPU it needs CUDA's compiler, and not every build has it. */
import { attr } from "./binding.ts";
import { DataType, type CApi } from "./c-api.ts";
import { mustCompile } from "./frame.ts";
import { Graph } from "./graph.ts";
import { Session } from "./session.ts";

const SIZE = 8;
const T = attr.type("T", DataType.FLOAT);
const placeholder = [attr.type("dtype", DataType.FLOAT), attr.shape("shape", [SIZE])];

/** Compiles and runs a small function. Gives what is in the way; undefined where nothing is. */
export async function xlaProblem(api: CApi, config: Buffer): Promise<string | undefined> {
  const graph = new Graph(api);
  let session: Session | undefined;
  try {
    define(graph, "probe");
    const feed = graph.node({ op: "Placeholder", name: "x", attributes: placeholder });
    const call = graph.node({ op: "probe", name: "call", inputs: [feed], attributes: [mustCompile] });
    session = new Session(graph, config);
    const slot = { output: feed, dtype: DataType.FLOAT, shape: [SIZE] };
    await session.prepare([slot], [call], []).run([new Float32Array(SIZE)]);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    session?.close();
    graph.delete();
  }
}

function define(graph: Graph, name: string): void {
  const body = new Graph(graph.api);
  try {
    const x = body.node({ op: "Placeholder", name: "x", attributes: placeholder });
    const erf = body.node({ op: "Erf", name: "erf", inputs: [x], attributes: [T] });
    const y = body.node({ op: "Exp", name: "exp", inputs: [erf], attributes: [T] });
    graph.define(name, body, [x], [y]);
  } finally {
    body.delete();
  }
}
