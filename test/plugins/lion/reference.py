"""Three steps of Lion (arXiv 2302.06675, algorithm 2) on given gradients, in float64.

python3 reference.py > golden.json && npx prettier --write golden.json
"""
import json

import torch

BETA1, BETA2, LR, DECAY = 0.9, 0.99, 0.05, 0.4
# What the gradient of a step is multiplied with: directions turn, and momenta differ from the last gradient.
SCALES = [1, -0.12, 0.02]


def waves(shape, phase):
    i = torch.arange(torch.tensor(shape).prod(), dtype=torch.float64)
    return torch.sin(phase + 1.3 * i + 0.11 * i * i).reshape(shape)


def train(shape, phase, decay):
    weight, momentum = waves(shape, phase), torch.zeros(shape, dtype=torch.float64)
    steps = []
    for step, scale in enumerate(SCALES):
        gradient = waves(shape, phase + 1) * scale + waves(shape, phase + 2) * 0.01 * step
        direction = torch.sign(torch.lerp(gradient, momentum, BETA1))
        weight = weight - LR * (direction + decay * weight)
        momentum = torch.lerp(gradient, momentum, BETA2)
        values = {"weight": weight, "momentum": momentum}
        steps.append({name: [float(f"{v:.9g}") for v in x.flatten().tolist()] for name, x in values.items()})
    return steps


print(json.dumps({"weight": train((3, 5), 1, DECAY), "bias": train((5,), 4, 0)}))
