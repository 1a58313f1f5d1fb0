"""Golden values of MAE (arXiv 2111.06377) in float64.

python3 reference.py > golden.json && npx prettier --write golden.json   # torch 1.13

Written as the paper tells it: the sequence is put back into the order of the patches before the decoder, and the
decoder predicts all patches, of which the loss takes the dropped ones.
"""
import json
import math

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)

IMAGES, ROWS, COLUMNS, PATCH, CHANNELS = 2, 2, 3, 2, 3
ENCODER, DIM, DEPTH, HEADS = 6, 8, 2, 2
KEPT = [[4, 1], [2, 5]]
DROPPED = [[0, 5, 3, 2], [1, 3, 0, 4]]
N = ROWS * COLUMNS
VALUES = PATCH * PATCH * CHANNELS


def formula(name, shape, scale=1.0):
    """scale * sin(0.13 i^2 + 0.7 i + sum of the name's character codes), row-major."""
    i = torch.arange(math.prod(shape))
    angles = 0.13 * i**2 + 0.7 * i + sum(map(ord, name))
    return (scale * torch.sin(angles)).reshape(shape).requires_grad_()


def positions():
    """Half of the features tell the column, half the row; of each half, sines then cosines."""
    quarter = DIM // 4
    rates = 10000.0 ** (-torch.arange(quarter) / quarter)
    table = torch.zeros(ROWS, COLUMNS, DIM)
    for y in range(ROWS):
        for x in range(COLUMNS):
            table[y, x] = torch.cat([f(at * rates) for at in (x, y) for f in (torch.sin, torch.cos)])
    return table.reshape(N, DIM)


def targets(images, normalised):
    """Pixels of the dropped patches, (y, x, channel) in each."""
    result = []
    for image, dropped in zip(images, DROPPED):
        for patch in dropped:
            top, left = PATCH * (patch // COLUMNS), PATCH * (patch % COLUMNS)
            pixels = image[top : top + PATCH, left : left + PATCH].reshape(-1)
            if normalised:
                pixels = (pixels - pixels.mean()) / (pixels.var(unbiased=True) + 1e-6).sqrt()
            result.append(pixels)
    return torch.stack(result).reshape(IMAGES, len(DROPPED[0]), VALUES)


def parameters():
    shapes = {"embed.weight": (DIM, ENCODER), "embed.bias": (DIM,), "mask_token": (1, 1, DIM)}
    for i in range(DEPTH):
        for name, shape in {
            "norm1.weight": (DIM,),
            "norm1.bias": (DIM,),
            "attn.qkv.weight": (3 * DIM, DIM),
            "attn.qkv.bias": (3 * DIM,),
            "attn.proj.weight": (DIM, DIM),
            "attn.proj.bias": (DIM,),
            "norm2.weight": (DIM,),
            "norm2.bias": (DIM,),
            "mlp.fc1.weight": (4 * DIM, DIM),
            "mlp.fc1.bias": (4 * DIM,),
            "mlp.fc2.weight": (DIM, 4 * DIM),
            "mlp.fc2.bias": (DIM,),
        }.items():
            shapes[f"blocks.{i}.{name}"] = shape
    shapes.update({"norm.weight": (DIM,), "norm.bias": (DIM,)})
    shapes.update({"pred.weight": (VALUES, DIM), "pred.bias": (VALUES,)})
    return {name: formula(name, shape) for name, shape in shapes.items()}


def decode(p, tokens):
    """[images, 1 + kept, ENCODER], class token first, to the values of the dropped patches."""

    def norm(x, name):
        return F.layer_norm(x, (DIM,), p[f"{name}.weight"], p[f"{name}.bias"], eps=1e-6)

    def linear(x, name):
        return F.linear(x, p[f"{name}.weight"], p[f"{name}.bias"])

    embedded = linear(tokens, "embed")
    sequences = []
    for image in range(IMAGES):
        patches = [p["mask_token"].reshape(DIM)] * N
        for place, patch in enumerate(KEPT[image]):
            patches[patch] = embedded[image, 1 + place]
        placed = torch.stack(patches) + positions()
        sequences.append(torch.cat([embedded[image, :1], placed]))
    x = torch.stack(sequences)
    for i in range(DEPTH):
        qkv = linear(norm(x, f"blocks.{i}.norm1"), f"blocks.{i}.attn.qkv")
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in qkv.chunk(3, -1))
        weights = (q @ k.transpose(-1, -2) / math.sqrt(DIM // HEADS)).softmax(-1)
        x = x + linear((weights @ v).transpose(1, 2).flatten(2), f"blocks.{i}.attn.proj")
        hidden = F.gelu(linear(norm(x, f"blocks.{i}.norm2"), f"blocks.{i}.mlp.fc1"))
        x = x + linear(hidden, f"blocks.{i}.mlp.fc2")
    every = linear(norm(x, "norm"), "pred")[:, 1:]
    return torch.stack([every[image, DROPPED[image]] for image in range(IMAGES)])


def mean_squared(predicted, target):
    per_patch = ((predicted - target) ** 2).mean(-1)
    return per_patch.sum() / per_patch.numel()


def numbers(tensor):
    return [float(f"{value:.9g}") for value in tensor.detach().reshape(-1).tolist()]


def along(gradient):
    """Two projections of a gradient, which tell any two apart."""
    flat = gradient.reshape(-1)
    i = torch.arange(flat.numel())
    return numbers(torch.stack([flat @ torch.cos(0.3 * i), flat @ torch.sin(1.1 * i)]))


images = formula("images", (IMAGES, PATCH * ROWS, PATCH * COLUMNS, CHANNELS)).detach()
golden = {"positions": numbers(positions()), "losses": {}}
for name, normalised in (("normalised", True), ("plain", False)):
    predicted = formula("predicted", (IMAGES, len(DROPPED[0]), VALUES))
    loss = mean_squared(predicted, targets(images, normalised))
    loss.backward()
    golden["losses"][name] = {"value": numbers(loss), "gradient": numbers(predicted.grad)}
weights = parameters()
tokens = formula("tokens", (IMAGES, 1 + len(KEPT[0]), ENCODER))
predicted = decode(weights, tokens)
loss = mean_squared(predicted, targets(images, True))
loss.backward()
golden["decoder"] = {
    "predicted": numbers(predicted),
    "loss": numbers(loss),
    "tokens": numbers(tokens.grad),
    "parameters": {name: along(weight.grad) for name, weight in weights.items()},
}
print(json.dumps(golden))
