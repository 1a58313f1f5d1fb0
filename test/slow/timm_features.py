"""Loads an export by timm, as it is, and prints the features of the given pixels.

python3 timm_features.py FOLDER PIXELS COUNT   # PIXELS: float32 [COUNT, channels, size, size], normalised
"""
import json
import sys

import numpy as np
import timm
import torch

folder, pixels, count = sys.argv[1:]
model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
data = timm.data.resolve_model_data_config(model)
images = torch.from_numpy(np.fromfile(pixels, np.float32).reshape(int(count), *data["input_size"]))
with torch.no_grad():
    tokens = model.forward_features(images)
    pooled = model(images)
found = {"input": data, "pooled": pooled.flatten().tolist()}
if hasattr(model, "num_prefix_tokens"):
    found["cls"] = tokens[:, 0].flatten().tolist()
    found["patches"] = tokens[:, model.num_prefix_tokens:].flatten().tolist()
print(json.dumps(found))
