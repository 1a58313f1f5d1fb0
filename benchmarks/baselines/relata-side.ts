import type { Feeds, Program } from "../../core/engine/engine.ts";
import { GraphEngine } from "../../core/engine/graph-engine.ts";
import { stepOutputs } from "../../core/trainer/step.ts";
import { UsageError } from "../command.ts";
import type { Method } from "../method.ts";
import { timed } from "../timing.ts";
import type { Phase, PhaseRun, Side } from "./side.ts";

/** Loss terms by the baseline's names, and the step's outputs that they are. */
const terms: Readonly<Record<string, string>> = {
  total: stepOutputs.total,
  dino: stepOutputs.term("dino"),
  ibot: stepOutputs.term("ibot"),
  pixel: stepOutputs.term("pixel-relation"),
  channel: stepOutputs.term("channel-relation"),
  gradNorm: stepOutputs.gradientNorm,
};

/** relata's step in this process; its phases are parts of the one captured step. */
export class RelataSide implements Side {
  readonly name = "relata";
  private readonly programs: Readonly<Record<Phase, Program>>;
  private readonly feeds: Feeds;

  private constructor(programs: RelataSide["programs"], feeds: Feeds) {
    this.programs = programs;
    this.feeds = feeds;
  }

  /** Gives the method's variables their start and captures the step. */
  static async start({ assembly, feeds, progress }: Method): Promise<RelataSide> {
    const { training, engine } = assembly;
    if (!(engine instanceof GraphEngine)) throw new UsageError("the eager engine has no phases to compare");
    await training.initialize();
    const fed = feeds();
    const step = await training.program("train", progress.epoch, fed);
    const has = engine.outputs(step);
    const losses = Object.values(terms).filter(
      (name) => name !== stepOutputs.gradientNorm && has.includes(name),
    );
    const programs = {
      forward: engine.part(step, losses),
      gradients: engine.part(step, [...losses, stepOutputs.gradientNorm]),
      step,
    };
    return new RelataSide(programs, fed);
  }

  async run(phase: Phase): Promise<PhaseRun> {
    const [seconds, outputs] = await timed(() => this.programs[phase].run(this.feeds));
    const scalars = Object.entries(terms).flatMap(([name, output]) =>
      outputs[output] ? [[name, outputs[output][0]!] as const] : [],
    );
    return { seconds, scalars: Object.fromEntries(scalars) };
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- the other side has to ask for it
  async peakMemoryBytes(): Promise<number> {
    return process.resourceUsage().maxRSS * 1024;
  }
}
