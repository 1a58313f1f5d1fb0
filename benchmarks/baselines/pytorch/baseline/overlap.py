"""Where two crops of an image overlap, in the tokens of either (SERE)."""

import torch
from torch import Tensor


def sampling(own: Tensor, other: Tensor, points: int, tokens: int) -> Tensor:
    """Bilinear weights of `own`'s tokens at points x points places of its overlap with `other`, edge to edge.

    own, other [..., 5]: x, y, width, height, flip. Gives [..., points^2, tokens^2]; zero where there is no overlap."""
    low = torch.maximum(own[..., :2], other[..., :2])
    high = torch.minimum(own[..., :2] + own[..., 2:4], other[..., :2] + other[..., 2:4])
    overlaps = (low < high).all(-1)[..., None, None]
    steps = torch.linspace(0, 1, points, device=own.device)
    at = (low[..., None] - own[..., :2, None] + steps * (high - low)[..., None]) / own[..., 2:4, None]  # [..., 2, points]
    x, y = at.unbind(-2)
    x = torch.where(own[..., 4:] > 0, 1 - x, x)

    def weights(at: Tensor) -> Tensor:
        """[..., points, tokens]; beyond the outermost tokens there is nothing."""
        middles = torch.arange(tokens, device=at.device)
        near = 1 - (at[..., None] * tokens - 0.5 - middles).abs()
        return torch.where(overlaps, near.clamp(min=0), 0)

    both = weights(y)[..., :, None, :, None] * weights(x)[..., None, :, None, :]
    return both.flatten(-4, -3).flatten(-2)
