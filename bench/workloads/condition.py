"""What a conditional discriminator takes besides images: the class labels that the generator was given."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from strategies.base import NotApplicable


@dataclass(frozen=True)
class Condition:
    """``D(images, *condition)``. By default there is nothing besides the images."""

    place: int | None = None
    """Which of the generator's inputs are labels; None: D takes images alone."""
    classes: int = 0
    one_hot: bool = False

    def of_inputs(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """For generated images: what their generator was given."""
        return () if self.place is None else (inputs[self.place],)

    def of_labels(self, labels: Tensor) -> tuple[Tensor, ...]:
        """For real images: their own labels, int64 ``(N,)``, in the form that the generator is given."""
        if self.place is None:
            return ()
        return (F.one_hot(labels, self.classes).float() if self.one_hot else labels,)

    def fits(self, labels: Tensor) -> bool:
        """Whether real images have labels that the discriminator knows; True where it asks for none."""
        try:
            self.check(labels, "the reference")
        except NotApplicable:
            return False
        return True

    def check(self, labels: Tensor, where: str) -> None:
        """Raises NotApplicable where real images have no labels, or others than the generator."""
        if self.place is None:
            return
        found = sorted(set(labels.tolist()))
        if len(found) < 2:
            raise NotApplicable(f"a discriminator with labels needs labelled training images, {where} has no labels")
        if found[0] < 0 or found[-1] >= self.classes:
            raise NotApplicable(
                f"the labels of {where} go from {found[0]} to {found[-1]}, the generator has {self.classes} classes"
            )


UNCONDITIONAL = Condition()
