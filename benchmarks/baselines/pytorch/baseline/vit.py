"""The vision transformer of DINO: pre-norm blocks, a class token, positions that are interpolated."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .spec import Vit

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""softmax(q k^T / sqrt(d)) v of queries [B, h, Q, d], keys and values [B, h, T, d]."""


def linear_of(layer: nn.Linear, x: Tensor, begin: int, end: int | None) -> Tensor:
    """Some of the layer's outputs."""
    return F.linear(x, layer.weight[begin:end], layer.bias[begin:end])


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int, attend: Attend):
        super().__init__()
        self.heads = heads
        self.attend = attend
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, cls_only: bool) -> Tensor:
        """[B, T, D] -> [B, T, D], or of the class token alone [B, 1, D]."""
        B, T, D = x.shape
        heads = (self.heads, D // self.heads)
        if cls_only:
            q = linear_of(self.qkv, x[:, :1], 0, D).view(B, 1, *heads).transpose(1, 2)
            k, v = linear_of(self.qkv, x, D, None).view(B, T, 2, *heads).permute(2, 0, 3, 1, 4)
        else:
            q, k, v = self.qkv(x).view(B, T, 3, *heads).permute(2, 0, 3, 1, 4)  # [B, h, T, d] each
        return self.proj(self.attend(q, k, v).transpose(1, 2).reshape(B, -1, D))


class Mlp(nn.Module):
    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, dim: int, heads: int, hidden: int, attend: Attend):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, heads, attend)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, hidden)

    def forward(self, x: Tensor, keep: Tensor | None, cls_only: bool) -> Tensor:
        """`keep` [2, B] multiplies both branches of each sample."""

        def residual(x: Tensor, branch: Tensor, i: int) -> Tensor:
            return x + branch if keep is None else torch.addcmul(x, branch, keep[i].view(-1, 1, 1))

        y = self.attn(self.norm1(x), cls_only)
        x = residual(x[:, :1] if cls_only else x, y, 0)
        return residual(x, self.mlp(self.norm2(x)), 1)


class PatchEmbed(nn.Module):
    def __init__(self, patch: int, dim: int):
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch, stride=patch)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, S, S] -> [B, N, D], row by row."""
        return self.proj(images).flatten(2).transpose(1, 2)


class VisionTransformer(nn.Module):
    def __init__(self, spec: Vit, masked: bool, attend: Attend):
        super().__init__()
        D = spec.embed_dim
        self.grid = spec.image_size // spec.patch_size
        self.cls_token = nn.Parameter(torch.empty(1, 1, D))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + self.grid**2, D))
        self.masked_embed = nn.Parameter(torch.empty(1, D)) if masked else None
        self.patch_embed = PatchEmbed(spec.patch_size, D)
        hidden = round(D * spec.mlp_ratio)
        self.blocks = nn.ModuleList(Block(D, spec.num_heads, hidden, attend) for _ in range(spec.depth))
        self.norm = nn.LayerNorm(D, eps=1e-6)

    def positions(self, side: int) -> Tensor:
        """[1, 1 + side^2, D]"""
        if side == self.grid:
            return self.pos_embed
        cls, patches = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        image = patches.unflatten(1, (self.grid, self.grid)).permute(0, 3, 1, 2)
        # DINO's 0.1 keeps the size from being rounded down, and is part of the scale.
        scale = (side + 0.1) / self.grid
        resampled = F.interpolate(image, scale_factor=(scale, scale), mode="bicubic")
        return torch.cat([cls, resampled.flatten(2).transpose(1, 2)], 1)

    def forward(
        self, images: Tensor, *, keep: Tensor | None = None, mask: Tensor | None = None, cls_only: bool = False
    ) -> Tensor:
        """Tokens after the last block, before the norm: [B, 1 + N, D], or [B, 1, D].

        images [B, 3, S, S]; keep [2 * depth, B] of the residual branches; mask [B, N], true where masked."""
        patches = self.patch_embed(images)
        if mask is not None:
            patches = torch.where(mask.unsqueeze(2), self.masked_embed.to(patches.dtype), patches)
        B, N, D = patches.shape
        x = torch.cat([self.cls_token.expand(B, -1, -1), patches], 1) + self.positions(round(N**0.5))
        for i, block in enumerate(self.blocks):
            last = i == len(self.blocks) - 1
            x = block(x, None if keep is None else keep[2 * i : 2 * i + 2], cls_only and last)
        return x
