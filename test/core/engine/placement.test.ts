/**
 * Where TensorFlow's CUDA build puts the nodes of a captured step on a machine with a GPU, which this one need not be:
 * a node without a device of its own goes to the GPU where that build has a kernel for it, and else to the CPU.
 * fixtures/engine/gpu-kernels.ts made the list of its kernels.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { DataType } from "../../../core/engine/c-api.ts";
import type { Engine, HostArray } from "../../../core/engine/engine.ts";
import type { Graph } from "../../../core/engine/graph.ts";
import { locateLibrary } from "../../../core/engine/library.ts";
import channelRelation from "../../../plugins/channel-relation/index.ts";
import dino from "../../../plugins/dino/index.ts";
import ibot from "../../../plugins/ibot/index.ts";
import multiCrop from "../../../plugins/multi-crop/index.ts";
import pixelRelation from "../../../plugins/pixel-relation/index.ts";
import { makeEngine } from "../../support/engines.ts";
import { callForBuffer, decodeGraph, type GraphDef, type NodeDef } from "../../support/graph-def.ts";
import { at, tinyBatch, tinyTraining } from "../trainer/tiny.ts";

type Kernels = Readonly<Record<string, readonly { types: Record<string, number[]>; host?: string[] }[]>>;
const kernels = JSON.parse(
  readFileSync(new URL("../../fixtures/engine/gpu-kernels.json", import.meta.url), "utf8"),
) as { gpu: Kernels; xla: Kernels };

/** The kernel for a node, if there is one. */
function kernelFor(known: Kernels, { op, attr = {} }: NodeDef) {
  return known[op]?.find(({ types }) =>
    Object.entries(types).every(([name, allowed]) => {
      const { type, list } = attr[name] ?? {};
      return (type === undefined ? (list?.type ?? []) : [type]).every((own) => allowed.includes(own));
    }),
  );
}

/** Inputs that say how an op works: axes, sizes, a gate. TensorFlow wants them, and handles of variables, on the host. */
const instructions = new Set(
  `axis begin end strides size dims multiples paddings constant_values perm reduction_indices shape dim dimension size_splits
   split_dim num_segments value_index pred resource var m v`.split(/\s+/),
);

const dtypes = ({ attr = {} }: NodeDef): number[] =>
  Object.values(attr).flatMap(({ type }) => (type === undefined ? [] : [type]));

/** Whether the node's values themselves are in the host's memory. */
const staysOnHost = (node: NodeDef): boolean =>
  kernelFor(kernels.gpu, node)?.host?.some((name) => !instructions.has(name)) ?? false;

describe("a captured SERE step on a GPU", () => {
  for (const precision of ["fp32", "bf16"] as const) {
    describe(precision, () => {
      let engine: Engine;
      let graph: GraphDef;
      let calls: NodeDef[];
      let outputs: Record<string, HostArray>;

      before(async () => {
        engine = await makeEngine("compiled", precision, 64);
        const head = { outDim: 32, hiddenDim: 16, bottleneckDim: 8 };
        const crops = { globalCrops: { size: 16 }, localCrops: { size: 8, count: 2 } };
        const method = [multiCrop(crops), dino(head), ibot(head), pixelRelation({}), channelRelation({})];
        const options = { views: [], settings: { clipGrad: 0.3 }, dropPathRate: 0.1, outputGradients: false };
        const training = await tinyTraining(engine, method, options);
        const feeds = training.feeds(tinyBatch(training), at(0));
        const program = await training.program("train", 0, feeds);
        outputs = await program.run(feeds);
        const { pointer } = (engine as unknown as { graph: Graph }).graph;
        const signature = "void TF_GraphToGraphDef(void*, void*, void*)";
        graph = decodeGraph(callForBuffer(locateLibrary()!, signature, pointer));
        const pieces = new Set(graph.library.function.map((piece) => piece.signature.name));
        calls = graph.node.filter(({ op }) => pieces.has(op));
      });
      after(() => engine.close());

      it("has a GPU kernel for every node, which no device ties to the host", () => {
        assert.ok(graph.node.length > 3000, `${graph.node.length} nodes`);
        const others = graph.node.filter((node) => !calls.includes(node));
        const placed = others.filter((node) => kernelFor(kernels.gpu, node));
        const left = others.filter((node) => !placed.includes(node));
        assert.deepEqual(left.map(({ name, op }) => `${op} ${name}`), []); // prettier-ignore
        assert.deepEqual(graph.node.filter(({ device }) => device), []); // prettier-ignore
      });

      it("keeps no values on the host but int32 ones", () => {
        const host = graph.node.filter(staysOnHost);
        assert.ok(host.length > 0);
        const others = host.filter((node) => dtypes(node).some((type) => type !== DataType.INT32));
        assert.deepEqual(others.map(({ name, op }) => `${op} ${name}`), []); // prettier-ignore
      });

      it("has its variables on the GPU, and gives back scalars alone", () => {
        const handles = graph.node.filter(({ op }) => op === "VarHandleOp");
        assert.ok(handles.length > 50);
        assert.ok(handles.every((node) => kernelFor(kernels.gpu, node)));
        const large = Object.entries(outputs).filter(([, values]) => values.length !== 1);
        assert.deepEqual(large.map(([name]) => name), []); // prettier-ignore
      });

      it("compiles its pieces where what they are given is", () => {
        assert.ok(calls.length > 50, `${calls.length} calls`);
        const byName = new Map(graph.node.map((node) => [node.name, node]));
        for (const { name, attr, input = [] } of calls) {
          assert.equal(attr?.["_XlaMustCompile"]?.b, true, name);
          const givers = input.filter((from) => !from.startsWith("^")).map((from) => from.split(":")[0]!);
          const onHost = givers.filter((giver) => staysOnHost(byName.get(giver)!));
          assert.deepEqual(onHost, [], name);
        }
        const bodies = graph.library.function.flatMap(({ node_def }) => node_def);
        const uncompiled = bodies.filter((node) => !kernelFor(kernels.xla, node));
        assert.deepEqual(uncompiled.map(({ op }) => op), []); // prettier-ignore
      });
    });
  }

  it("would leave what has no kernel there to the CPU", () => {
    const type = { type: DataType.INT32 };
    assert.equal(kernelFor(kernels.gpu, { name: "x", op: "ListDiff", attr: { T: type } }), undefined);
    assert.equal(kernelFor(kernels.gpu, { name: "x", op: "Sin", attr: { T: type } }), undefined);
  });
});
