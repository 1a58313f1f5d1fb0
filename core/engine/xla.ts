/** Whether XLA can compile on this machine: on a GPU it needs CUDA's compiler, and not every build has it. */
import { attr } from "./binding.ts";
import { DataType, type CApi, type NodeOutput } from "./c-api.ts";
import { mustCompile } from "./frame.ts";
import { Graph } from "./graph.ts";
import { Session } from "./session.ts";

const SIZE = 8;

/** Compiles and runs a small function. Gives what is in the way; undefined where nothing is. */
export async function xlaProblem(api: CApi, config: Buffer): Promise<string | undefined> {
  const graph = new Graph(api);
  const body = new Graph(api);
  const T = attr.type("T", DataType.FLOAT);
  const placeholder = [attr.type("dtype", DataType.FLOAT), attr.shape("shape", [SIZE])];
  const at = (oper: bigint): NodeOutput => ({ oper, index: 0 });
  const x = at(body.add({ op: "Placeholder", name: "x", attributes: placeholder }));
  const erf = at(body.add({ op: "Erf", name: "erf", inputs: [x], attributes: [T] }));
  const y = at(body.add({ op: "Exp", name: "exp", inputs: [erf], attributes: [T] }));
  graph.define("probe", body, [x], [y]);
  body.delete();
  const feed = at(graph.add({ op: "Placeholder", name: "x", attributes: placeholder }));
  const call = at(graph.add({ op: "probe", name: "call", inputs: [feed], attributes: [mustCompile] }));
  const session = new Session(graph, config);
  try {
    const slot = { output: feed, dtype: DataType.FLOAT, shape: [SIZE] };
    await session.prepare([slot], [call], []).run([new Float32Array(SIZE)]);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    session.close();
    graph.delete();
  }
}
