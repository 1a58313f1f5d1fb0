"""What a step is: sizes, losses and optimizer, as JSON has them."""

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Vit:
    image_size: int
    patch_size: int
    embed_dim: int
    depth: int
    num_heads: int
    mlp_ratio: float


@dataclass(frozen=True)
class Head:
    hidden_dim: int
    bottleneck_dim: int
    layers: int
    out_dim: int
    norm_last_layer: bool
    """The student's gains of the prototypes stay 1."""


@dataclass(frozen=True)
class Prototypes:
    """A loss over prototypes; the teacher's temperature is the step's."""

    weight: float
    student_temp: float
    center_momentum: float


@dataclass(frozen=True)
class PixelRelation:
    weight: float
    teacher_temp: float
    overlap_side: dict[str, int]
    """Points per side of the overlap with a global view, by the group of the other view."""


@dataclass(frozen=True)
class ChannelRelation:
    weight: float
    teacher_temp: float
    divisor: dict[str, float]
    """Of the features, by view group."""


@dataclass(frozen=True)
class Optimizer:
    clip: float
    """Largest norm of each tensor's gradient."""
    betas: list[float]
    eps: float
    decay_biases: bool


@dataclass(frozen=True)
class Pixels:
    """(pixel / 255 - mean) / std, by channel."""

    mean: list[float]
    std: list[float]


@dataclass(frozen=True)
class Spec:
    batch: int
    views: dict[str, int]
    """Number of views by group: always two of `global`, and any number of `local`."""
    precision: str
    vit: Vit
    head: Head
    optimizer: Optimizer
    pixels: Pixels
    dino: Prototypes
    ibot: Prototypes | None = None
    pixel: PixelRelation | None = None
    channel: ChannelRelation | None = None


@dataclass(frozen=True)
class Schedule:
    """What changes from step to step."""

    lr: float
    weight_decay: float
    momentum: float
    dino_temp: float
    ibot_temp: float


def read(kind: type, value: Any) -> Any:
    """A dataclass from the dict that JSON gives."""
    if get_origin(kind) is not None:
        [kind, *_] = [one for one in get_args(kind) if is_dataclass(one)] or [None]
    if not is_dataclass(kind) or value is None:
        return value
    hints = get_type_hints(kind)
    return kind(**{f.name: read(hints[f.name], value[f.name]) for f in fields(kind) if f.name in value})
