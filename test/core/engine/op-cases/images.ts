import * as tf from "@tensorflow/tfjs-core";
import { given, group, real } from "./op-case.ts";

const convolutions = group("Convolution and pooling");
const images = group("Images");
const signals = group("Signals");

const image = real([2, 6, 6, 2]);
const volume = real([1, 3, 4, 4, 2]);
const boxes = real([2, 4], 0, 1);

export const spatial = [
  convolutions.differentiable("avgPool", [image], (x: tf.Tensor4D) => tf.avgPool(x, 3, 2, "same")),
  convolutions.differentiable("avgPool3d", [volume], (x: tf.Tensor5D) => tf.avgPool3d(x, 2, 1, "valid")),
  convolutions.differentiable("conv1d", [real([2, 5, 3]), real([2, 3, 4])], (x: tf.Tensor3D, w: tf.Tensor3D) => tf.conv1d(x, w, 1, "same")),
  convolutions.differentiable("conv2d", [image, real([3, 3, 2, 3])], (x: tf.Tensor4D, w: tf.Tensor4D) => tf.conv2d(x, w, 2, "same")),
  convolutions.differentiable("conv2d", [image, real([2, 2, 2, 3])], (x: tf.Tensor4D, w: tf.Tensor4D) => tf.conv2d(x, w, 2, "valid")),
  convolutions.differentiable("conv2dTranspose", [real([1, 3, 3, 2]), real([2, 2, 3, 2])], (x: tf.Tensor4D, w: tf.Tensor4D) => tf.conv2dTranspose(x, w, [1, 6, 6, 3], 2, "same")),
  convolutions.differentiable("conv3d", [volume, real([2, 2, 2, 2, 3])], (x: tf.Tensor5D, w: tf.Tensor5D) => tf.conv3d(x, w, 1, "valid")),
  convolutions.differentiable("conv3dTranspose", [volume, real([2, 2, 2, 3, 2])], (x: tf.Tensor5D, w: tf.Tensor5D) => tf.conv3dTranspose(x, w, [1, 3, 4, 4, 3], 1, "same")),
  convolutions.differentiable("depthwiseConv2d", [image, real([3, 3, 2, 2])], (x: tf.Tensor4D, w: tf.Tensor4D) => tf.depthwiseConv2d(x, w, 1, "same")),
  convolutions.differentiable("dilation2d", [image, real([2, 2, 2])], (x: tf.Tensor4D, w: tf.Tensor3D) => tf.dilation2d(x, w, 1, "same")),
  convolutions.differentiable("fused.conv2d", [image, real([3, 3, 2, 3]), real([3])], (x: tf.Tensor4D, filter: tf.Tensor4D, bias) =>
    tf.fused.conv2d({ x, filter, bias, strides: 1, pad: "same", activation: "relu" })),
  convolutions.differentiable("fused.depthwiseConv2d", [image, real([3, 3, 2, 1]), real([2])], (x: tf.Tensor4D, filter: tf.Tensor4D, bias) =>
    tf.fused.depthwiseConv2d({ x, filter, bias, strides: 1, pad: "same" })),
  convolutions.differentiable("maxPool", [image], (x: tf.Tensor4D) => tf.maxPool(x, 2, 2, "valid")),
  convolutions.differentiable("maxPool3d", [volume], (x: tf.Tensor5D) => tf.maxPool3d(x, 2, 1, "valid")),
  convolutions.forward("maxPoolWithArgmax", [image], (x: tf.Tensor4D) => Object.values(tf.maxPoolWithArgmax(x, 2, 2, "valid"))),
  convolutions.differentiable("pool", [image], (x: tf.Tensor4D) => tf.pool(x, 2, "max", "valid", 1, 2)),
  convolutions.differentiable("separableConv2d", [image, real([3, 3, 2, 1]), real([1, 1, 2, 3])], (x: tf.Tensor4D, d: tf.Tensor4D, p: tf.Tensor4D) => tf.separableConv2d(x, d, p, 1, "same")),

  images.differentiable("image.cropAndResize", [image, boxes, given([2], [0, 1])], (x: tf.Tensor4D, b: tf.Tensor2D, i: tf.Tensor1D) => tf.image.cropAndResize(x, b, i, [3, 3])),
  images.differentiable("image.flipLeftRight", [image], (x: tf.Tensor4D) => tf.image.flipLeftRight(x)),
  images.differentiable("image.grayscaleToRGB", [real([2, 3, 3, 1])], (x: tf.Tensor4D) => tf.image.grayscaleToRGB(x)),
  images.differentiable("image.resizeBilinear", [image], (x: tf.Tensor4D) => tf.image.resizeBilinear(x, [4, 9])),
  images.differentiable("image.resizeNearestNeighbor", [image], (x: tf.Tensor4D) => tf.image.resizeNearestNeighbor(x, [4, 9])),
  images.differentiable("image.rgbToGrayscale", [real([2, 3, 3, 3])], (x: tf.Tensor4D) => tf.image.rgbToGrayscale(x)),
  images.differentiable("image.rotateWithOffset", [image], (x: tf.Tensor4D) => tf.image.rotateWithOffset(x, 0.5)),
  images.differentiable("image.threshold", [real([3, 3, 1], 0, 255)], (x: tf.Tensor3D) => tf.image.threshold(x)),
  images.differentiable("image.transform", [image], (x: tf.Tensor4D) => tf.image.transform(x, tf.tensor2d([[1, 0, 1, 0, 1, 1, 0, 0]]))),
  images.forward("image.nonMaxSuppression", [boxes, real([2], 0, 1)], (b: tf.Tensor2D, s: tf.Tensor1D) => tf.image.nonMaxSuppression(b, s, 2)),
  images.forward("image.nonMaxSuppressionWithScore", [boxes, real([2], 0, 1)], (b: tf.Tensor2D, s: tf.Tensor1D) => Object.values(tf.image.nonMaxSuppressionWithScore(b, s, 2)) as tf.Tensor[]),
  images.forward("image.nonMaxSuppressionPadded", [boxes, real([2], 0, 1)], (b: tf.Tensor2D, s: tf.Tensor1D) => Object.values(tf.image.nonMaxSuppressionPadded(b, s, 2)) as tf.Tensor[]),

  signals.differentiable("complex", [real([4]), real([4])], (a, b) => tf.real(tf.complex(a, b))),
  signals.differentiable("real", [real([4])], (a) => tf.real(tf.complex(a, a))),
  signals.differentiable("imag", [real([4])], (a) => tf.imag(tf.complex(a, a))),
  signals.differentiable("fft", [real([4]), real([4])], (a, b) => tf.real(tf.fft(tf.complex(a, b)))),
  signals.differentiable("ifft", [real([4]), real([4])], (a, b) => tf.real(tf.ifft(tf.complex(a, b)))),
  signals.differentiable("rfft", [real([4])], (a) => tf.real(tf.rfft(a))),
  signals.differentiable("irfft", [real([4]), real([4])], (a, b) => tf.irfft(tf.complex(a, b))),
  signals.forward("signal.hammingWindow", [], () => tf.signal.hammingWindow(5)),
  signals.forward("signal.hannWindow", [], () => tf.signal.hannWindow(5)),
  signals.differentiable("signal.frame", [real([6])], (x: tf.Tensor1D) => tf.signal.frame(x, 3, 2)),
  signals.differentiable("signal.stft", [real([8])], (x: tf.Tensor1D) => tf.real(tf.signal.stft(x, 4, 2))),
];
