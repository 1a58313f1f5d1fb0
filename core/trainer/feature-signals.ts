/** The signals of health that every method has: how far a network's features of different images lie apart. */
import * as tf from "@tensorflow/tfjs-core";
import type { BackboneOutput } from "../contexts.ts";
import { featureStd } from "../math/index.ts";
import { STUDENT, TEACHER, type Declarations, type PassDeclaration } from "./declarations.ts";
import type { ForwardTrace } from "./forward.ts";

/** By network; among the step's metrics. */
export const featureStdOf = (network: string): string => `${network}.featureStd`;

/**
 * `featureStd` of student and teacher by name: of the class token where a method reads it, or else the mean patch token,
 * over the first view group that the network sees in this step. Nothing for single images, which lie apart from none.
 */
export function featureSignals(declarations: Declarations, forward: ForwardTrace): Map<string, tf.Scalar> {
  const { passes, views, run } = declarations;
  const signals = new Map<string, tf.Scalar>();
  if (run.batchSize < 2) return signals;
  const readable = ({ unmasked, cls, patches }: PassDeclaration) => !unmasked && (cls || patches);
  const shared = [...passes.values()].filter((pass) => readable(pass) && forward.isActive(pass));
  for (const network of [STUDENT, TEACHER]) {
    const own = shared.filter((pass) => pass.network.name === network);
    const pass = views.flatMap((group) => own.find((pass) => pass.views === group) ?? [])[0];
    if (!pass) continue;
    const output = forward.output(pass);
    const features = pass.cls ? output.clsToken : meanPatchToken(output);
    signals.set(featureStdOf(network), featureStd(features, pass.views.count));
  }
  return signals;
}

function meanPatchToken(output: BackboneOutput): tf.Tensor2D {
  return output.norm(tf.mean(output.patchTokens, 1) as tf.Tensor2D);
}
