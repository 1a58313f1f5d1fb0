"""Golden weights of linear classifiers trained by torch.optim.SGD, one learning rate after the other, in float64.

python3 linear-sweep.reference.py > linear-sweep.golden.json && npx prettier --write linear-sweep.golden.json
"""
import json

import numpy as np
import torch
from torch import nn

ROWS, DIM, CLASSES, BATCH = 8, 5, 6, 3
LRS = [0.1, 20.0, 300.0]
# The order of rows by epoch: the permutations of Random(0, "linear order", epoch).
ORDERS = [
    [3,4,5,6,1,2,7,0],
    [4,0,7,5,1,3,6,2],
    [5,6,1,7,0,3,2,4],
    [6,7,5,1,3,4,2,0],
    [4,0,2,6,3,7,5,1],
    [7,4,6,2,0,1,3,5],
]


def waves(shape, phase, scale=1.0):
    i = np.arange(np.prod(shape))
    return torch.tensor(scale * np.sin(phase + 1.3 * i + 0.11 * i * i).reshape(shape))


def train(lr, x, y, start):
    layer = nn.Linear(DIM, CLASSES).double()
    with torch.no_grad():
        layer.weight.copy_(start.T)
        layer.bias.zero_()
    optimizer = torch.optim.SGD(layer.parameters(), lr * BATCH / 256, momentum=0.9, weight_decay=0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(ORDERS), eta_min=0)
    for order in ORDERS:
        for rows in torch.tensor(order).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(layer(x[rows]), y[rows]).backward()
            optimizer.step()
        scheduler.step()
    return layer


x = waves((ROWS, DIM), 1)
y = torch.arange(ROWS) % CLASSES
start = waves((DIM, CLASSES), 2, 0.1)
layers = [train(lr, x, y, start) for lr in LRS]


def rounded(values):
    return [float(f"{value:.8g}") for value in values.flatten().tolist()]


def places(layer):
    scores = layer(x)
    return (scores > scores.gather(1, y[:, None])).sum(1)


result = {
    "lrs": LRS,
    "orders": ORDERS,
    "weights": [rounded(layer.weight.T.detach()) for layer in layers],
    "biases": [rounded(layer.bias.detach()) for layer in layers],
    "top1": [(places(layer) < 1).double().mean().item() for layer in layers],
    "top5": [(places(layer) < 5).double().mean().item() for layer in layers],
}
print(json.dumps(result))
