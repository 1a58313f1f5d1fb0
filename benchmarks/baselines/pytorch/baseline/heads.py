"""What follows the backbone: the projection head of DINO, and the heads of SERE's relations."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .spec import Head


class WeightNormLinear(nn.Module):
    """Rows g_k v_k / |v_k|, without a bias."""

    def __init__(self, inputs: int, outputs: int, train_gains: bool):
        super().__init__()
        self.weight_g = nn.Parameter(torch.empty(outputs, 1), requires_grad=train_gains)
        self.weight_v = nn.Parameter(torch.empty(outputs, inputs))

    def weight(self) -> Tensor:
        return torch._weight_norm(self.weight_v, self.weight_g, 0)


class ProjectionHead(nn.Module):
    def __init__(self, inputs: int, spec: Head):
        super().__init__()
        widths = [inputs, *[spec.hidden_dim] * (spec.layers - 1), spec.bottleneck_dim]
        layers: list[nn.Module] = []
        for width, following in zip(widths, widths[1:]):
            layers += [nn.Linear(width, following), nn.GELU()]
        self.mlp = nn.Sequential(*layers[:-1])
        self.last_layer = WeightNormLinear(spec.bottleneck_dim, spec.out_dim, not spec.norm_last_layer)

    def features(self, x: Tensor) -> Tensor:
        """[R, D] -> [R, bottleneck], of length 1"""
        return F.normalize(self.mlp(x), dim=-1)

    def logits(self, features: Tensor) -> Tensor:
        """[R, bottleneck] -> [R, K]"""
        return F.linear(features, self.last_layer.weight())


class RelationHead(nn.Module):
    """z = ReLU(BN(x)), p = ReLU(BN(W z)) of tokens [R, D]; a teacher has z alone."""

    def __init__(self, dim: int, predicts: bool):
        super().__init__()
        self.projection = nn.Sequential(nn.BatchNorm1d(dim), nn.ReLU())
        # On rows of tokens the 1 x 1 convolution is a linear layer.
        self.predictor = (
            nn.Sequential(nn.Linear(dim, dim, bias=False), nn.BatchNorm1d(dim), nn.ReLU()) if predicts else None
        )

    def forward(self, patches: Tensor) -> Tensor:
        """[B, N, D] -> [B, N, D]"""
        z = self.projection(patches.flatten(0, 1))
        features = z if self.predictor is None else self.predictor(z)
        return features.view(patches.shape)
