import * as tf from "@tensorflow/tfjs-core";
import { given, group, real } from "./op-case.ts";

type Image = tf.Tensor4D;
type Filter = tf.Tensor4D;

const convolutions = group("Convolution and pooling");
const images = group("Images");
const signals = group("Signals and complex numbers");

const image = real([2, 6, 6, 2]);
const volume = real([1, 3, 4, 4, 2]);
const complex = [real([4]), real([4])];

export const spatial = [
  convolutions.differentiable("avgPool", [image], (x: Image) => tf.avgPool(x, 3, 2, "valid")),
  // The cpu backend divides by the whole window at the edges too.
  convolutions.wrongOnCpu("avgPool", [image], (x: Image) => tf.avgPool(x, 3, 2, "same")),
  convolutions.differentiable("avgPool3d", [volume], (x: tf.Tensor5D) => tf.avgPool3d(x, 2, 1, "valid")),
  convolutions.differentiable(
    "conv1d",
    [real([2, 5, 3]), real([2, 3, 4])],
    (x: tf.Tensor3D, filter: tf.Tensor3D) => tf.conv1d(x, filter, 1, "same"),
  ),
  convolutions.differentiable("conv2d", [image, real([3, 3, 2, 3])], (x: Image, filter: Filter) =>
    tf.conv2d(x, filter, 2, "same"),
  ),
  convolutions.differentiable("conv2d", [image, real([2, 2, 2, 3])], (x: Image, filter: Filter) =>
    tf.conv2d(x, filter, 2, "valid"),
  ),
  convolutions.differentiable(
    "conv2dTranspose",
    [real([1, 3, 3, 2]), real([2, 2, 3, 2])],
    (x: Image, filter: Filter) => tf.conv2dTranspose(x, filter, [1, 6, 6, 3], 2, "same"),
  ),
  convolutions.differentiable(
    "conv3d",
    [volume, real([2, 2, 2, 2, 3])],
    (x: tf.Tensor5D, filter: tf.Tensor5D) => tf.conv3d(x, filter, 1, "valid"),
  ),
  convolutions.forward(
    "conv3dTranspose",
    [volume, real([2, 2, 2, 3, 2])],
    (x: tf.Tensor5D, filter: tf.Tensor5D) => tf.conv3dTranspose(x, filter, [1, 3, 4, 4, 3], 1, "same"),
  ),
  convolutions.differentiable("depthwiseConv2d", [image, real([3, 3, 2, 2])], (x: Image, filter: Filter) =>
    tf.depthwiseConv2d(x, filter, 2, "same"),
  ),
  convolutions.differentiable("dilation2d", [image, real([2, 2, 2])], (x: Image, filter: tf.Tensor3D) =>
    tf.dilation2d(x, filter, 1, "same"),
  ),
  convolutions.differentiable(
    "fused.conv2d",
    [image, real([3, 3, 2, 3]), real([3])],
    (x: Image, filter: Filter, bias) =>
      tf.fused.conv2d({ x, filter, bias, strides: 1, pad: "same", activation: "relu" }),
  ),
  convolutions.differentiable(
    "fused.depthwiseConv2d",
    [image, real([3, 3, 2, 1]), real([2])],
    (x: Image, filter: Filter, bias) =>
      tf.fused.depthwiseConv2d({ x, filter, bias, strides: 1, pad: "same" }),
  ),
  convolutions.differentiable("maxPool", [image], (x: Image) => tf.maxPool(x, 3, 2, "same")),
  convolutions.differentiable("maxPool3d", [volume], (x: tf.Tensor5D) => tf.maxPool3d(x, 2, 1, "valid")),
  convolutions.differentiable("pool", [image], (x: Image) => tf.pool(x, 2, "max", "valid", 1, 2)),
  convolutions.differentiable(
    "separableConv2d",
    [image, real([3, 3, 2, 1]), real([1, 1, 2, 3])],
    (x: Image, depthwise: Filter, pointwise: Filter) =>
      tf.separableConv2d(x, depthwise, pointwise, 1, "same"),
  ),

  images.forward(
    "image.cropAndResize",
    [image, real([2, 4], 0, 1), given([2], [0, 1])],
    (x: Image, boxes: tf.Tensor2D, i: tf.Tensor1D) => tf.image.cropAndResize(x, boxes, i, [3, 3]),
  ),
  images.forward("image.flipLeftRight", [image], (x: Image) => tf.image.flipLeftRight(x)),
  images.differentiable("image.grayscaleToRGB", [real([2, 3, 3, 1])], (x: Image) =>
    tf.image.grayscaleToRGB(x),
  ),
  images.differentiable("image.resizeBilinear", [image], (x: Image) => tf.image.resizeBilinear(x, [4, 9])),
  images.differentiable("image.resizeBilinear", [image], (x: Image) =>
    tf.image.resizeBilinear(x, [4, 9], true),
  ),
  // The cpu backend's gradients know nothing of half-pixel centers.
  images.wrongOnCpu("image.resizeBilinear", [image], (x: Image) =>
    tf.image.resizeBilinear(x, [4, 9], false, true),
  ),
  images.wrongOnCpu("image.resizeNearestNeighbor", [image], (x: Image) =>
    tf.image.resizeNearestNeighbor(x, [4, 9], false, true),
  ),
  images.differentiable("image.resizeNearestNeighbor", [image], (x: Image) =>
    tf.image.resizeNearestNeighbor(x, [4, 9]),
  ),
  images.forward("image.rgbToGrayscale", [real([2, 3, 3, 3])], (x: Image) => tf.image.rgbToGrayscale(x)),
  images.forward("image.threshold", [real([3, 3, 1], 0, 255)], (x: tf.Tensor3D) => tf.image.threshold(x)),

  signals.forward("complex", complex, (a, b) => tf.imag(tf.complex(a, b))),
  signals.forward("fft", complex, (a, b) => tf.real(tf.fft(tf.complex(a, b)))),
  signals.forward("ifft", complex, (a, b) => tf.imag(tf.ifft(tf.complex(a, b)))),
  signals.forward("imag", complex, (a, b) => tf.imag(tf.mul(tf.complex(a, b), tf.complex(b, a)))),
  signals.forward("irfft", complex, (a, b) => tf.irfft(tf.complex(a, b))),
  signals.forward("real", complex, (a, b) => tf.real(tf.mul(tf.complex(a, b), tf.complex(b, a)))),
  signals.forward("rfft", [real([4])], (a) => tf.real(tf.rfft(a))),
  signals.differentiable("signal.frame", [real([6])], (x: tf.Tensor1D) => tf.signal.frame(x, 3, 2)),
  signals.forward("signal.hammingWindow", [], () => tf.signal.hammingWindow(5)),
  signals.forward("signal.hannWindow", [], () => tf.signal.hannWindow(5)),
  signals.forward("signal.stft", [real([8])], (x: tf.Tensor1D) => tf.real(tf.signal.stft(x, 4, 2))),
];
