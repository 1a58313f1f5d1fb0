"""Compares the steps with golden values of the official code: losses, gradients, updates, six steps."""

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .spec import ChannelRelation, Head, Optimizer, PixelRelation, Pixels, Prototypes, Schedule, Spec, Vit
from .step import Batch, TrainingStep, numbers
from .styles import STYLES
from .tensors import read_tensors

LOSS, GRADIENT, STATE, UPDATE, TRAJECTORY = 2e-5, 1e-4, 2e-5, 1e-6, 1e-4
REST = (4 - 0.2 - 0.5) / 2
"""SERE's weight of the losses over prototypes."""
WEIGHTS = {
    "dino": {"dino": 1.0},
    "ibot": {"dino": 1.0, "ibot": 1.0},
    "sere": {"dino": REST, "ibot": REST, "pixel": 0.2, "channel": 0.5},
    # Beside the others, relations hardly show in the backbone's gradients.
    "pixel_only": {"dino": 0.0, "ibot": 0.0, "pixel": 1.0},
    "channel_only": {"dino": 0.0, "ibot": 0.0, "channel": 1.0},
}
OFFICIAL_CENTERS = {"dino": "center", "ibot": "center2"}
TERMS = {"dino": "cls", "ibot": "patch", "pixel": "pixel", "channel": "channel", "total": "total"}


class Differences:
    """The largest difference of each kind, over what it may be."""

    def __init__(self, style: str) -> None:
        self.style = style
        self.rows: dict[str, tuple[float, float, str]] = {}

    def add(self, kind: str, what: str, difference: float, allowed: float) -> None:
        # What is not a number counts as the largest: it must not pass for small.
        ranked = math.inf if math.isnan(difference) else difference
        largest = self.rows.get(kind)
        if largest is None or ranked > largest[0]:
            self.rows[kind] = (ranked, allowed, what)

    def near(self, kind: str, what: str, got: float, want: float, allowed: float) -> None:
        self.add(kind, what, abs(got - want) / abs(want), allowed)

    def within(self, kind: str, what: str, got: Tensor, want: Tensor, allowed: float) -> None:
        """Of the golden tensor's largest value."""
        difference = (got - want.view_as(got)).abs().max() / want.abs().max()
        self.add(kind, what, difference.item(), allowed)

    def report(self) -> int:
        failed = 0
        for kind, (difference, allowed, what) in self.rows.items():
            off = difference > allowed
            failed += off
            print(f"{f'{self.style} {kind}':38} {difference:9.2e} {allowed:9.0e}  {what}{'  OFF' if off else ''}")
        return failed


def spec_of(case: str, config: Mapping[str, Any]) -> Spec:
    prototypes = {"student_temp": config["student_temp"], "center_momentum": config["center_momentum"]}
    weights = WEIGHTS[case]
    return Spec(
        batch=config["batch"],
        views={"global": 2, "local": config["n_local"]},
        precision="fp32",
        vit=Vit(
            image_size=config["img"],
            patch_size=config["patch"],
            embed_dim=config["embed_dim"],
            depth=config["depth"],
            num_heads=config["heads"],
            mlp_ratio=config["mlp_ratio"],
        ),
        head=Head(config["head_hidden"], config["head_bottleneck"], 3, config["out_dim"], config["norm_last_layer"]),
        # The official SERE decays biases, DINO and iBOT do not.
        optimizer=Optimizer(config["clip_grad"], config["adam_betas"], config["adam_eps"], case == "sere"),
        # The views are stored as they go into the network.
        pixels=Pixels([0.0] * 3, [1 / 255] * 3),
        dino=Prototypes(weights["dino"], **prototypes),
        ibot=Prototypes(weights["ibot"], **prototypes) if "ibot" in weights else None,
        pixel=PixelRelation(weights["pixel"], 0.5, {"global": 5, "local": 6}) if "pixel" in weights else None,
        channel=ChannelRelation(weights["channel"], 0.1, {"global": 14, "local": 6}) if "channel" in weights else None,
    )


def batch_of(golden: Mapping[str, Tensor], config: Mapping[str, Any], masked: bool) -> Batch:
    counts = {"global": 2, "local": config["n_local"]}
    pixels = {
        group: torch.cat([golden[f"sere/in.{group}.{i}"] for i in range(count)]).permute(0, 2, 3, 1)
        for group, count in counts.items()
    }
    crops = torch.tensor(config["mappings_xywhf"], dtype=torch.float32).transpose(0, 1)  # [views, B, 5]
    rects = {"global": crops[:2].flatten(0, 1), "local": crops[2:].flatten(0, 1)}
    mask = torch.cat([golden[f"sere/in.mask.{i}"] for i in range(2)]).flatten(1) > 0 if masked else None
    return Batch(pixels, rects, {}, mask, mask.flatten().nonzero().flatten() if masked else None)


