"""The losses of DINO, iBOT and SERE, one pair of views after the other."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor


def cross_entropy(teacher: Tensor, student: Tensor) -> Tensor:
    """Of each row of logits."""
    return -(F.softmax(teacher.float(), -1) * F.log_softmax(student.float(), -1)).sum(-1)


def mean_over_pairs(views: int, compare: Callable[[int, int], Tensor]) -> Tensor:
    """Of compare(t, s), the teacher's global view t against every other view s of the student."""
    pairs = [(t, s) for t in range(2) for s in range(views) if s != t]
    return sum(compare(t, s) for t, s in pairs) / len(pairs)


def mean_of_masked(rows: Tensor, mask: Tensor) -> Tensor:
    """Of the masked patches of each image, then over images: [B, N] both."""
    return ((rows * mask).sum(1) / mask.sum(1).clamp(min=1)).mean()


def pixel_relation(features: Tensor, heads: int) -> Tensor:
    """[B, N, D] -> [B, h, N, N]"""
    f = features.unflatten(-1, (heads, -1)).transpose(1, 2)
    return (f @ f.mT) * f.shape[-1] ** -0.5


def channel_relation(features: Tensor, divisor: float) -> Tensor:
    """[B, N, D] -> [B, D, D]"""
    f = features / divisor
    return f.mT @ f


def resample(relation: Tensor, grid: Tensor) -> Tensor:
    """W R W^T: relations [B, h, N, N] of patches as [B, h, T, T] of a grid's points [B, g, g, 2]."""
    relation = relation.float()
    for _ in range(2):
        B, h, rows, N = relation.shape
        side = round(N**0.5)
        images = relation.reshape(B, h * rows, side, side)
        relation = F.grid_sample(images, grid, align_corners=False).view(B, h, rows, -1).mT
    return relation
