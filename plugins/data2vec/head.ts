import {
  linear,
  type HeadModule,
  type Parameters,
  type ParameterSpec,
  type Tensor2D,
} from "../../core/plugin.ts";

/** The linear layer that predicts targets, [R, dim] -> [R, dim]; the student's alone. */
export class RegressionHead implements HeadModule {
  readonly spec: { readonly dim: number };

  constructor(dim: number) {
    this.spec = { dim };
  }

  parameters(): readonly ParameterSpec[] {
    const { dim } = this.spec;
    return [
      { name: "weight", shape: [dim, dim], init: { kind: "truncatedNormal", std: 0.02 }, studentOnly: true },
      { name: "bias", shape: [dim], init: { kind: "zeros" }, studentOnly: true },
    ];
  }

  forward(parameters: Parameters, rows: Tensor2D): Tensor2D {
    return linear(rows, parameters("weight"), parameters("bias"));
  }
}
