/** The few TensorFlow protocol buffers that relata writes or reads. */
import protobuf from "protobufjs";

const root = protobuf.parse(
  `
  syntax = "proto3";
  message RewriterConfig {
    int32 constant_folding = 3;
    int32 remapping = 14;
    bool disable_meta_optimizer = 19;
  }
  message OptimizerOptions { int32 opt_level = 3; int32 global_jit_level = 5; }
  message GraphOptions { OptimizerOptions optimizer_options = 3; RewriterConfig rewrite_options = 10; }
  message GPUOptions { bool allow_growth = 4; string visible_device_list = 5; }
  message ConfigProto {
    map<string, int32> device_count = 1;
    int32 intra_op_parallelism_threads = 2;
    int32 inter_op_parallelism_threads = 5;
    GPUOptions gpu_options = 6;
    bool allow_soft_placement = 7;
    GraphOptions graph_options = 10;
  }
  message RunOptions { int32 trace_level = 1; }
  message RunMetadata { StepStats step_stats = 1; }
  message StepStats { repeated DeviceStepStats dev_stats = 1; }
  message DeviceStepStats { string device = 1; repeated NodeExecStats node_stats = 2; }
  message NodeExecStats {
    string node_name = 1;
    int64 all_start_micros = 2;
    int64 op_start_rel_micros = 3;
    int64 op_end_rel_micros = 4;
    int64 all_end_rel_micros = 5;
    string timeline_label = 8;
    uint32 thread_id = 10;
  }
  `,
  { keepCase: true },
).root;

export interface ConfigProto {
  device_count?: Record<string, number>;
  intra_op_parallelism_threads?: number;
  inter_op_parallelism_threads?: number;
  gpu_options?: { allow_growth?: boolean; visible_device_list?: string };
  allow_soft_placement?: boolean;
  graph_options?: {
    optimizer_options?: { opt_level?: number; global_jit_level?: number };
    rewrite_options?: { constant_folding?: number; remapping?: number; disable_meta_optimizer?: boolean };
  };
}

export function encodeConfig(config: ConfigProto): Buffer {
  const type = root.lookupType("ConfigProto");
  return Buffer.from(type.encode(type.fromObject(config)).finish());
}

/** RunOptions that ask for the time of every node. */
export const fullTrace: Buffer = (() => {
  const type = root.lookupType("RunOptions");
  return Buffer.from(type.encode(type.fromObject({ trace_level: 3 })).finish());
})();

export interface NodeTiming {
  readonly name: string;
  readonly label: string;
  readonly microseconds: number;
}

export function decodeTimings(metadata: Uint8Array): NodeTiming[] {
  const type = root.lookupType("RunMetadata");
  const { step_stats } = type.toObject(type.decode(metadata), { longs: Number }) as {
    step_stats?: {
      dev_stats?: {
        node_stats?: {
          node_name: string;
          timeline_label?: string;
          op_start_rel_micros?: number;
          op_end_rel_micros?: number;
        }[];
      }[];
    };
  };
  return (step_stats?.dev_stats ?? []).flatMap((device) =>
    (device.node_stats ?? []).map((node) => ({
      name: node.node_name,
      label: node.timeline_label ?? "",
      microseconds: (node.op_end_rel_micros ?? 0) - (node.op_start_rel_micros ?? 0),
    })),
  );
}
