"""Three steps of torch.optim.AdamW in float64. Run: python3 optimizer-groups.reference.py > optimizer-groups.golden.json"""
import json
import math

import torch


def after(rates, weight_decay, beta2=0.999):
    weight = torch.ones(6, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.AdamW([weight], betas=(0.9, beta2), eps=1e-8, weight_decay=weight_decay)
    for step, lr in enumerate(rates):
        optimizer.param_groups[0]["lr"] = lr
        weight.grad = torch.tensor([math.sin(1.9 * step + i + 0.5) for i in range(6)], dtype=torch.float64)
        optimizer.step()
    return [round(v, 8) for v in weight.tolist()]


golden = {
    "run": after([0.001] * 3, 0.04),
    "numbers": after([0.02] * 3, 0.5),
    "falling": after([0.03, 0.02, 0.01], 0.04),
    "optimizer": after([0.02] * 3, 0.5, beta2=0.9),
}
print(json.dumps(golden))
