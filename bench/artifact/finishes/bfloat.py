"""``bf16``: weights and arithmetic in bfloat16, by PyTorch on the CPU."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from bench.artifact.finishes.base import Call, Finish, FinishedNetwork, Inputs

FILE = "generator.bf16.safetensors"


class HalfNetwork(FinishedNetwork):
    """A copy of a network in bfloat16: real inputs are rounded, the output is float32 again."""

    def __init__(self, network: nn.Module) -> None:
        """``network`` is in bfloat16 already, and this one's own."""
        super().__init__({FILE: save(_own_memory(network.state_dict()))})
        self.network = network.eval()

    def run(self, inputs: Inputs) -> Tensor:
        made: Tensor = self.network(*map(rounded, inputs))
        return made.float()

    def ready(self, inputs: Inputs) -> Call:
        return lambda: self.run(inputs)  # rounding inputs and widening outputs is part of every call

    def again(self) -> HalfNetwork:
        return HalfNetwork(copy.deepcopy(self.network))


def rounded(x: Tensor) -> Tensor:
    """``x`` in bfloat16 where it is real: 8 bits of mantissa, to nearest even."""
    return x.bfloat16() if x.is_floating_point() else x


def make(network: nn.Module, inputs: Inputs) -> HalfNetwork:
    """Weights and saved statistics rounded to bfloat16; inputs decide about nothing."""
    # Without instructions for it, convolutions in bfloat16 take four times as long with channels last.
    plain = copy.deepcopy(network).cpu().to(memory_format=torch.contiguous_format)
    return HalfNetwork(plain.bfloat16())


def load_half(network: Callable[[], nn.Module], files: Mapping[str, bytes]) -> HalfNetwork:
    """``network`` makes the architecture; all its tensors are replaced."""
    half = network().bfloat16()
    half.load_state_dict(load(files[FILE]))
    return HalfNetwork(half)


def _own_memory(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that are shared are written once for each name."""
    return {name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}


BF16 = Finish("bf16", make, load_half, (FILE,), "bf16-1")
