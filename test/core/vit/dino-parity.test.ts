/** Forward, loss and gradients against the official DINO step (DINO 7c446df, torch 2.15, float32). */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import { crossEntropy } from "../../../core/math/index.ts";
import { assertClose, useCpuBackend } from "../math/numeric.ts";
import {
  clsTokens,
  config,
  golden,
  inBackbone,
  paramGroups,
  project,
  specs,
  step,
  tensor,
  views,
  vit,
  weights,
} from "./dino-fixture.ts";

describe("parity with the official DINO", () => {
  useCpuBackend();

  it("declares the official parameters, by name and shape", () => {
    for (const { name, shape } of specs) assert.deepEqual(golden(`init/student.${name}`).shape, shape, name);
    const official = [...paramGroups.decayed, ...paramGroups.not_decayed];
    assert.deepEqual(specs.map(({ name }) => name).sort(), official.sort()); // prettier-ignore
  });

  it("activations of the teacher", () => {
    const p = inBackbone(weights("teacher"));
    const tokens = vit.prepare(p, vit.patchify(p, views("global", 2)), vit.grid(64));
    assertClose(tokens, golden("sere/act.teacher_g.tokens_in"), 2e-5, "tokens_in");
    const [output] = vit.blocks(p, [{ tokens, keepBlocks: [0, 1] }]);
    assertClose(output!.blocks.get(0)!, golden("sere/act.teacher_g.block0"), 2e-5, "block0");
    assertClose(output!.blocks.get(1)!, golden("sere/act.teacher_g.block1"), 2e-5, "block1");
    assertClose(output!.tokens, golden("sere/act.teacher_g.block1"), 2e-5, "output");
    assertClose(vit.norm(p, output!.tokens), golden("sere/act.teacher_g.norm"), 2e-5, "norm");
  });

  it("positions of a local view", () => {
    const p = inBackbone(weights("student"));
    const cls = tf.reshape(p("cls_token"), [1, 1, 64]);
    const positions = tf.sub(vit.prepare(p, tf.zeros([1, 4, 64]), vit.grid(32)), tf.pad(cls, [[0, 0], [0, 4], [0, 0]])); // prettier-ignore
    assertClose(positions, golden("sere/act.student.pos_embed_interp"), 2e-6);
  });

  it("logits of teacher and student", () => {
    const teacher = weights("teacher");
    assertClose(
      project(teacher, clsTokens(teacher, [views("global", 2)])),
      golden("dino/act.teacher_all.cls"),
      2e-5,
    );
    const student = weights("student");
    const cls = clsTokens(student, [views("global", 2), views("local", config.n_local)]);
    assertClose(project(student, cls), golden("dino/act.student_all.cls"), 2e-5);
  });

  it("loss and gradients of every parameter", () => {
    const { batch: B, n_local: locals, student_temp: studentTemp } = config;
    const viewOf = (logits: tf.Tensor2D, view: number) => tf.slice(logits, [view * B, 0], [B, -1]);

    const teacher = weights("teacher");
    const teacherLogits = project(teacher, clsTokens(teacher, [views("global", 2)]));
    const target = tf.div(tf.sub(teacherLogits, tensor("init/center")), step.teacher_temp) as tf.Tensor2D;
    const images = [views("global", 2), views("local", locals)];
    const student = weights("student");
    const { value, grads } = tf.valueAndGrads((...tensors: tf.Tensor[]) => {
      const current = new Map([...student.keys()].map((name, i) => [name, tensors[i]!]));
      const logits = tf.div(project(current, clsTokens(current, images)), studentTemp) as tf.Tensor2D;
      const terms: tf.Scalar[] = [];
      for (let q = 0; q < 2; q++) {
        for (let v = 0; v < 2 + locals; v++) {
          if (v !== q) terms.push(crossEntropy(viewOf(target, q), viewOf(logits, v)));
        }
      }
      return tf.mean(tf.stack(terms));
    })([...student.values()]);

    assert.ok(
      Math.abs(value.dataSync()[0]! - step.total) < 2e-5,
      `loss ${value.dataSync()[0]}, not ${step.total}`,
    );
    specs.forEach(({ name }, i) => assertClose(grads[i]!, golden(`dino/grad.${name}`), 1e-4, name));
  });
});
