/**
 * A run in a process of its own, which goes on with what is there: `killed-child.ts <base> <out> <spec>`. Tells of each
 * step, checkpoint and start on a line, and kills itself at a call on its checkpoints where the spec says so.
 */
import { writeSync } from "node:fs";
import { runTraining } from "../../core/run/run.ts";
import channelRelation from "../../plugins/channel-relation/index.ts";
import ibot from "../../plugins/ibot/index.ts";
import pixelRelation from "../../plugins/pixel-relation/index.ts";
import { resolved, tinyConfig, tinyDino, views, type TinyConfig } from "../core/trainer/runs.ts";
import { watchFiles, type FileCall } from "./file-faults.ts";

export interface ChildSpec {
  readonly config: TinyConfig;
  /** The call on a checkpoint before which the process is killed. */
  readonly killAt?: CallNumber;
}

/** Counted from 0, among those of one operation or among all. */
export interface CallNumber {
  readonly call: number;
  readonly operation?: FileCall["operation"];
}

/** SERE: masks, and heads with running statistics. */
const method = [
  views,
  tinyDino,
  ibot({ outDim: 16, hiddenDim: 16, bottleneckDim: 8, maskRatio: 0.5, maskRatioVariation: 0 }),
  pixelRelation(),
  channelRelation(),
];

const [base, out, given] = process.argv.slice(2) as [string, string, string];
const { config, killAt } = JSON.parse(given) as ChildSpec;

// Unlike console.log, it is out when the call returns.
const tell = (line: string) => writeSync(1, `${line}\n`);

let calls = 0;
watchFiles("checkpoints", ({ operation, path }) => {
  if (!killAt || operation !== (killAt.operation ?? operation) || calls++ !== killAt.call) return;
  tell(`killed before ${operation} of ${path.slice(out.length)}`);
  process.kill(process.pid, "SIGKILL");
});

await runTraining(tinyConfig(config), method.map(resolved), {
  baseDir: base,
  out,
  resume: "auto",
  observer: {
    start: ({ fromStep }) => tell(`start ${fromStep}`),
    step: ({ step }) => tell(`step ${step}`),
    checkpoint: (_, step) => tell(`checkpoint ${step}`),
    warning: (message) => tell(`warning ${message}`),
  },
});
