"""Names and shapes of timm's own models for the sizes that to-timm.test.ts exports.

python3 to-timm.reference.py > to-timm.golden.json && npx prettier --write to-timm.golden.json   # timm 1.0.31
"""
import json

import timm

SIZES = {
    "plain": dict(architecture="vit_tiny_patch16_224", embed_dim=192, num_heads=3),
    "registers": dict(
        architecture="vit_base_patch16_224", embed_dim=24, num_heads=2, mlp_ratio=2.5625, qkv_bias=False,
        init_values=0.1, reg_tokens=2, no_embed_class=True, in_chans=1,
    ),
}


def transformer(architecture, **sizes):
    return shapes(architecture, img_size=32, patch_size=8, depth=2, **sizes)


def shapes(architecture, **sizes):
    made = timm.create_model(architecture, num_classes=0, **sizes)
    return {name: list(tensor.shape) for name, tensor in made.state_dict().items()}


models = {name: transformer(**sizes) for name, sizes in SIZES.items()}
models["convnext"] = shapes("convnext_tiny", depths=[1, 2, 1, 1], dims=[4, 8, 8, 12])
print(json.dumps(models))
