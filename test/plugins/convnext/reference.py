"""ConvNeXt (arXiv 2201.03545) in plain torch ops, float64: features and gradients of a small one.

python3 reference.py > golden.json && npx prettier --write golden.json   # torch 1.13

Weights, pixels and the direction of the loss come from formulas, which plugin.test.ts has too. A gradient is told by its
length and its products with three directions.
"""
import json
import math

import torch
import torch.nn.functional as F

CHANNELS, DEPTHS, DIMS = 2, [1, 1, 2, 1], [4, 6, 8, 10]
IMAGES, SIZE = 2, 64


def waves(count, phase):
    """sin(0.37 (i + 1)^2 + phase): no two rows of a matrix are alike."""
    i = torch.arange(1, count + 1, dtype=torch.float64)
    return torch.sin(0.37 * i * i + phase)


def shapes():
    """Of every parameter, by the official names, in a fixed order."""
    norm = lambda name, width: [(f"{name}.weight", [width]), (f"{name}.bias", [width])]
    layer = lambda name, *shape: [(f"{name}.weight", list(shape)), (f"{name}.bias", [shape[0]])]
    yield from layer("downsample_layers.0.0", DIMS[0], CHANNELS, 4, 4)
    yield from norm("downsample_layers.0.1", DIMS[0])
    for s in range(1, len(DIMS)):
        yield from norm(f"downsample_layers.{s}.0", DIMS[s - 1])
        yield from layer(f"downsample_layers.{s}.1", DIMS[s], DIMS[s - 1], 2, 2)
    for s, (depth, width) in enumerate(zip(DEPTHS, DIMS)):
        for i in range(depth):
            block = f"stages.{s}.{i}"
            yield f"{block}.gamma", [width]
            yield from layer(f"{block}.dwconv", width, 1, 7, 7)
            yield from norm(f"{block}.norm", width)
            yield from layer(f"{block}.pwconv1", 4 * width, width)
            yield from layer(f"{block}.pwconv2", width, 4 * width)
    yield from norm("norm", DIMS[-1])


def weights():
    made = {}
    for n, (name, shape) in enumerate(shapes()):
        wave = waves(math.prod(shape), n)
        if name.endswith("gamma"):
            value = 0.5 + 0.2 * wave
        elif name.endswith("bias"):
            value = 0.1 * wave
        elif len(shape) == 1:
            value = 1 + 0.2 * wave
        else:
            value = wave * 1.4 / math.sqrt(math.prod(shape[1:]))
        made[name] = value.reshape(shape).requires_grad_()
    return made


def layer_norm(p, name, x):
    """Over the channels of [B, C, H, W]."""
    mean = x.mean(1, keepdim=True)
    variance = ((x - mean) ** 2).mean(1, keepdim=True)
    weight, bias = (p[f"{name}.{kind}"][:, None, None] for kind in ("weight", "bias"))
    return (x - mean) / torch.sqrt(variance + 1e-6) * weight + bias


def convolution(p, name, x, **options):
    return F.conv2d(x, p[f"{name}.weight"], p[f"{name}.bias"], **options)


def pointwise(p, name, x):
    return F.conv2d(x, p[f"{name}.weight"][:, :, None, None], p[f"{name}.bias"])


def gelu(x):
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def network(p, x, keep):
    """[B, C, H, W] pixels to [B, C', H', W'] before the final norm. keep: [blocks, B]"""
    index = 0
    for s, (depth, width) in enumerate(zip(DEPTHS, DIMS)):
        down = f"downsample_layers.{s}"
        if s == 0:
            x = layer_norm(p, f"{down}.1", convolution(p, f"{down}.0", x, stride=4))
        else:
            x = convolution(p, f"{down}.1", layer_norm(p, f"{down}.0", x), stride=2)
        for i in range(depth):
            block = f"stages.{s}.{i}"
            y = convolution(p, f"{block}.dwconv", x, padding=3, groups=width)
            y = pointwise(p, f"{block}.pwconv1", layer_norm(p, f"{block}.norm", y))
            y = pointwise(p, f"{block}.pwconv2", gelu(y))
            x = x + keep[index][:, None, None, None] * p[f"{block}.gamma"][:, None, None] * y
            index += 1
    return x


def main():
    p = weights()
    pixels = waves(IMAGES * SIZE * SIZE * CHANNELS, 0.5).reshape(IMAGES, SIZE, SIZE, CHANNELS)
    blocks = sum(DEPTHS)
    keep = 1 + 0.25 * waves(blocks * IMAGES, 0.7).reshape(blocks, IMAGES)
    maps = network(p, pixels.permute(0, 3, 1, 2), keep)
    patches = layer_norm(p, "norm", maps).permute(0, 2, 3, 1)  # [B, H', W', C']
    image = layer_norm(p, "norm", maps.mean((2, 3), keepdim=True)).flatten(1)  # [B, C']
    loss = (patches.flatten() * waves(patches.numel(), 0.2)).sum()
    loss = loss + (image.flatten() * waves(image.numel(), 0.4)).sum()
    loss.backward()

    short = lambda values: [float(f"{v:.9g}") for v in values]
    gradients = {}
    for name, value in p.items():
        gradient = value.grad.flatten()
        products = [gradient @ waves(gradient.numel(), phase) for phase in (1, 2, 3)]
        gradients[name] = short([gradient.norm(), *products])
    features = {"patches": short(patches.flatten()), "image": short(image.flatten())}
    print(json.dumps({**features, "gradients": gradients}, separators=(",", ":")))


if __name__ == "__main__":
    main()
