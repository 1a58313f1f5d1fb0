/** Which evaluations by labels a config asks for, on which images. */
import { labelledSplit } from "../data/split.ts";
import { errors } from "../errors.ts";
import { engineMatMul } from "../eval/engine-mat-mul.ts";
import type { ProbeReadout } from "../eval/extractor.ts";
import type { LabelledSets } from "../eval/labelled-images.ts";
import { clusterTask, fewShotTask, logisticTask, lowShotTask } from "../eval/labelled-tasks.ts";
import { LinearSweep } from "../eval/linear-sweep.ts";
import { linearTask } from "../eval/linear-task.ts";
import type { Protocol } from "../eval/protocols.ts";
import type { Task } from "../eval/task.ts";
import type { EvaluationSubject } from "./evaluation-subject.ts";
import { CenteredImages } from "./centered-images.ts";

/** Up to this width DINO's probe reads four blocks; beyond, one and the mean patch (arXiv 2104.14294, appendix F.2). */
const SMALL_DIM = 384;

/** @throws EVAL_UNLABELLED where the images have no classes, and what `labelledSplit` throws. */
export async function labelledTasks(
  subject: EvaluationSubject,
  protocols: readonly Protocol[],
  crop: string,
): Promise<Task[]> {
  const asked = protocols.filter((protocol) => protocol !== "knn");
  if (asked.length === 0) return [];
  const { dataset, network, logger } = subject;
  const { seed, evaluation } = subject.config;
  const { linear, logistic, fewShot, cluster } = evaluation;
  const split = await labelledSplit(dataset, { ...evaluation, seed });
  if (!split) throw errors.evalUnlabelled(asked, dataset.name);
  const small = network.backbone.embedDim <= SMALL_DIM;
  const probe: ProbeReadout = asked.includes("linear")
    ? { blocks: linear.blocks ?? (small ? 4 : 1), meanPatch: linear.meanPatch ?? !small }
    : { blocks: 1, meanPatch: false };
  const mirrored = asked.includes("linear") && linear.mirrored;
  const sets: LabelledSets = {
    train: new CenteredImages(split.train, subject, { probe, mirrored }),
    test: new CenteredImages(split.test, subject, { probe, mirrored: false }),
    numClasses: split.classNames.length,
    crop,
    seed,
    matMul: engineMatMul(network.engine),
  };
  const tasks: Record<Exclude<Protocol, "knn">, () => Task[]> = {
    linear: () => [linearTask({ ...sets, ...linear, probe, sweep: new LinearSweep(network.engine) })],
    logistic: () => [logisticTask({ ...sets, ...logistic })],
    "few-shot": () => [
      fewShotTask({ ...sets, ...fewShot, warn: (message) => logger.warn(message) }),
      lowShotTask({ ...sets, ...logistic, ...fewShot }),
    ],
    cluster: () => [clusterTask({ ...sets, ...cluster })],
  };
  return asked.flatMap((protocol) => tasks[protocol]());
}
