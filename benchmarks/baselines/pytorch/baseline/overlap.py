"""Where two crops of an image overlap, in the tokens of either (SERE). Crops are [..., 5]: x, y, width, height, flip."""

import torch
from torch import Tensor


def places(own: Tensor, other: Tensor, points: int) -> tuple[Tensor, Tensor, Tensor]:
    """x and y [..., points] in `own`, of 0..1, of points x points places of its overlap with `other`, edge to edge;
    whether there is an overlap [...]."""
    low = torch.maximum(own[..., :2], other[..., :2])
    high = torch.minimum(own[..., :2] + own[..., 2:4], other[..., :2] + other[..., 2:4])
    steps = torch.linspace(0, 1, points, device=own.device)
    at = (low[..., None] - own[..., :2, None] + steps * (high - low)[..., None]) / own[..., 2:4, None]  # [..., 2, points]
    x, y = at.unbind(-2)
    return torch.where(own[..., 4:] > 0, 1 - x, x), y, (low < high).all(-1)


def sampling(own: Tensor, other: Tensor, points: int, tokens: int) -> Tensor:
    """Bilinear weights of `own`'s tokens at those places: [..., points^2, tokens^2]; zero where there is no overlap."""
    x, y, overlaps = places(own, other, points)

    def weights(at: Tensor) -> Tensor:
        """[..., points, tokens]; beyond the outermost tokens there is nothing."""
        middles = torch.arange(tokens, device=at.device)
        near = 1 - (at[..., None] * tokens - 0.5 - middles).abs()
        return torch.where(overlaps[..., None, None], near.clamp(min=0), 0)

    both = weights(y)[..., :, None, :, None] * weights(x)[..., None, :, None, :]
    return both.flatten(-4, -3).flatten(-2)


def sampling_grid(own: Tensor, other: Tensor, points: int) -> Tensor:
    """Those places as F.grid_sample has them, -1..1: [B, points, points, 2]; outside where there is no overlap."""
    x, y, overlaps = places(own, other, points)
    grid = torch.stack(torch.broadcast_tensors(x[:, None, :], y[:, :, None]), -1)
    return torch.where(overlaps[:, None, None, None], 2 * grid - 1, -2)
