import { Command } from "commander";
import type { CliContext } from "../context.ts";
import { initOption, runTrain, withTrainOptions, type TrainCommandOptions } from "./train.ts";

/** The run that shows in minutes, without data of one's own, that everything works. */
const PRESET = "sere-emoji";

export function startCommand(context: CliContext): Command {
  return withTrainOptions(new Command("start"))
    .description(`the main job: train --preset ${PRESET}, on real images from an npm package, with a report`)
    .addOption(initOption())
    .action((options: TrainCommandOptions) => runTrain(context, undefined, { preset: PRESET, ...options }));
}
