"""Targets and loss of data2vec (arXiv 2202.03555, sections 3.3 and 3.4) in float64, and the gradient of the predictions.

python3 reference.py > golden.json && npx prettier --write golden.json   # torch 1.13
"""
import json
import torch
from torch.nn.functional import layer_norm, smooth_l1_loss

K, M, D = 3, 6, 5
n = torch.arange(M * D, dtype=torch.float64).reshape(M, D)
blocks = [(1 + l) * torch.sin(0.7 * n + 1.3 * l) + 0.2 * l for l in range(K)]
weights = torch.tensor([1 / 8, 1 / 8, 1 / 4, 1 / 12, 1 / 12, 0], dtype=torch.float64)


def targets(normalize):
    mean = sum(layer_norm(a, (D,)) for a in blocks) / K
    return layer_norm(mean, (D,)) if normalize else mean


def loss_of(normalize, beta):
    predictions = (2 * torch.cos(0.9 * n)).requires_grad_()
    losses = smooth_l1_loss(predictions, targets(normalize), beta=beta, reduction="none").mean(1)
    loss = (losses * weights).sum()
    (gradient,) = torch.autograd.grad(loss, predictions)
    return {"normalize": normalize, "beta": beta, "loss": loss.item(), "gradient": gradient.flatten().tolist()}


golden = {
    "targets": {str(flag).lower(): targets(flag).flatten().tolist() for flag in (True, False)},
    "losses": [loss_of(normalize, beta) for normalize in (True, False) for beta in (2.0, 0.5)],
}
print(json.dumps(golden))
