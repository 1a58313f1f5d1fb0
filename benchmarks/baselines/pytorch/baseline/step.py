"""One training step: both networks, all losses, gradients, clip, AdamW, EMA, centers."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .heads import ProjectionHead, RelationHead
from .spec import Schedule, Spec
from .vit import Attend, VisionTransformer

Terms = dict[str, Tensor]
"""Losses by name."""
Means = dict[str, Tensor]
"""The teacher's mean logits [1, K], by the loss whose center they move."""


@dataclass(frozen=True)
class Batch:
    pixels: dict[str, Tensor]
    """[count * B, S, S, 3] by view group, 0..255, view by view."""
    rects: dict[str, Tensor]
    """[count * B, 5]: x, y, width, height, flip of each crop."""
    keep: dict[str, Tensor]
    """[2 * depth, count * B] of the student's residual branches: 0 where dropped, else 1 / probability. May be empty."""
    mask: Tensor | None
    """[2 B, N] of the student's global views, true where masked."""
    masked: Tensor | None
    """[M] indices of those patches."""


class Network(nn.Module):
    """Backbone and heads, by the names of the official checkpoints."""

    def __init__(self, spec: Spec, student: bool, attend: Attend):
        super().__init__()
        D = spec.vit.embed_dim
        self.backbone = VisionTransformer(spec.vit, student and spec.ibot is not None, attend)
        self.head = ProjectionHead(D, spec.head)
        names = [name for name, relation in (("pixel", spec.pixel), ("channel", spec.channel)) if relation]
        for name in names:
            self.backbone.add_module(f"{name}_sere", RelationHead(D, predicts=student))
            if student and spec.views.get("local"):
                self.backbone.add_module(f"{name}_sere_local", RelationHead(D, predicts=True))

    def relation(self, name: str, group: str, patches: Tensor) -> Tensor:
        """Features to relate, of a view group's patch tokens [B, N, D]."""
        suffix = {"global": "", "local": "_local"}[group]
        return self.backbone.get_submodule(f"{name}_sere{suffix}")(patches)


class TrainingStep(ABC):
    """What the styles of the step have in common; each computes the same."""

    attend: Attend
    adam_options: dict[str, Any]
    """Of torch.optim.AdamW, beside the method's own."""

    @abstractmethod
    def terms(
        self, images: dict[str, Tensor], batch: Batch, centers: dict[str, Tensor], temps: dict[str, Tensor]
    ) -> tuple[Terms, Means]:
        """images [V B, 3, S, S] by view group, normalised; centers [1, K] and the teacher's temperatures by loss."""

    @abstractmethod
    def gradient_norms(self) -> Tensor:
        """Of each trained weight."""

    @abstractmethod
    def clip(self, norms: Tensor) -> None:
        """Scales each gradient down to the largest norm that it may have."""

    @abstractmethod
    def follow(self, momentum: float) -> None:
        """Moves the teacher's weights towards the student's."""

    def __init__(self, spec: Spec, compile_mode: str | None = None):
        self.spec = spec
        self.student = Network(spec, student=True, attend=self.attend)
        self.teacher = Network(spec, student=False, attend=self.attend).requires_grad_(False)
        self.centers = {name: torch.zeros(1, spec.head.out_dim) for name in ("dino", "ibot") if getattr(spec, name)}
        self.trained = {name: p for name, p in self.student.named_parameters() if p.requires_grad}
        followers = dict(self.teacher.named_parameters())
        both = [(followers[name], p) for name, p in self.student.named_parameters() if name in followers]
        self.followers, self.followed = map(list, zip(*both))
        decayed = [p for name, p in self.trained.items() if self.decays(name)]
        others = [p for name, p in self.trained.items() if not self.decays(name)]
        adam = spec.optimizer
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed}, {"params": others, "weight_decay": 0}],
            betas=tuple(adam.betas),
            eps=adam.eps,
            **self.adam_options,
        )
        std = torch.tensor(spec.pixels.std) * 255
        self.scale = 1 / std
        self.shift = -torch.tensor(spec.pixels.mean) * 255 / std
        self.losses = self.compute if compile_mode is None else torch.compile(self.compute, mode=compile_mode)

    def decays(self, name: str) -> bool:
        return self.trained[name].ndim > 1 or (self.spec.optimizer.decay_biases and name.endswith(".bias"))

    @torch.no_grad()
    def load(self, network: str, values: Iterable[tuple[str, Tensor]]) -> None:
        """Sets every weight and statistic; linear layers take the values of 1 x 1 convolutions.

        Others among the values are left out, such as heads that a teacher does not use."""
        state = getattr(self, network).state_dict()
        missing = {name for name in state if not name.endswith("num_batches_tracked")}
        for name, value in values:
            if name in missing:
                state[name].copy_(value.reshape(state[name].shape))
                missing.remove(name)
        if missing:
            raise ValueError(f"there are no values for the {network}'s {', '.join(sorted(missing))}")

    def compute(self, batch: Batch, centers: dict[str, Tensor], temps: dict[str, Tensor]) -> tuple[Terms, Means]:
        """The terms with their weighted sum, `total`."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.spec.precision == "bf16"):
            images = {
                group: torch.addcmul(self.shift, x.float(), self.scale).permute(0, 3, 1, 2)
                for group, x in batch.pixels.items()
            }
            terms, means = self.terms(images, batch, centers, temps)
        terms["total"] = sum(getattr(self.spec, name).weight * term for name, term in terms.items())
        return terms, means

    def forward(self, batch: Batch, schedule: Schedule) -> tuple[Terms, Means]:
        temps = {"dino": torch.tensor(schedule.dino_temp), "ibot": torch.tensor(schedule.ibot_temp)}
        return self.losses(batch, self.centers, temps)

    def gradients(self, batch: Batch, schedule: Schedule) -> tuple[Terms, Means]:
        """Leaves gradients in the student's weights."""
        self.optimizer.zero_grad(set_to_none=True)
        terms, means = self.forward(batch, schedule)
        terms["total"].backward()
        return terms, means

    @torch.no_grad()
    def update(self, schedule: Schedule, norms: Tensor) -> None:
        """Clips each tensor's gradient by its norm, then AdamW, then the teacher follows."""
        if self.spec.optimizer.clip > 0:
            self.clip(norms)
        for group in self.optimizer.param_groups:
            group["lr"] = schedule.lr
        self.optimizer.param_groups[0]["weight_decay"] = schedule.weight_decay
        self.optimizer.step()
        self.follow(schedule.momentum)

    def move_centers(self, means: Means) -> None:
        for name, mean in means.items():
            self.centers[name].lerp_(mean, 1 - getattr(self.spec, name).center_momentum)

    def step(self, batch: Batch, schedule: Schedule) -> dict[str, float]:
        """The loss terms and the gradient's norm. A loss or gradient that is not finite changes nothing."""
        terms, means = self.gradients(batch, schedule)
        norms = self.gradient_norms()
        scalars = numbers(terms, norms)
        if not all(map(torch.isfinite, (terms["total"], norms.sum()))):
            raise FloatingPointError(f"the step is not finite: {scalars}")
        self.update(schedule, norms)
        self.move_centers(means)
        return scalars


def numbers(terms: Terms, norms: Tensor | None = None) -> dict[str, float]:
    scalars = {name: term.item() for name, term in terms.items()}
    if norms is not None:
        scalars["gradNorm"] = norms.norm().item()
    return scalars
