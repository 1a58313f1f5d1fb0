import * as tf from "@tensorflow/tfjs-core";
import { given, group, real, truth, whole } from "./op-case.ts";

const shape = group("Shape");
const indexing = group("Selection and indexing");
const creation = group("Making tensors");

const matrix = [real([2, 3])];
const cube = [real([2, 3, 4])];
const image = [real([2, 4, 4, 2])];
const none: [number, number] = [0, 0];

export const shapes = [
  shape.differentiable("batchToSpaceND", [real([4, 2, 2, 1])], (x) =>
    tf.batchToSpaceND(x, [2, 2], [none, none]),
  ),
  shape.forward("broadcastArgs", [given([2], [2, 1]), given([2], [1, 3])], (a, b) => tf.broadcastArgs(a, b)),
  shape.differentiable("broadcastTo", [real([1, 3])], (x) => tf.broadcastTo(x, [2, 3])),
  shape.differentiable("cast", matrix, (x) => tf.cast(x, "float32")),
  shape.differentiable("clone", matrix, (x) => tf.clone(x)),
  shape.differentiable("concat", [real([2, 3]), real([2, 2])], (a, b) => tf.concat([a, b], 1)),
  shape.differentiable("concat1d", [real([2]), real([3])], (a, b) => tf.concat1d([a, b])),
  shape.differentiable("concat2d", [real([2, 3]), real([1, 3])], (a, b) => tf.concat2d([a, b], 0)),
  shape.differentiable("concat3d", [real([2, 1, 2]), real([2, 2, 2])], (a, b) => tf.concat3d([a, b], 1)),
  shape.differentiable("concat4d", [real([1, 2, 1, 2]), real([1, 2, 1, 3])], (a, b) =>
    tf.concat4d([a, b], 3),
  ),
  shape.forward("depthToSpace", [real([1, 2, 2, 4])], (x: tf.Tensor4D) => tf.depthToSpace(x, 2)),
  shape.forward("diag", [real([3])], (x) => tf.diag(x)),
  shape.differentiable("ensureShape", matrix, (x) => tf.ensureShape(x, [2, 3])),
  shape.differentiable("expandDims", matrix, (x) => tf.expandDims(x, 1)),
  shape.forward("mirrorPad", matrix, (x) => tf.mirrorPad(x, [[1, 0], [1, 1]], "reflect")), // prettier-ignore
  shape.differentiable("pad", cube, (x) => tf.pad(x, [[0, 1], [1, 0], [2, 1]], 0.5)), // prettier-ignore
  shape.differentiable("pad1d", [real([3])], (x: tf.Tensor1D) => tf.pad1d(x, [1, 2])),
  shape.differentiable("pad2d", matrix, (x: tf.Tensor2D) => tf.pad2d(x, [[1, 0], [0, 2]])), // prettier-ignore
  shape.differentiable("pad3d", cube, (x: tf.Tensor3D) => tf.pad3d(x, [[1, 0], [0, 2], none])), // prettier-ignore
  shape.differentiable("pad4d", image, (x: tf.Tensor4D) => tf.pad4d(x, [none, [1, 1], [1, 1], none])),
  shape.differentiable("reshape", cube, (x) => tf.reshape(x, [6, -1])),
  shape.differentiable("reverse", cube, (x) => tf.reverse(x, [0, 2])),
  shape.differentiable("reverse1d", [real([3])], (x: tf.Tensor1D) => tf.reverse1d(x)),
  shape.differentiable("reverse2d", matrix, (x: tf.Tensor2D) => tf.reverse2d(x, 1)),
  shape.differentiable("reverse3d", cube, (x: tf.Tensor3D) => tf.reverse3d(x, 1)),
  shape.differentiable("reverse4d", image, (x: tf.Tensor4D) => tf.reverse4d(x, [1, 2])),
  shape.differentiable("spaceToBatchND", [real([1, 4, 4, 1])], (x) =>
    tf.spaceToBatchND(x, [2, 2], [none, none]),
  ),
  shape.differentiable("split", cube, (x) => tf.split(x, [1, 3], 2)),
  shape.differentiable("squeeze", [real([2, 1, 3])], (x) => tf.squeeze(x, [1])),
  shape.differentiable("stack", [real([2, 3]), real([2, 3])], (a, b) => tf.stack([a, b], 1)),
  shape.differentiable("tile", [real([2, 2, 2])], (x) => tf.tile(x, [2, 1, 3])),
  shape.differentiable("tile", matrix, (x) => tf.tile(x, [2, 3])),
  shape.differentiable("transpose", [real([2, 2, 2])], (x) => tf.transpose(x, [2, 0, 1])),
  shape.differentiable("transpose", cube, (x) => tf.transpose(x, [2, 0, 1])),
  shape.differentiable("unstack", cube, (x) => tf.unstack(x, 1)),
  shape.differentiable("unstack", [real([100, 2])], (x) => tf.unstack(x)),

  indexing.zero("argMax", matrix, (x) => tf.argMax(x, 1)),
  indexing.zero("argMin", matrix, (x) => tf.argMin(x, 0)),
  indexing.differentiable("gather", [real([4, 3, 2]), whole([3], 4)], (x, i: tf.Tensor1D) => tf.gather(x, i)),
  indexing.differentiable("gather", [real([4, 3, 2]), whole([5], 3)], (x, i: tf.Tensor1D) =>
    tf.gather(x, i, 1),
  ),
  indexing.differentiable("gather", [real([4, 3, 2]), whole([2, 2], 2)], (x, i) => tf.gather(x, i, -1)),
  indexing.differentiable("gather", [real([2, 3, 2]), whole([2, 2], 3)], (x, i) => tf.gather(x, i, 1, 1)),
  indexing.forward("gatherND", [real([3, 4]), given([2, 2], [0, 1, 2, 3])], (x, i) => tf.gatherND(x, i)),
  indexing.forward("oneHot", [whole([4], 3)], (i) => tf.oneHot(i, 3, 2, -1)),
  indexing.forward("scatterND", [given([2, 1], [3, 1]), real([2, 3])], (i, x) => tf.scatterND(i, x, [5, 3])),
  indexing.differentiable("slice", cube, (x) => tf.slice(x, [0, 1, 2], [2, 2, -1])),
  indexing.differentiable("slice1d", [real([5])], (x: tf.Tensor1D) => tf.slice1d(x, 1, 3)),
  indexing.differentiable("slice2d", matrix, (x: tf.Tensor2D) => tf.slice2d(x, [0, 1], [2, 2])),
  indexing.differentiable("slice3d", cube, (x: tf.Tensor3D) => tf.slice3d(x, [0, 1, 1], [1, 2, 2])),
  indexing.differentiable("slice4d", image, (x: tf.Tensor4D) => tf.slice4d(x, [0, 1, 1, 0], [2, 2, 2, 1])),
  indexing.forward("sparseToDense", [given([2], [1, 3]), real([2])], (i, v) =>
    tf.sparseToDense(i, v, [5], 0),
  ),
  indexing.forward("stridedSlice", cube, (x) => tf.stridedSlice(x, [0, 2, 0], [2, 0, 4], [1, -1, 2])),
  indexing.forward("tensorScatterUpdate", [real([5]), given([2, 1], [1, 3]), real([2])], (x, i, v) =>
    tf.tensorScatterUpdate(x, i, v),
  ),
  indexing.forward("topk", [real([2, 5])], (x) => Object.values(tf.topk(x, 2))),
  indexing.differentiable("unsortedSegmentSum", [real([4, 3]), whole([4], 3)], (x, i: tf.Tensor1D) =>
    tf.unsortedSegmentSum(x, i, 3),
  ),
  indexing.differentiable("where", [truth([3]), real([2, 3]), real([2, 3])], (c, a, b) => tf.where(c, a, b)),
  indexing.differentiable("where", [truth([2, 3]), real([2, 3]), real([2, 3])], (c, a, b) =>
    tf.where(c, a, b),
  ),

  creation.forward("eye", [], () => tf.eye(3, 4)),
  creation.forward("fill", [], () => tf.fill([2, 3], 0.5)),
  creation.forward("linspace", [], () => tf.linspace(0, 1, 300)),
  creation.differentiable("meshgrid", [real([3]), real([2])], (x, y) => tf.meshgrid(x, y)),
  creation.forward("ones", [], () => tf.ones([2, 300])),
  creation.zero("onesLike", matrix, (x) => tf.onesLike(x)),
  creation.forward("range", [], () => tf.range(0, 300)),
  creation.forward("scalar", [], () => tf.scalar(0.5)),
  creation.forward("tensor", [], () => tf.tensor([0.1, 0.2, 0.3, 0.4], [2, 2])),
  creation.forward("tensor1d", [], () => tf.tensor1d([0.1, 0.2])),
  creation.forward("tensor2d", [], () => tf.tensor2d([[0.1, 0.2]])),
  creation.forward("tensor3d", [], () => tf.tensor3d([[[0.1, 0.2]]])),
  creation.forward("tensor4d", [], () => tf.tensor4d([[[[0.1, 0.2]]]])),
  creation.forward("tensor5d", [], () => tf.tensor5d([[[[[0.1, 0.2]]]]])),
  creation.forward("tensor6d", [], () => tf.tensor6d([[[[[[0.1, 0.2]]]]]])),
  creation.forward("zeros", [], () => tf.zeros([2, 300])),
  creation.zero("zerosLike", matrix, (x) => tf.zerosLike(x)),
];
