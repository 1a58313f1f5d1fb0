/** The CENTERING service: how a teacher's targets over prototypes are kept from collapse. A moving center is the default. */
import type * as tf from "@tensorflow/tfjs-core";
import type { SetupContext, StepContext, UpdateContext } from "../contexts.ts";
import { nextCenter, teacherProbabilities } from "../math/index.ts";

/** What CENTERING is bound to. */
export interface Centering {
  /**
   * Declares what the targets of one loss need, in `setup`: over K prototypes, and with the momentum of a moving
   * center, 0..1.
   */
  declare(
    setup: SetupContext,
    spec: { readonly prototypes: number; readonly momentum: number },
  ): TeacherTargets;
}

/** The targets of one loss. */
export interface TeacherTargets {
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
  /**
   * In `update`: moves what there is to move.
   *
   * @param meanLogits gives [1, K], the mean of the teacher's logits over the whole batch
   */
  update(step: UpdateContext, meanLogits: () => tf.Tensor): void;
}

/** DINO's (arXiv 2104.14294, eq. 4): a moving mean of the teacher's logits is taken off before the softmax. */
export class MovingCenter implements Centering {
  declare(
    setup: SetupContext,
    { prototypes, momentum }: { readonly prototypes: number; readonly momentum: number },
  ): TeacherTargets {
    const center = setup.buffer("center", [1, prototypes], { kind: "zeros" });
    return {
      probabilities: (step, logits, temperature) =>
        teacherProbabilities(logits, step.read(center), temperature),
      update: (step, meanLogits) => step.write(center, nextCenter(step.read(center), meanLogits(), momentum)),
    };
  }
}
