"""A linear classifier on given features, in float64, as golden.json.

python3 reference.py > golden.json && npx prettier --write golden.json   # torch 1.13

Three steps of torch.optim.AdamW on F.cross_entropy, which leaves out the labels -1, over the number of all samples;
the bias is not decayed.
"""
import json

import torch
import torch.nn.functional as F

VIEWS, B, N, D, C, STEPS = 2, 4, 4, 32, 4, 3
LABELS = [2, 0, -1, 2]
LR, WEIGHT_DECAY = 0.02, 0.5


def features(with_mean):
    i = torch.arange(VIEWS * B * D, dtype=torch.float64)
    cls = torch.sin(0.37 * i).reshape(VIEWS * B, D)[:B]
    j = torch.arange(VIEWS * B * N * D, dtype=torch.float64)
    patches = torch.cos(0.11 * j + 0.5).reshape(VIEWS * B, N, D)[:B]
    return torch.cat([cls, patches.mean(1)], 1) if with_mean else cls


def numbers(x):
    return [round(v, 8) for v in x.detach().flatten().tolist()]


def train(with_mean):
    x, labels = features(with_mean), torch.tensor(LABELS)
    weight = torch.zeros(C, x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(C, dtype=torch.float64, requires_grad=True)
    groups = [{"params": [weight], "weight_decay": WEIGHT_DECAY}, {"params": [bias], "weight_decay": 0}]
    optimizer = torch.optim.AdamW(groups, lr=LR, betas=(0.9, 0.999), eps=1e-8)
    losses, accuracies, gradient = [], [], None
    for _ in range(STEPS):
        logits = x @ weight.T + bias
        loss = F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum") / len(labels)
        right = (logits.argmax(1) == labels)[labels >= 0]
        optimizer.zero_grad()
        loss.backward()
        gradient = gradient or {"weight": numbers(weight.grad), "bias": numbers(bias.grad)}
        optimizer.step()
        losses.append(round(loss.item(), 8))
        accuracies.append(round(right.double().mean().item(), 8))
    figures = {"losses": losses, "accuracies": accuracies}
    trained = {"weight": numbers(weight), "bias": numbers(bias)}
    return figures if with_mean else {**figures, "gradient": gradient, "trained": trained}


print(json.dumps({"cls": train(False), "cls+mean": train(True)}))
