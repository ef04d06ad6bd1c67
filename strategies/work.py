"""The multiply-accumulates (MACs) of one image, and which weight takes part in them.

One count for all: rankings order by it what is worth removing, and records state it. Counted are convolutions, matrix
products and attention. A product belongs to the weight that it reads, wherever that happens: in the layer that
holds the weight, in another that shares it, in a function that was only given the tensor.
"""

from __future__ import annotations

import bisect
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from strategies.layers import device_of, prunable_layers, weight_sources

CPU_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
"""What `F.scaled_dot_product_attention` becomes on a CPU; PyTorch 2.14's counter has no formula for it."""

SELECTING = frozenset({"index", "index_select", "gather", "masked_select", "take", "_unsafe_index"})
"""Operators whose result is a part of their first argument, without being a view of it."""


@dataclass(frozen=True)
class Work:
    """MACs of one image."""

    by_layer: Mapping[str, int]
    """Of the products that a layer's weight takes part in, whoever computes them; over all uses of the weight."""
    entries: Mapping[str, int]
    """Entries of each layer's weight."""
    total: int

    @property
    def outside(self) -> int:
        """MACs that no weight of the scope takes part in: of attention, of fixed filters, of other parameters."""
        return self.total - sum(self.by_layer.values())

    def per_entry(self, name: str) -> int | float:
        """How often an entry of the layer's weight is multiplied: a whole number where all are used alike."""
        whole, rest = divmod(self.by_layer[name], max(self.entries[name], 1))
        return whole if rest == 0 else self.by_layer[name] / self.entries[name]


def work_of(model: nn.Module, example_inputs: tuple[Tensor, ...]) -> Work:
    """MACs of ``model`` for the first row of each of ``example_inputs (N >= 1, ...)``, by weight.

    The model runs once, in eval mode, and is left as it was; so is the random state.

    Raises:
        ValueError: no inputs, or inputs without a row.
    """
    device = device_of(model)
    counter = Counter(model)
    with settled(model, tuple(x.to(device) for x in example_inputs)) as inputs, counter:
        model(*inputs)
    return counter.work


@contextlib.contextmanager
def settled(model: nn.Module, example_inputs: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, ...]]:
    """Eval mode, no gradients, one image, attention unfused; everything is put back afterwards.

    ``requires_grad`` is off because counters hook into autograd where a tensor wants gradients.
    """
    if not example_inputs or any(x.dim() == 0 or len(x) == 0 for x in example_inputs):
        raise ValueError("inputs of at least one image are needed, found none")
    modes = {module: module.training for module in model.modules()}
    wanted = [p for p in model.parameters() if p.requires_grad]
    fused = torch.backends.mha.get_fastpath_enabled()
    devices = {x.device.index or 0 for x in example_inputs if x.device.type == "cuda"}
    try:
        with torch.random.fork_rng(devices=sorted(devices)), torch.no_grad():
            torch.backends.mha.set_fastpath_enabled(False)
            for parameter in wanted:
                parameter.requires_grad_(False)
            model.eval()
            yield tuple(x[:1].detach() for x in example_inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for parameter in wanted:
            parameter.requires_grad_(True)
        for module, mode in modes.items():
            module.training = mode


Shares = dict[str, float]
"""Layer -> the share of a tensor's entries that come from the layer's weight."""


class Counter(TorchDispatchMode):
    """While it is entered: every product, and the weight that it reads.

    A tensor is known to come from a weight by its memory (the weight itself, its views, ``weight.data``) or because
    it was made from one entry by entry: scaled, modulated, normalised, cast, permuted, joined with others. What is
    smaller than what it was made of, such as a norm, is no weight any more; nor is the result of a product.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        layers = prunable_layers(model)
        self.total = 0
        self.formulas: Mapping[Any, Any] = {**flop_registry, CPU_ATTENTION: _attention_flops}
        self._entries = {name: sum(x.numel() for x in weight_sources(x)[-1:]) for name, x in layers.items()}
        self._macs: dict[str, float] = dict.fromkeys(layers, 0)
        self._ranges = sorted(
            (tensor.data_ptr(), tensor.data_ptr() + _extent(tensor), name)
            for name, layer in layers.items()
            for tensor in weight_sources(layer)
            if tensor.numel() and tensor.device.type != "meta"
        )
        self._starts = [start for start, _, _ in self._ranges]
        self._made: dict[int, tuple[Tensor, Shares]] = {}
        """By identity; the tensors are held, so that their identity stays theirs."""

    @property
    def work(self) -> Work:
        return Work({name: round(macs) for name, macs in self._macs.items()}, self._entries, self.total)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if isinstance(func, HigherOrderOperator):
            return NotImplemented
        formula = self.formulas.get(func.overloadpacket)
        if formula is None and func is not torch.ops.prim.device.default:
            with self:  # what has no formula of its own may be made of what has
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        if formula is not None:
            macs = int(formula(*args, **kwargs, out_val=result)) // 2
            self.total += macs
            for name, share in self._read_by(func, args).items():
                self._macs[name] += macs * share
        else:
            self._follow(func, args, kwargs, result)
        return result

    def _read_by(self, func: Any, args: tuple[Any, ...]) -> Shares:
        """The weights that a product reads: rather a weight itself than what was made of one."""
        name = func.overloadpacket._qualified_op_name.partition("::")[2]
        if "conv" in name:
            factors = args[1:2]
        else:
            factors = args[1:3] if name in ("addmm", "baddbmm", "_addmm_activation") else args[:2]
        tensors = [x for x in factors if isinstance(x, Tensor)]
        if "attention" in name:
            return {}
        for known in (self._held, self._found):
            for tensor in reversed(tensors):
                if shares := known(tensor):
                    return shares
        return {}

    def _held(self, tensor: Tensor) -> Shares:
        """The weight in whose memory ``tensor`` lies."""
        if not self._starts or tensor.numel() == 0 or tensor.device.type == "meta":
            return {}
        at = tensor.data_ptr()
        place = bisect.bisect_right(self._starts, at) - 1
        return {self._ranges[place][2]: 1.0} if place >= 0 and at < self._ranges[place][1] else {}

    def _found(self, tensor: Tensor) -> Shares:
        made = self._made.get(id(tensor))
        return made[1] if made else {}

    def _follow(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        given = [(x, self._held(x) or self._found(x)) for x in _tensors([*args, *kwargs.values()])]
        weights = [(x, shares) for x, shares in given if shares]
        if not weights:
            return
        name = func.overloadpacket._qualified_op_name.partition("::")[2]
        whole = func.is_view or name in SELECTING
        size = sum(x.numel() for x, _ in weights)
        for made in _tensors([result]):
            if not whole and made.numel() < min(x.numel() for x, _ in weights):
                continue
            if self._held(made):
                continue
            joined = made.numel() if name in ("cat", "stack") else size
            shares: Shares = {}
            for x, known in weights:
                for layer, share in known.items():
                    shares[layer] = shares.get(layer, 0.0) + share * x.numel() / joined
            self._made[id(made)] = (made, shares)


def _tensors(values: object) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _tensors(value)


def _extent(tensor: Tensor) -> int:
    """Bytes from the tensor's first entry to behind its last."""
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return (last + 1) * tensor.element_size()


def _attention_flops(query: Any, key: Any, value: Any, *_: Any, out_val: Any = None, **__: Any) -> int:
    return int(sdpa_flop_count(query.shape, key.shape, value.shape))
