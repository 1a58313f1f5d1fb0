/** The health of targets over prototypes, for every method that has such: what is logged, and what is told. */
import * as tf from "@tensorflow/tfjs-core";
import type { HealthContext, LossSink, ScheduleHandle, SetupContext } from "../contexts.ts";
import { targetSignals } from "../math/index.ts";
import { number } from "../report/format.ts";

/** What a step says of its targets. */
export interface MeasuredTargets {
  /** [R, K] the teacher's distributions. */
  readonly targets: tf.Tensor2D;
  /** Scalar, the mean of H(teacher, student) over the same targets. */
  readonly crossEntropy: tf.Tensor;
  /** [R] 0 for rows that are none, else 1; without it all rows are targets. */
  readonly used?: tf.Tensor1D;
  /** [1, K] of the targets' centering, where it has one. */
  readonly center?: tf.Tensor;
}

/** The temperatures of a plugin's two sides: its options of these names, in its config. */
export interface TargetTemperatures {
  readonly teacherTemp: ScheduleHandle;
  readonly studentTemp: number;
}

/** Entropy over ln K from which on targets say next to nothing. Of random unit features it is 0.96 at K = 65536, tau = 0.07. */
const UNIFORM = 0.98;
/** The same where the teacher's temperature is not below the student's: nothing sharpens its targets. */
const UNSHARPENED = 0.9;
/** Effective number of prototypes of targets that hardly depend on the image. */
const FEW_PROTOTYPES = 2.5;
/** Fewer images than that may well have one prototype. */
const FEWEST_IMAGES = 8;
/** In nats; training on more than a handful of images stays above 0.1. */
const NOTHING_TO_LEARN = 0.005;

/** Made in `setup`, where it declares its rules. */
export class PrototypeHealth {
  constructor(setup: SetupContext, plugin: string, { teacherTemp, studentTemp }: TargetTemperatures) {
    const key = (option: string) => `plugins.${plugin}.${option}`;
    const sharpens = ({ value }: HealthContext) => value(teacherTemp) < studentTemp;
    setup.health({
      signal: "targetEntropy",
      above: (at) => (sharpens(at) ? UNIFORM : UNSHARPENED),
      problem: "the teacher's targets are nearly uniform over the prototypes",
      remedy: (at) => {
        const now = `${key("teacherTemp")}, now ${number(at.value(teacherTemp))}`;
        return sharpens(at)
          ? `lower ${now}, or train.lr`
          : `lower ${now}, below ${key("studentTemp")}, ${number(studentTemp)}`;
      },
    });
    if (setup.run.batchSize < FEWEST_IMAGES) return;
    setup.health({
      signal: "prototypePerplexity",
      below: FEW_PROTOTYPES,
      problem: "the teacher's targets are one or two prototypes for all images",
      remedy:
        `see that targets are centered: ${key("centerMomentum")} below 1, or sinkhorn-knopp; ` +
        `then raise ${key("teacherTemp")}, or lower train.lr`,
    });
    setup.health({
      signal: "klDivergence",
      below: NOTHING_TO_LEARN,
      problem: "the student predicts the teacher's targets exactly: there is nothing left to learn",
      remedy: `look at ${plugin}.targetEntropy: near 1, lower ${key("teacherTemp")}; near 0, see that targets are centered`,
    });
  }

  /** In the loss: logs the signals as the plugin's metrics. */
  measure(losses: LossSink, { center, ...measured }: MeasuredTargets): void {
    const signals: Record<string, tf.Tensor> = { ...targetSignals(measured) };
    if (center) signals["centerNorm"] = tf.norm(center);
    for (const [name, value] of Object.entries(signals)) losses.metric(name, value);
  }
}
