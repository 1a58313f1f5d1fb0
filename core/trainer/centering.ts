/** The CENTERING service: how a teacher's targets over prototypes are kept from collapse. A moving center is the default. */
import type * as tf from "@tensorflow/tfjs-core";
import type { SetupContext, StepContext, UpdateContext } from "../contexts.ts";
import { nextCenter, teacherProbabilities } from "../math/index.ts";

/** What CENTERING is bound to. */
export interface Centering {
  /** Declares what the targets of one loss need, in `setup`. */
  declare(setup: SetupContext, spec: TargetSpec): TeacherTargets;
}

/** What targets of one loss are over. */
export interface TargetSpec {
  /** Of the state, for a plugin with several losses (default "center"). */
  readonly name?: string;
  /** K */
  readonly prototypes: number;
  /** Of a moving center, 0..1. */
  readonly momentum: number;
}

/** The targets of one loss. */
export interface TeacherTargets {
  /** A row's distribution depends on that row alone: losses may ask for some rows at a time. */
  readonly rowwise?: boolean;
  /**
   * Distributions over the prototypes, [R, K]; no gradient.
   *
   * @param logits [R, K] of the teacher
   * @param temperature scalar
   * @param used [R] 0 for rows that are none, else 1; without it all rows are
   */
  probabilities(
    step: StepContext,
    logits: tf.Tensor2D,
    temperature: tf.Tensor,
    used?: tf.Tensor1D,
  ): tf.Tensor2D;
  /** [1, K], what is taken off the logits, to look at; absent where there is no such. */
  center?(step: StepContext): tf.Tensor;
  /**
   * In `update`: moves what there is to move. Absent where there is nothing, and nobody has to have the mean ready.
   *
   * @param meanLogits gives [1, K], the mean of the teacher's logits over the batch of this step on all processes; of an
   *   update in micro-batches that is the last one
   */
  update?(step: UpdateContext, meanLogits: () => tf.Tensor): void;
}

/** DINO's (arXiv 2104.14294, eq. 4): a moving mean of the teacher's logits is taken off before the softmax. */
export class MovingCenter implements Centering {
  declare(setup: SetupContext, { name = "center", prototypes, momentum }: TargetSpec): TeacherTargets {
    const center = setup.buffer(name, [1, prototypes], { kind: "zeros" });
    return {
      rowwise: true,
      probabilities: (step, logits, temperature) =>
        teacherProbabilities(logits, step.read(center), temperature),
      center: (step) => step.read(center),
      update: (step, meanLogits) => step.write(center, nextCenter(step.read(center), meanLogits(), momentum)),
    };
  }
}
