"""Uses of each weight entry by hooks on the modules: another way to count, for networks whose layers are all called."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from strategies.layers import device_of, prunable_layers


def positions(model: nn.Module, example_inputs: tuple[Tensor, ...]) -> dict[str, int]:
    """How often each weight entry of a layer is multiplied in one forward pass of one image.

    A convolution: its output positions. A transposed convolution: its input positions. A linear layer:
    the vectors it is applied to. So a layer's MACs are its positions times its (kept) weight entries.
    A layer of the user's own: the MACs of the products in its ``forward`` that its weight takes part in.
    """
    layers = prunable_layers(model)
    counts = dict.fromkeys(layers, 0)
    batch = len(example_inputs[0])

    def count(name: str, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(layer, nn.Linear):
            counts[name] += output.numel() // (output.shape[-1] * batch)
        else:
            grid = inputs[0] if isinstance(layer, _ConvTransposeNd) else output
            spatial = len(layer.kernel_size)  # type: ignore[arg-type]
            counts[name] += grid.shape[-spatial:].numel()

    modes = {module: module.training for module in model.modules()}
    with contextlib.ExitStack() as stack:
        for name, layer in layers.items():
            if isinstance(layer, _ConvNd | nn.Linear):
                hook = layer.register_forward_hook(lambda m, i, o, name=name: count(name, m, i, o))
                stack.callback(hook.remove)
        products = OwnProducts(model)
        if products.macs:
            stack.enter_context(products)  # PyTorch imports its compiler at the first such mode: over a second
        try:
            with torch.no_grad():
                model.eval()(*(x.to(device_of(model)) for x in example_inputs))
        finally:
            for module, mode in modes.items():
                module.training = mode
    for name, macs in products.macs.items():
        counts[name] = macs // (layers[name].weight.numel() * batch)
    return counts


class OwnProducts(TorchDispatchMode):
    """While it is entered: the MACs that layers of the user's own do with their weight, by layer.

    A product in a layer's ``forward`` counts if one factor has as many entries as the weight, or so many for each
    image of the batch (modulated weights). A fixed blur in the same ``forward`` does not.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        layers = prunable_layers(model)
        own = {name for name, layer in layers.items() if not isinstance(layer, _ConvNd | nn.Linear)}
        self.macs = dict.fromkeys((name for name in layers if name in own), 0)
        self.layers = layers if own else {}
        self._running: list[tuple[str, int]] = []
        self._handles = contextlib.ExitStack()

    def __enter__(self) -> OwnProducts:
        for name, layer in self.layers.items():
            entries = layer.weight.numel()
            before = layer.register_forward_pre_hook(lambda m, i, what=(name, entries): self._running.append(what))
            after = layer.register_forward_hook(lambda m, i, o: self._leave(), always_call=True)
            self._handles.callback(before.remove)
            self._handles.callback(after.remove)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._handles.close()

    def _leave(self) -> None:
        self._running.pop()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if self._running and self._running[-1][0] in self.macs and func.overloadpacket in flop_registry:
            name, entries = self._running[-1]
            batches = {1, *(x.shape[0] for x in args if isinstance(x, Tensor) and x.ndim), *args[8:9]}
            if any(isinstance(x, Tensor) and x.ndim > 1 and x.numel() in {entries * n for n in batches} for x in args):
                flops = flop_registry[func.overloadpacket](*args, **(kwargs or {}), out_val=result)
                self.macs[name] += int(flops) // 2
        return result
