"""Golden values of MlpHead from PyTorch's own layers in float64, in train mode.

python3 mlp-head.reference.py > mlp-head.golden.json && npx prettier --write mlp-head.golden.json
"""
import json

import numpy as np
import torch
from torch import nn

IN, HIDDEN, OUT, ROWS = 3, 4, 2, 6


def waves(shape, phase, scale=1.0):
    i = np.arange(np.prod(shape))
    return torch.tensor(scale * np.sin(phase + 1.3 * i + 0.11 * i * i).reshape(shape))


def mlp(layers, batch_norm):
    parts = []
    for i in range(layers):
        last = i == layers - 1
        normed = batch_norm == "all" or (batch_norm == "hidden" and not last)
        width = OUT if last else HIDDEN
        parts.append(nn.Linear(IN if i == 0 else HIDDEN, width, bias=not normed))
        parts += [nn.BatchNorm1d(width)] if normed else []
        parts += [] if last else [nn.ReLU()]
    return nn.Sequential(*parts).double().train()


def flat(x):
    return [float(f"{value:.9g}") for value in x.detach().flatten().tolist()]


def case(layers, batch_norm):
    model = mlp(layers, batch_norm)
    with torch.no_grad():
        for k, parameter in enumerate(model.parameters()):
            parameter.copy_(waves(tuple(parameter.shape), k))
    rows = waves((ROWS, IN), 20, 2.0).requires_grad_()
    y = model(rows)
    (y * waves((ROWS, OUT), 40)).sum().backward()
    return {
        "layers": layers,
        "batchNorm": batch_norm,
        "y": flat(y),
        "rowsGradient": flat(rows.grad),
        "gradients": {name: flat(p.grad) for name, p in model.named_parameters()},
        "running": {name: flat(b) for name, b in model.named_buffers() if "running" in name},
    }


print(json.dumps([case(2, "hidden"), case(3, "hidden"), case(2, "all"), case(2, "none"), case(1, "hidden")]))
