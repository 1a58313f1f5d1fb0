"""Targets of Sinkhorn-Knopp in float64, as golden.json.

python3 reference.py > golden.json && npx prettier --write golden.json   # torch 1.13

SwAV (arXiv 2006.09882), eq. 5: Q = Diag(u) exp(C^T Z / eps) Diag(v), found by scaling the prototypes' sums to 1/K and
the samples' sums to 1/B in turns.
"""
import json

import torch

R, K = 6, 5


def logits(scale):
    r = torch.arange(R, dtype=torch.float64)[:, None]
    k = torch.arange(K, dtype=torch.float64)[None, :]
    return scale * (torch.sin(1.3 * r + 0.7 * k) + 0.5 * torch.cos(2.9 * r * k))


def sinkhorn(scores, epsilon, iterations):
    Q = torch.exp(scores / epsilon)  # [B, K]
    B = Q.shape[0]
    for _ in range(iterations):
        Q = Q / Q.sum(dim=0, keepdim=True) / K
        Q = Q / Q.sum(dim=1, keepdim=True) / B
    return Q * B


def case(scale, epsilon, iterations, used):
    rows = [r for r in range(R) if used[r]]
    targets = sinkhorn(logits(scale)[rows], epsilon, iterations)
    return {
        "scale": scale,
        "temperature": epsilon,
        "iterations": iterations,
        "used": used,
        "targets": {r: [round(q, 9) for q in row] for r, row in zip(rows, targets.tolist())},
    }


everyone, some = [1, 1, 1, 1, 1, 1], [1, 0, 1, 1, 0, 1]
cases = [case(1, 0.5, 3, everyone), case(1, 0.05, 3, everyone), case(1, 0.07, 1, some), case(0.3, 0.07, 3, some)]
print(json.dumps({"rows": R, "prototypes": K, "cases": cases}, indent=1))
