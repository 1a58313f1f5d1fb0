"""The Gram loss of DINOv3 (arXiv 2508.10104, eq. 2) in float64, its targets resampled, and the student's gradient.

python3 reference.py > golden.json && npx prettier --write golden.json   # torch 1.13
"""
import json
import torch
from torch.nn.functional import interpolate, mse_loss, normalize

n, D = 2, 3


def wave(side, a, b):
    i = torch.arange(n * side * side * D, dtype=torch.float64)
    return (torch.sin(a * i) + 0.5 * torch.cos(b * i)).reshape(n, side * side, D)


def resampled(x, side, to):
    image = x.transpose(1, 2).reshape(n, D, side, side)
    small = interpolate(image, size=(to, to), mode="bicubic", align_corners=False)
    return small.flatten(2).transpose(1, 2)


def case(side, to):
    student = wave(to, 0.7, 1.9).requires_grad_()
    targets = resampled(wave(side, 0.3, 1.1), side, to)
    similarities = lambda x: normalize(x, dim=-1) @ normalize(x, dim=-1).transpose(1, 2)
    loss = mse_loss(similarities(student), similarities(targets))
    (gradient,) = torch.autograd.grad(loss, student)
    return {
        "side": side,
        "to": to,
        "targets": targets.flatten().tolist(),
        "loss": loss.item(),
        "gradient": gradient.flatten().tolist(),
    }


print(json.dumps([case(4, 2), case(5, 3), case(3, 3)]))
