"""Two ways to write the same step."""

from .plain.step import PlainStep
from .step import TrainingStep
from .tuned.step import TunedStep

STYLES: dict[str, type[TrainingStep]] = {"tuned": TunedStep, "plain": PlainStep}
