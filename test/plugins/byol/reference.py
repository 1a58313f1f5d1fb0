"""Golden values of BYOL's loss (arXiv 2006.07733, eq. 2) and of a step on known class tokens, in float64.

python3 reference.py > golden.json && npx prettier --write golden.json   # torch 1.13
"""
import json
from itertools import permutations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def waves(shape, phase, scale=1.0):
    i = np.arange(np.prod(shape))
    return torch.tensor(scale * np.sin(phase + 1.3 * i + 0.11 * i * i).reshape(shape))


def byol(predictions, targets):
    pairs = list(permutations(range(len(predictions)), 2))
    cosines = [F.cosine_similarity(predictions[v], targets[w].detach(), dim=1).mean() for v, w in pairs]
    return 2 - 2 * sum(cosines) / len(pairs)


def flat(x):
    return [float(f"{value:.9g}") for value in x.detach().flatten().tolist()]


def loss_case(views, samples):
    predictions = [waves((samples, 5), 3 + v).requires_grad_() for v in range(views)]
    loss = byol(predictions, [waves((samples, 5), 13 + v) for v in range(views)])
    loss.backward()
    return {
        "views": views,
        "samples": samples,
        "loss": loss.item(),
        "gradients": [flat(q.grad) for q in predictions],
    }


def mlp(inputs, hidden, outputs, phase):
    model = nn.Sequential(
        nn.Linear(inputs, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, outputs)
    ).double().train()  # fmt: skip
    with torch.no_grad():
        for k, parameter in enumerate(model.parameters()):
            parameter.copy_(waves(tuple(parameter.shape), phase + k))
    return model


def step(samples=4, hidden=4, out=3):
    projector = mlp(32, hidden, out, 0)
    predictor = mlp(out, hidden, out, 5)
    teacher = mlp(32, hidden, out, 30)
    # One view after the other: BatchNorm sees one at a time, and its running statistics move twice.
    views = waves((2 * samples, 32), 60).split(samples)
    predictions = [predictor(z) for z in [projector(view) for view in views]]
    targets = [teacher(view) for view in waves((2 * samples, 32), 70).split(samples)]
    loss = byol(predictions, targets)
    loss.backward()
    student = {"byol.projector": projector, "byol.predictor": predictor}
    return {
        "scalars": {"loss/byol": loss.item()},
        "gradients": {
            f"{head}.{name}": flat(p.grad)
            for head, model in student.items()
            for name, p in model.named_parameters()
        },
        "buffers": {
            f"{prefix}.{name}": flat(b)
            for prefix, model in [
                ("student/byol.projector", projector),
                ("student/byol.predictor", predictor),
                ("teacher/byol.projector", teacher),
            ]
            for name, b in model.named_buffers()
            if "running" in name
        },
    }


print(json.dumps({"losses": [loss_case(2, 4), loss_case(3, 2)], "step": step()}))
