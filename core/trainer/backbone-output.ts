/** What a pass gives, computed when first read: nothing that nobody reads becomes part of the graph. */
import * as tf from "@tensorflow/tfjs-core";
import type { Backbone, BackboneSegmentOutput, TokenGrid } from "../backbone.ts";
import type { BackboneOutput, Parameters } from "../contexts.ts";
import { errors } from "../errors.ts";
import { currentScope, pluginOf } from "../scopes.ts";
import type { PassDeclaration } from "./declarations.ts";

/** Computes once a trace and keeps the tensor alive until its end. */
export type Remember = <T extends tf.Tensor>(key: string, compute: () => T) => T;

/** The class token after the final norm, or the mean patch token after it, of tokens [B, T, D]: [B, D]. */
export function imageToken(backbone: Backbone, parameters: Parameters, tokens: tf.Tensor3D): tf.Tensor2D {
  const [batch, , width] = tokens.shape;
  const token = backbone.hasClsToken
    ? tf.reshape(tf.slice(tokens, [0, 0, 0], [batch, 1, width]), [batch, width])
    : tf.mean(tf.slice(tokens, [0, backbone.registerTokens, 0], [-1, -1, -1]), 1);
  return backbone.norm(parameters, token as tf.Tensor2D);
}

export class PassOutput implements BackboneOutput {
  readonly grid: TokenGrid;
  private readonly pass: PassDeclaration;
  private readonly backbone: Backbone;
  private readonly parameters: Parameters;
  private readonly segment: BackboneSegmentOutput;
  private readonly remember: Remember;

  constructor(
    pass: PassDeclaration,
    backbone: Backbone,
    parameters: Parameters,
    segment: BackboneSegmentOutput,
    remember: Remember,
  ) {
    this.grid = pass.grid;
    this.pass = pass;
    this.backbone = backbone;
    this.parameters = parameters;
    this.segment = segment;
    this.remember = remember;
  }

  get tokens(): tf.Tensor3D {
    this.require(this.pass.patches, "patches");
    return this.segment.tokens;
  }

  get patchTokens(): tf.Tensor3D {
    return this.once("patchTokens", () => this.patchesOf(this.tokens));
  }

  get patchTokensNormed(): tf.Tensor3D {
    return this.once("patchTokensNormed", () => this.backbone.norm(this.parameters, this.patchTokens));
  }

  get clsToken(): tf.Tensor2D {
    this.require(this.pass.cls, "cls");
    return this.once("clsToken", () => imageToken(this.backbone, this.parameters, this.segment.tokens));
  }

  get registerTokens(): tf.Tensor3D {
    return this.once("registerTokens", () => {
      const [batch, , width] = this.tokens.shape;
      const first = this.backbone.hasClsToken ? 1 : 0;
      const registers = tf.slice(this.tokens, [0, first, 0], [batch, this.backbone.registerTokens, width]);
      return this.backbone.norm(this.parameters, registers);
    });
  }

  block(index: number): tf.Tensor3D {
    const i = index < 0 ? this.backbone.depth + index : index;
    const tokens = this.segment.blocks.get(i);
    if (!tokens) throw errors.outputUndeclared(pluginOf(currentScope()), this.pass.key, `block ${index}`);
    return tokens;
  }

  norm(rows: tf.Tensor2D): tf.Tensor2D {
    return this.backbone.norm(this.parameters, rows);
  }

  private patchesOf(tokens: tf.Tensor3D): tf.Tensor3D {
    const [batch, count, width] = tokens.shape;
    const first = (this.backbone.hasClsToken ? 1 : 0) + this.backbone.registerTokens;
    return tf.slice(tokens, [0, first, 0], [batch, count - first, width]);
  }

  private require(declared: boolean, output: string): void {
    if (!declared) throw errors.outputUndeclared(pluginOf(currentScope()), this.pass.key, output);
  }

  private once<T extends tf.Tensor>(name: string, compute: () => T): T {
    return this.remember(`output/${this.pass.key}/${name}`, compute);
  }
}
