"""Reads safetensors files of float32 tensors."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch


def read_header(path: Path) -> tuple[dict, dict[str, str], int]:
    """Tensors' entries by name, the metadata, and where values start."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    return header, header.pop("__metadata__", {}), 8 + length


def read_tensors(path: Path, prefix: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Those whose name begins with the prefix, without it, one at a time."""
    header, _, start = read_header(path)
    for name, entry in header.items():
        if not name.startswith(prefix):
            continue
        if entry["dtype"] != "F32":
            raise ValueError(f'{path}: "{name}" is {entry["dtype"]}, not F32')
        [begin, end] = entry["data_offsets"]
        values = np.fromfile(path, dtype="<f4", count=(end - begin) // 4, offset=start + begin)
        yield name[len(prefix) :], torch.from_numpy(values).reshape(entry["shape"])
