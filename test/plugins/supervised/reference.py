"""Mixed images, soft labels and their cross-entropy by timm, label smoothing by PyTorch, as golden.json.

python3 reference.py > golden.json && npx prettier --write golden.json   # torch 2.15, timm 1.0.31

timm's Mixup draws its lambdas and boxes otherwise; here they are given to it.
"""
import json

import numpy as np
import timm.data.mixup as timm_mixup
import torch
import torch.nn.functional as F
from timm.loss import SoftTargetCrossEntropy

B, S, C, SMOOTHING = 5, 6, 4, 0.1
LABELS = torch.tensor([2, 0, 1, 2, 3])
# kind, lambda of mixup or box of cutmix: top, bottom, left, right
MIXES = [("none",), ("mixup", 0.3), ("cutmix", (1, 4, 2, 6)), ("mixup", 0.9), ("cutmix", (0, 6, 0, 3))]


def numbers(x):
    return [round(v, 9) for v in x.detach().flatten().tolist()]


i = torch.arange(B * S * S * 3, dtype=torch.float64)
images = (0.5 + 0.5 * torch.sin(0.61 * i)).reshape(B, S, S, 3).permute(0, 3, 1, 2)
logits = torch.sin(1.3 * torch.arange(B * C, dtype=torch.float64)).reshape(B, C).mul(2)

boxes = iter([box for kind, *rest in MIXES if kind == "cutmix" for box in rest])


def given_box(shape, lam, **_):
    top, bottom, left, right = next(boxes)
    return (top, bottom, left, right), 1 - (bottom - top) * (right - left) / (S * S)


timm_mixup.cutmix_bbox_and_lam = given_box
mixup = timm_mixup.Mixup(mixup_alpha=1, cutmix_alpha=1, mode="elem", label_smoothing=SMOOTHING, num_classes=C)
lambdas = np.array([mix[1] if mix[0] == "mixup" else 0.5 if mix[0] == "cutmix" else 1.0 for mix in MIXES])
mixup._params_per_elem = lambda _: (lambdas.copy(), np.array([mix[0] == "cutmix" for mix in MIXES]))

mixed = images.clone()
shares = mixup._mix_elem(mixed).to(torch.float64)
targets = timm_mixup.mixup_target(LABELS, C, shares, SMOOTHING)


def with_gradient(loss_of):
    x = logits.clone().requires_grad_()
    loss = loss_of(x)
    loss.backward()
    return {"loss": loss.item(), "gradient": numbers(x.grad)}


print(
    json.dumps(
        {
            "images": numbers(mixed.permute(0, 2, 3, 1)),
            "shares": numbers(shares),
            "mixed": with_gradient(lambda x: SoftTargetCrossEntropy()(x, targets.to(torch.float64))),
            "smoothed": with_gradient(lambda x: F.cross_entropy(x, LABELS, label_smoothing=SMOOTHING)),
            "plain": with_gradient(lambda x: F.cross_entropy(x, LABELS)),
        }
    )
)
