"""Checkpoints of published sizes, made by timm and saved in every form, and timm's features of the same pixels.

    python timm_checkpoints.py FOLDER        (torch, timm, safetensors)

Writes <case>/<file> and <case>/golden.json: the side of the images, and where the features lie in features.bin.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer

torch.manual_seed(1)
FOLDER = Path(sys.argv[1])
MEAN = torch.tensor([0.485, 0.456, 0.406])
STD = torch.tensor([0.229, 0.224, 0.225])
TINY = dict(embed_dim=192, depth=12, num_heads=3, num_classes=0, patch_size=16)


def vit(size, **options):
    model = VisionTransformer(img_size=size, **{**TINY, **options}).eval()
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, std=0.3 if "pos_embed" in name or "token" in name else 0.05)
        if "norm" in name and name.endswith("weight"):
            parameter.data += 1
    return model


@torch.no_grad()
def case(name, model, save, size):
    folder = FOLDER / name
    folder.mkdir(parents=True)
    save(model, folder)
    pixels = torch.tensor([(7919 * i) % 251 for i in range(2 * size * size * 3)], dtype=torch.float32)
    images = (pixels.reshape(2, size, size, 3) / 255 - MEAN) / STD
    features = model.forward_features(images.permute(0, 3, 1, 2))
    parts = [features[:, 0], features[:, model.num_prefix_tokens :]]
    torch.cat([part.flatten() for part in parts]).numpy().tofile(folder / "features.bin")
    (folder / "golden.json").write_text(json.dumps({"size": size, "cls": parts[0].numel()}))


def safetensors(dtype=torch.float32):
    def save(model, folder):
        state = {key: value.to(dtype).contiguous() for key, value in model.state_dict().items()}
        save_file(state, folder / "model.safetensors")
        model.load_state_dict({key: value.float() for key, value in state.items()})

    return save


def dino(model, folder):
    state = model.state_dict()
    optimizer = torch.optim.AdamW([torch.nn.Parameter(value.clone()) for value in state.values()])
    torch.save(
        {
            "student": {f"module.backbone.{key}": value + 1 for key, value in state.items()},
            "teacher": {f"backbone.{key}": value for key, value in state.items()},
            "optimizer": optimizer.state_dict(),
            "epoch": 100,
            "args": argparse.Namespace(arch="vit_tiny", patch_size=16, lr=5e-4),
        },
        folder / "checkpoint0100.pth",
    )


def resized(size):
    """Saved for images of another size than those that timm computes the features of."""

    def save(model, folder):
        save_file(model.state_dict(), folder / "model.safetensors")
        model.set_input_size(img_size=size)

    return save


case("timm", vit(224), safetensors(), 224)
case("bf16", vit(224), safetensors(torch.bfloat16), 224)
registers = dict(reg_tokens=4, no_embed_class=True, init_values=0.1)
case("registers", vit(224, **registers), safetensors(torch.float16), 224)
case("placed-registers", vit(112, reg_tokens=4, qkv_bias=False), safetensors(), 112)
case("dino", vit(224), dino, 224)
case("state-dict", vit(96, patch_size=8), lambda m, folder: torch.save(m.state_dict(), folder / "m.pth"), 96)
case("resized", vit(224), resized(160), 160)
