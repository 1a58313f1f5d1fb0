"""Runs steps on command: one JSON message a line, on standard input and output.

The first message tells what computes. Each command names a phase, and is answered with its seconds and scalars:

forward     both networks and all losses, without what a backward pass would need
gradients   losses and the gradients of all weights
step        the whole step, which changes the weights
memory      nothing; tells the process's peak memory
"""

import json
import resource
import sys
import time
from pathlib import Path

import torch
from torch import Tensor

from .spec import Schedule, Spec, read
from .step import Batch, numbers
from .styles import STYLES
from .tensors import read_header, read_tensors


def serve_steps(run: Path, style: str, compile_mode: str | None) -> None:
    _, metadata, _ = read_header(run)
    torch.set_num_threads(int(metadata["threads"]))
    spec = read(Spec, json.loads(metadata["spec"]))
    schedule = read(Schedule, json.loads(metadata["schedule"]))
    step = STYLES[style](spec, compile_mode)
    for network in ("student", "teacher"):
        step.load(network, read_tensors(run, f"{network}."))
    batch = read_batch(run, spec)

    def forward() -> dict[str, float]:
        with torch.no_grad():
            return numbers(step.forward(batch, schedule)[0])

    def gradients() -> dict[str, float]:
        terms, _ = step.gradients(batch, schedule)
        return numbers(terms, step.gradient_norms())

    phases = {"forward": forward, "gradients": gradients, "step": lambda: step.step(batch, schedule)}
    answer(torch=torch.__version__, threads=torch.get_num_threads(), peakBytes=peak_bytes())
    for line in sys.stdin:
        command = json.loads(line)["command"]
        if command == "memory":
            answer(peakBytes=peak_bytes())
            continue
        start = time.perf_counter()
        scalars = phases[command]()
        answer(seconds=time.perf_counter() - start, scalars=scalars)


def read_batch(run: Path, spec: Spec) -> Batch:
    def by_group(kind: str) -> dict[str, Tensor]:
        return dict(read_tensors(run, f"{kind}/"))

    pixels = {group: x.to(torch.uint8) for group, x in by_group("pixels").items()}
    mask = masked = None
    if spec.ibot:
        patches = (spec.vit.image_size // spec.vit.patch_size) ** 2
        masked = dict(read_tensors(run, "masked"))[""].to(torch.int64)
        mask = torch.zeros(2 * spec.batch * patches, dtype=torch.bool)
        mask[masked] = True
        mask = mask.view(-1, patches)
    return Batch(pixels, by_group("rects"), by_group("keep"), mask, masked)


def peak_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def answer(**message: object) -> None:
    print(json.dumps(message), flush=True)
