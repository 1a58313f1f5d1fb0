/**
 * The head in front of a self-relation (SERE, arXiv 2206.05184), in two modules because only the student
 * has the second: the teacher relates z, the student p.
 *
 *   z = ReLU(BN(x)),   p = ReLU(BN(W z))
 */
import * as tf from "@tensorflow/tfjs-core";
import type {
  HeadHandle,
  HeadModule,
  HeadState,
  Network,
  Pass,
  RelationContext,
  SetupContext,
} from "../contexts.ts";
import { linear } from "../math/linear.ts";
import type { Parameters, ParameterSpec } from "../parameters.ts";
import { BatchNormLayer } from "./batch-norm.ts";
import { comparedPasses } from "./compared-passes.ts";

/** z = ReLU(BN(x)), [R, dim] -> [R, dim] */
export class RelationProjection implements HeadModule {
  readonly spec: { readonly dim: number; readonly studentOnly: boolean };
  private readonly norm: BatchNormLayer;

  constructor({ dim, studentOnly = false }: { dim: number; studentOnly?: boolean }) {
    this.spec = { studentOnly, dim };
    this.norm = new BatchNormLayer("0", dim, studentOnly);
  }

  parameters(): readonly ParameterSpec[] {
    return this.norm.parameters();
  }

  buffers(): readonly ParameterSpec[] {
    return this.norm.buffers();
  }

  forward(parameters: Parameters, rows: tf.Tensor2D, state: HeadState): tf.Tensor2D {
    return tf.relu(this.norm.forward(parameters, rows, state));
  }
}

/** p = ReLU(BN(W z)), [R, dim] -> [R, dim]; the student's alone. */
export class RelationPredictor implements HeadModule {
  readonly spec: { readonly dim: number };
  private readonly norm: BatchNormLayer;

  constructor({ dim }: { dim: number }) {
    this.spec = { dim };
    this.norm = new BatchNormLayer("1", dim, true);
  }

  parameters(): readonly ParameterSpec[] {
    const { dim } = this.spec;
    // PyTorch's default for Conv2d: the official initialisation does not reach it.
    const init = { kind: "uniform", bound: 1 / Math.sqrt(dim) } as const;
    return [{ name: "0.weight", shape: [dim, dim], init, studentOnly: true }, ...this.norm.parameters()];
  }

  buffers(): readonly ParameterSpec[] {
    return this.norm.buffers();
  }

  forward(parameters: Parameters, rows: tf.Tensor2D, state: HeadState): tf.Tensor2D {
    return tf.relu(this.norm.forward(parameters, linear(rows, parameters("0.weight")), state));
  }
}

/** A relation plugin's heads: one for the views that the teacher sees, and one of the student's for all others. */
export class RelationHeads {
  private readonly student: Network;
  private readonly passes: readonly Pass[];
  private readonly globalViews: string;
  private readonly head: RelationModules;
  private readonly localHead: RelationModules;

  /**
   * Asks for the patch tokens of the teacher's global views and of all of the student's, and declares `<plugin>.head`
   * and, where there are other views, `<plugin>.localHead`.
   *
   * @throws VIEW_GROUP_MISSING, and NO_VIEW_PAIRS for a single view
   */
  constructor(setup: SetupContext, plugin: string, globalViews: string) {
    const dim = setup.backbone.embedDim;
    this.passes = comparedPasses(setup, plugin, globalViews);
    const hasOthers = setup.views.some(({ group }) => group !== globalViews);
    const declare = (name: string, studentOnly: boolean): RelationModules => ({
      projection: setup.head(`${plugin}.${name}.projection`, new RelationProjection({ dim, studentOnly })),
      predictor: setup.head(`${plugin}.${name}.predictor`, new RelationPredictor({ dim })),
    });
    this.student = setup.network("student");
    this.globalViews = globalViews;
    this.head = declare("head", false);
    this.localHead = hasOthers ? declare("localHead", true) : this.head;
  }

  /**
   * z of the teacher's global views and p of every student view, [B, N, D]; nothing in a pass whose relations nobody
   * compares.
   */
  features({ pass, patchTokens, apply }: RelationContext): tf.Tensor3D | undefined {
    if (!this.passes.includes(pass)) return undefined;
    const { network, views } = pass;
    const isGlobal = views.group === this.globalViews;
    const isStudent = network === this.student;
    const { projection, predictor } = isGlobal ? this.head : this.localHead;
    const [batch, count, dim] = patchTokens.shape;
    const z = apply(projection, network, tf.reshape(patchTokens, [batch * count, dim]));
    return tf.reshape(isStudent ? apply(predictor, network, z) : z, [batch, count, dim]);
  }
}

interface RelationModules {
  readonly projection: HeadHandle;
  readonly predictor: HeadHandle;
}
