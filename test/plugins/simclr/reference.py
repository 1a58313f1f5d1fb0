"""Golden values of SimCLR's loss (arXiv 2002.05709, eq. 1) and of a step on known class tokens, in float64.

python3 reference.py > golden.json && npx prettier --write golden.json   # torch 1.13
"""
import json

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def waves(shape, phase, scale=1.0):
    i = np.arange(np.prod(shape))
    return torch.tensor(scale * np.sin(phase + 1.3 * i + 0.11 * i * i).reshape(shape))


def similarities(z):
    logits = F.cosine_similarity(z[:, None], z[None, :], dim=2)
    return logits.masked_fill(torch.eye(len(z), dtype=torch.bool), float("-inf"))


def nt_xent(z, samples, temperature):
    """Rows lie view by view. Each is classified among all others, once with every other view of its sample as the class."""
    rows = len(z)
    shifts = range(samples, rows, samples)
    classes = [(torch.arange(rows) + shift) % rows for shift in shifts]
    return sum(F.cross_entropy(similarities(z) / temperature, target) for target in classes) / len(shifts)


def top1(z, samples):
    nearest = similarities(z).argmax(1)
    return (nearest % samples == torch.arange(len(z)) % samples).double().mean().item()


def flat(x):
    return [float(f"{value:.9g}") for value in x.detach().flatten().tolist()]


def loss_case(views, samples, temperature):
    z = waves((views * samples, 5), 3).requires_grad_()
    loss = nt_xent(z, samples, temperature)
    loss.backward()
    return {
        "views": views,
        "samples": samples,
        "temperature": temperature,
        "loss": loss.item(),
        "top1": top1(z, samples),
        "gradient": flat(z.grad),
    }


def step(samples=4, hidden=3, out=5, temperature=0.5):
    head = nn.Sequential(
        nn.Linear(32, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(),
        nn.Linear(hidden, out, bias=False), nn.BatchNorm1d(out),
    ).double().train()  # fmt: skip
    with torch.no_grad():
        for k, parameter in enumerate(head.parameters()):
            parameter.copy_(waves(tuple(parameter.shape), k))
    z = head(waves((2 * samples, 32), 60))
    loss = nt_xent(z, samples, temperature)
    loss.backward()
    return {
        "scalars": {"loss/simclr": loss.item(), "metric/simclr.top1": top1(z, samples)},
        "gradients": {f"simclr.projector.{name}": flat(p.grad) for name, p in head.named_parameters()},
        "buffers": {
            f"student/simclr.projector.{name}": flat(b)
            for name, b in head.named_buffers()
            if "running" in name
        },
    }


print(json.dumps({
    "losses": [loss_case(2, 4, 0.1), loss_case(2, 4, 0.5), loss_case(3, 3, 0.2)],
    "step": step(),
}))  # fmt: skip
