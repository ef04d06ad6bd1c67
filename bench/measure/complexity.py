"""Multiply-accumulates (MACs) of one image: what the kernels do, and what a kernel that skips zeros would do.

Counted are convolutions, matrix products and attention, the field's convention. What else a network does
either counts as 0 by convention (`FREE_OPERATORS`) or is listed as uncounted; nothing is silently 0.
FLOPs, where someone asks for them, are 2 x MACs.
"""

from __future__ import annotations

import collections
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from bench.measure.footprint import LayerSize, nonzero
from strategies.layers import prunable_layers
from strategies.work import Counter, settled

MACS_VERSION = "flop-counter-1"

FREE_OPERATORS = frozenset(
    {
        # norms and softmax
        *("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"),
        *("cudnn_batch_norm", "miopen_batch_norm", "batch_norm_elemt"),
        *("native_layer_norm", "native_group_norm", "_fused_rms_norm"),
        *("_softmax", "_log_softmax", "linalg_vector_norm"),
        # activations and dropout without the tag `pointwise`
        *("_prelu_kernel", "rrelu_with_noise", "glu", "native_dropout", "log_sigmoid_forward"),
        # reductions and comparisons
        *(
            "sum",
            "mean",
            "var",
            "var_mean",
            "std",
            "std_mean",
            "amax",
            "amin",
            "max",
            "min",
            "argmax",
            "argmin",
        ),
        *("any", "all", "cumsum", "sort", "topk"),
        # pooling, nearest and linear interpolation
        *("max_pool1d", "max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool2d", "avg_pool3d"),
        *("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool2d", "adaptive_max_pool3d"),
        *("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d"),
        *("_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d"),
        *("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d"),
        *("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
        # moving, copying and selecting data
        *("cat", "stack", "copy_", "_to_copy", "_unsafe_view", "repeat", "roll", "flip", "constant_pad_nd"),
        *("reflection_pad1d", "reflection_pad2d", "reflection_pad3d"),
        *("replication_pad1d", "replication_pad2d", "replication_pad3d"),
        *("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "unsafe_split", "unsafe_split_with_sizes"),
        *("index", "_unsafe_index", "index_select", "index_put_", "gather", "scatter", "embedding"),
        *("masked_fill", "masked_fill_", "tril", "triu"),
        # making tensors
        *("empty", "empty_like", "empty_strided", "new_empty", "new_zeros", "new_ones", "new_full"),
        *("zeros", "zeros_like", "zero_", "ones", "ones_like", "full", "full_like", "fill_", "arange"),
        *("linspace", "eye", "scalar_tensor", "_local_scalar_dense", "lift_fresh_copy"),
        *(
            "rand",
            "rand_like",
            "randn",
            "randn_like",
            "randint",
            "randperm",
            "normal_",
            "uniform_",
            "bernoulli_",
        ),
    }
)
"""ATen operators that count as 0 MACs, beside all views and all operators that PyTorch tags as pointwise."""


@dataclass(frozen=True)
class Macs:
    """MACs of one image. ``dense`` and ``effective`` include what happens outside of modules."""

    dense: int
    """What the executed kernels multiply, zeros included."""
    effective: int
    """Each layer's MACs times its share of non-zero weights: theoretical, for dense kernels skip no zeros."""
    by_module: dict[str, int]
    """Dense MACs of the weight of each convolution and linear layer, summed over all that use it, see `Work`."""
    uncounted: tuple[str, ...]
    """Operators that ran, that nobody has a formula for and that are not free by convention, sorted."""

    @property
    def outside(self) -> int:
        """MACs of no convolution or linear weight: attention products, fixed filters, other parameters."""
        return self.dense - sum(self.by_module.values())


def count_macs(model: nn.Module, example_inputs: tuple[Tensor, ...]) -> Macs:
    """MACs of ``model`` for the first row of each of ``example_inputs (N >= 1, ...)``.

    The model runs once, in eval mode, and is left as it was; so is the random state. What is counted, and which
    weight it belongs to, is what rankings go by: `strategies.work`.

    Raises:
        ValueError: no inputs, or inputs without a row.
    """
    layers = prunable_layers(model)
    observer, counter = _Observer(), Counter(model)
    # The observer is entered first, so asked last: it sees the operators as the counter passes them on, decomposed.
    with settled(model, example_inputs) as inputs, observer, counter:
        model(*inputs)
    work = counter.work
    uncounted = tuple(sorted(name for name in observer.seen if name not in map(str, counter.formulas)))
    sizes = {name: LayerSize(layer.weight.numel(), nonzero(layer.weight)) for name, layer in layers.items()}
    return skipping_zeros(Macs(work.total, work.total, dict(work.by_layer), uncounted), sizes)


def skipping_zeros(macs: Macs, layers: Mapping[str, LayerSize]) -> Macs:
    """``macs`` of an architecture, with the effective ones of a network that has it and these weights."""
    effective = macs.dense
    for name, count in macs.by_module.items():
        effective -= count - count * layers[name].nonzero // max(layers[name].weights, 1)
    return replace(macs, effective=effective)


def count_macs_fvcore(model: nn.Module, example_inputs: tuple[Tensor, ...]) -> tuple[int, tuple[str, ...]]:
    """The same by fvcore 0.1.5, an independent second counter, and the operators that it does not support.

    It calls its numbers FLOPs; they are MACs. Unlike `count_macs` it also counts norms and interpolation.

    Raises:
        ModuleNotFoundError: fvcore is not installed.
    """
    with settled(model, example_inputs) as inputs, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # importing it and tracing warn about torch.jit
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(model, inputs)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        return int(analysis.total()), tuple(sorted(analysis.unsupported_ops()))


def count_products_fvcore(model: nn.Module, example_inputs: tuple[Tensor, ...]) -> int:
    """Only what `count_macs` counts, by fvcore: convolutions, matrix products and, with a handler, attention.

    Raises:
        ModuleNotFoundError: fvcore is not installed.
    """
    with settled(model, example_inputs) as inputs, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(model, inputs)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        analysis.set_op_handle("aten::scaled_dot_product_attention", _traced_attention)
        counts = analysis.by_operator()
    return int(sum(count for name, count in counts.items() if name in PRODUCTS_OF_FVCORE))


PRODUCTS_OF_FVCORE = ("conv", "linear", "addmm", "matmul", "bmm", "baddbmm", "einsum", "scaled_dot_product_attention")


def _traced_attention(inputs: list[Any], outputs: list[Any]) -> Any:
    """MACs of an attention from the shapes in a trace: queries with keys, their weights with values."""
    query, key, value = ([int(size) for size in x.type().sizes()] for x in inputs[:3])
    pairs = math.prod(query[:-1]) * key[-2]
    return collections.Counter({"scaled_dot_product_attention": pairs * (query[-1] + value[-1])})


class _Observer(TorchDispatchMode):
    """Notes the name of every operator that is not free by convention."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if not _is_free(func):
            self.seen.add(str(func.overloadpacket))
        return func(*args, **(kwargs or {}))


def _is_free(operator: Any) -> bool:
    namespace, _, name = operator.overloadpacket._qualified_op_name.partition("::")
    if namespace == "prim" or operator.is_view or torch.Tag.pointwise in operator.tags:
        return True
    return namespace == "aten" and name in FREE_OPERATORS