def initial_step(style: str, spec: Spec, golden: Mapping[str, Tensor]) -> TrainingStep:
    step = STYLES[style](spec)
    for network in ("student", "teacher"):
        prefix = f"init/{network}."
        own = ((name.removeprefix(prefix), value) for name, value in golden.items() if name.startswith(prefix))
        step.load(network, own)
    for name, center in step.centers.items():
        center.copy_(golden[f"init/{OFFICIAL_CENTERS[name]}"].view_as(center))
    return step


def schedule_of(step: Mapping[str, float]) -> Schedule:
    temp = step["teacher_temp"]
    return Schedule(step["lr"], step["wd"], step["momentum"], temp, temp)


def compare_terms(found: Differences, kind: str, terms: Mapping[str, float], want: Mapping[str, float], allowed: float):
    for name, official in TERMS.items():
        if name in terms and official in want:
            found.near(kind, name, terms[name], want[official], allowed)


def compare_losses_and_gradients(
    found: Differences, case: str, golden: Mapping[str, Tensor], config: Mapping[str, Any], want: Mapping[str, float]
) -> None:
    step = initial_step(found.style, spec_of(case, config), golden)
    batch = batch_of(golden, config, masked=case != "dino")
    terms, means = step.gradients(batch, schedule_of(want))
    compare_terms(found, f"{case}: losses", numbers(terms), want, LOSS)
    # With a relation as the only loss, this bias only shifts what BatchNorm takes away: its gradient is rounding.
    zero = f"backbone.blocks.{config['depth'] - 1}.mlp.fc2.bias" if case.endswith("_only") else None
    for name, parameter in step.trained.items():
        key = f"{case}/grad.{name}"
        if name != zero and key in golden:
            found.within(f"{case}: gradients", name, parameter.grad, golden[key], GRADIENT)
    compared = sum(f"{case}/grad.{name}" in golden for name in step.trained)
    if compared < 20:
        raise ValueError(f"{case}: the fixtures have only {compared} gradients by the weights' names")
    if case not in ("dino", "sere"):
        return
    step.move_centers(means)
    for name, center in step.centers.items():
        found.within(f"{case}: centers", name, center, golden[f"{case}/after.{OFFICIAL_CENTERS[name]}"], STATE)
    for network in ("student", "teacher"):
        for name, value in getattr(step, network).state_dict().items():
            if "running_" in name:
                official = golden[f"{case}/after.{network}.{name}"]
                found.within(f"{case}: BatchNorm statistics", f"{network} {name}", value, official, STATE)


def compare_update(
    found: Differences, case: str, golden: Mapping[str, Tensor], config: Mapping[str, Any], want: Mapping[str, float]
) -> None:
    """From the official gradients: where one is zero in theory, AdamW makes steps of its rounding."""
    step = initial_step(found.style, spec_of(case, config), golden)
    for name, parameter in step.trained.items():
        parameter.grad = golden[f"{case}/grad.{name}"].reshape(parameter.shape).clone()
    step.update(schedule_of(want), step.gradient_norms())
    for network in ("student", "teacher"):
        for name, parameter in getattr(step, network).named_parameters():
            difference = (parameter - golden[f"{case}/after.{network}.{name}"].view_as(parameter)).abs().max()
            found.add(f"{case}: {network} after the update", name, difference.item(), UPDATE)


def compare_trajectory(
    found: Differences,
    case: str,
    golden: Mapping[str, Tensor],
    config: Mapping[str, Any],
    trajectory: list[Mapping[str, float]],
) -> None:
    step = initial_step(found.style, spec_of(case, config), golden)
    batch = batch_of(golden, config, masked=case != "dino")
    for want in trajectory:
        terms = step.step(batch, schedule_of(want))
        compare_terms(found, f"{case}: losses of six steps", terms, want, TRAJECTORY)


def check_fixtures(folder: Path) -> int:
    """Prints the largest differences of each style; 1 where one is larger than it may be."""
    golden = dict(read_tensors(folder / "dino.safetensors")) | dict(read_tensors(folder / "sere.safetensors"))
    facts = {case: json.loads((folder / f"{case}.json").read_text()) for case in ("dino", "sere")}
    dino, sere = facts["dino"], facts["sere"]
    official = {
        "dino": (dino["config"], dino["trajectory"][0]),
        "ibot": (sere["config"], sere["ibot"]),
        "sere": (sere["config"], sere["step"]),
        "pixel_only": (sere["config"], {**sere["step"], "total": sere["step"]["pixel"]}),
        "channel_only": (sere["config"], {**sere["step"], "total": sere["step"]["channel"]}),
    }
    failed = rows = 0
    print(f"{'':38} {'largest':>9} {'allowed':>9}")
    for style in STYLES:
        found = Differences(style)
        for case, (config, want) in official.items():
            compare_losses_and_gradients(found, case, golden, config, want)
        for case in ("dino", "sere"):
            config, want = official[case]
            compare_update(found, case, golden, config, want)
            compare_trajectory(found, case, golden, config, facts[case]["trajectory"])
        failed += found.report()
        rows += len(found.rows)
    print(f"{failed} of {rows} are off" if failed else "all within what is allowed", file=sys.stderr)
    return 1 if failed else 0
