"""Reads files of features by NumPy, safetensors and pyarrow, and prints what is in them as JSON.

python3 read_features.py FILE...
"""
import json
import sys

import numpy as np
import pyarrow.parquet as pq
from safetensors import safe_open


def items(path):
    with open(f"{path}.items.jsonl") as lines:
        rows = [json.loads(line) for line in lines]
    return {"paths": [row["path"] for row in rows], "labels": [row["label"] for row in rows]}


def read(path):
    if path.endswith(".npy"):
        with open(f"{path}.card.json") as card:
            return np.load(path, mmap_mode="r"), json.load(card), items(path)
    if path.endswith(".safetensors"):
        with safe_open(path, "np") as file:
            return file.get_tensor("features"), json.loads(file.metadata()["relata"]), items(path)
    table = pq.read_table(path)
    names = {"paths": table["path"].to_pylist(), "labels": table["label"].to_pylist()}
    return np.stack(table["feature"].to_numpy()), json.loads(table.schema.metadata[b"relata"]), names


def facts(path):
    features, card, names = read(path)
    return {"dtype": str(features.dtype), "shape": list(features.shape), "features": features.flatten().tolist(),
            "card": card, **names}


print(json.dumps([facts(path) for path in sys.argv[1:]]))
