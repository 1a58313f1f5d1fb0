"""Learning-rate scales of timm's param_groups_layer_decay by weight, as golden.json.

python3 reference.py > golden.json && npx prettier --write golden.json   # torch 2.15, timm 1.0.31
"""
import json
import re

import timm
from timm.optim import param_groups_layer_decay

DECAY = 0.75
CONVNEXT = [
    (r"^stem\.", "downsample_layers.0."),
    (r"^stages\.(\d+)\.downsample\.", r"downsample_layers.\1."),
    (r"\.blocks\.", "."),
    (r"\.conv_dw\.", ".dwconv."),
    (r"\.mlp\.fc", ".pwconv"),
    (r"^head\.norm\.", "norm."),
]


def official(name):
    for pattern, by in CONVNEXT:
        name = re.sub(pattern, by, name)
    return name


def scales(model, rename):
    names = {id(p): name for name, p in model.named_parameters()}
    groups = param_groups_layer_decay(model, layer_decay=DECAY)
    by_name = {rename(names[id(p)]): group["lr_scale"] for group in groups for p in group["params"]}
    return {name: by_name[name] for name in sorted(by_name) if not name.startswith("head.")}


vit = timm.create_model("vit_tiny_patch16_224", depth=3, num_classes=5)
convnext = timm.create_model("convnext_atto", depths=(1, 2, 3, 1), num_classes=5)
print(json.dumps({"vit": scales(vit, lambda name: name), "convnext": scales(convnext, official)}))
