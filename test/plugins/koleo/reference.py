"""Golden values of the KoLeo regulariser (arXiv 1806.03198, eq. 2) and its gradient, in float64.

python3 reference.py > golden.json && npx prettier --write golden.json   # torch 1.13
"""
import json

import numpy as np
import torch
import torch.nn.functional as F


def waves(shape, phase):
    i = np.arange(np.prod(shape))
    return torch.tensor(np.sin(phase + 1.3 * i + 0.11 * i * i).reshape(shape))


def koleo(features):
    x = F.normalize(features, dim=1)
    distances = (x.unsqueeze(1) - x.unsqueeze(0)).norm(dim=2)
    others = ~torch.eye(len(x), dtype=torch.bool)
    nearest = torch.stack([row[keep].min() for row, keep in zip(distances, others)])
    return -nearest.log().mean()


def case(n, dim, phase):
    features = waves((n, dim), phase).requires_grad_()
    loss = koleo(features)
    loss.backward()
    gradient = [float(f"{value:.9g}") for value in features.grad.flatten().tolist()]
    return {"n": n, "dim": dim, "phase": phase, "loss": loss.item(), "gradient": gradient}


print(json.dumps([case(2, 3, 1), case(6, 5, 2), case(9, 4, 3)]))
