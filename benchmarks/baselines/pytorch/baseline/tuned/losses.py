"""The losses of DINO, iBOT and SERE over two global views and any number of local ones."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..overlap import sampling
from ..spec import ChannelRelation, PixelRelation


def cross_entropy(target: Tensor, logits: Tensor) -> Tensor:
    """Of each row; `target` are probabilities. Both broadcast."""
    return -(target * F.log_softmax(logits.float(), -1)).sum(-1)


def centered(logits: Tensor, center: Tensor, temp: Tensor) -> Tensor:
    """The teacher's distributions over prototypes."""
    return F.softmax((logits.float() - center) / temp, -1)


def swap_halves(x: Tensor) -> Tensor:
    """Each global view in the place of the other."""
    return x.roll(len(x) // 2, 0)


def dino_loss(teacher: Tensor, student: Tensor, temp: float) -> Tensor:
    """Every student view predicts the teacher's of all other global views, [2 B, K] and [V B, K]."""
    globals_ = len(teacher)
    batch = globals_ // 2
    views = len(student) // batch
    # Cross-entropy is linear in the target: a local view is compared once, with the mean of both.
    rows = student.float() / temp
    of_globals = cross_entropy(swap_halves(teacher), rows[:globals_]).sum()
    both = teacher.unflatten(0, (2, batch)).mean(0)
    of_locals = cross_entropy(both, rows[globals_:].unflatten(0, (views - 2, batch))).sum() if views > 2 else 0
    return (of_globals + 2 * of_locals) / (2 * (views - 1) * batch)


def ibot_loss(teacher: Tensor, student: Tensor, weights: Tensor, temp: float) -> Tensor:
    """Masked patches predict the teacher's distribution of the same patches, [M, K] both; weights [M]."""
    return torch.dot(cross_entropy(teacher, student.float() / temp), weights)


def mean_over_pairs(of_globals: Tensor, of_locals: Tensor | None, views: int) -> Tensor:
    """Of the means over the pairs of both global views, and over those of either with each local view."""
    return of_globals if of_locals is None else (of_globals + views * of_locals) / (1 + views)


def pixel_loss(
    teacher: Tensor, student: dict[str, Tensor], rects: dict[str, Tensor], spec: PixelRelation, heads: int
) -> Tensor:
    """How points of the overlap of two views relate to each other, teacher's [2 B, N, D] against student's features."""

    def relation(features: Tensor) -> Tensor:
        """[P, T, D] -> [P, h, T, T]"""
        f = features.unflatten(-1, (heads, -1)).transpose(-3, -2) * (features.shape[-1] // heads) ** -0.25
        return f @ f.mT

    def compare(teacher: Tensor, student: Tensor) -> Tensor:
        target = F.softmax(relation(teacher).float() / spec.teacher_temp, -1)
        return cross_entropy(target, relation(student)).mean()

    def side(features: Tensor) -> int:
        return round(features.shape[1] ** 0.5)

    own = rects["global"]
    points = sampling(own, swap_halves(own), spec.overlap_side["global"], side(teacher))
    # The student's view is the other one: what it shares with the teacher's lies in the other half.
    of_globals = compare(points @ teacher, swap_halves(points @ student["global"]))
    if "local" not in student:
        return of_globals
    batch = len(own) // 2
    views = len(student["local"]) // batch
    globals_ = own.view(2, 1, batch, 5)
    locals_ = rects["local"].view(1, views, batch, 5)
    local_side = spec.overlap_side["local"]
    in_global = sampling(globals_, locals_, local_side, side(teacher))  # [2, V, B, T, N]
    in_local = sampling(locals_, globals_, local_side, side(student["local"]))
    ours = in_global @ teacher.unflatten(0, (2, 1, batch))  # [2, V, B, T, D]
    theirs = in_local @ student["local"].unflatten(0, (1, views, batch))
    return mean_over_pairs(of_globals, compare(ours, theirs), views)


def channel_loss(teacher: Tensor, student: dict[str, Tensor], spec: ChannelRelation) -> Tensor:
    """How channels relate to each other in a view, teacher's [2 B, N, D] against student's features."""

    def relation(features: Tensor, group: str) -> Tensor:
        """[B, N, D] -> [B, D, D]"""
        f = features / spec.divisor[group]
        return f.mT @ f

    target = F.softmax(relation(teacher, "global").float() / spec.teacher_temp, -1)
    of_globals = cross_entropy(swap_halves(target), relation(student["global"], "global")).mean()
    if "local" not in student:
        return of_globals
    batch = len(teacher) // 2
    views = len(student["local"]) // batch
    both = target.unflatten(0, (2, batch)).mean(0)
    logits = relation(student["local"], "local").unflatten(0, (views, batch))
    return mean_over_pairs(of_globals, cross_entropy(both, logits).mean(), views)
