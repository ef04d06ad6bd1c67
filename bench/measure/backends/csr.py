"""Masked linear layers as compressed sparse rows: the zeros are neither stored nor multiplied."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from bench.measure.backends.base import Backend, Call, Inputs, replace_module
from bench.measure.backends.eager import eager
from strategies.base import NotApplicable


class CsrLinear(nn.Module):
    """``x W^T + b`` with ``W`` in compressed sparse rows, ``(..., in) -> (..., out)``."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            self.weight = layer.weight.detach().to_sparse_csr()
        bias: Tensor | None = layer.bias
        self.bias = None if bias is None else bias.detach()[:, None]

    def forward(self, x: Tensor) -> Tensor:
        columns = x.reshape(-1, x.shape[-1]).T
        if self.bias is None:
            made = torch.sparse.mm(self.weight, columns)
        else:
            made = torch.addmm(self.bias, self.weight, columns)
        rows: Tensor = made.T.reshape(*x.shape[:-1], -1)
        return rows


def csr(module: nn.Module, inputs: Inputs) -> Call:
    """Every linear layer with a zero in its weight becomes a `CsrLinear`; everything else runs eagerly.

    Raises:
        NotApplicable: no linear layer, or none with zeros. There are no sparse kernels for convolutions.
    """
    linear = {name: layer for name, layer in module.named_modules() if isinstance(layer, nn.Linear)}
    if not linear:
        raise NotApplicable("no linear layer, and PyTorch has no sparse kernels for convolutions")
    masked = {name: layer for name, layer in linear.items() if (layer.weight == 0).any()}
    if not masked:
        raise NotApplicable("no linear layer is masked, so there are no zeros to skip")
    for name, layer in masked.items():
        replace_module(module, name, CsrLinear(layer))
    return eager(module, inputs)


# A dense matrix in CSR is slower than plain: what one would run in place of the sparse network is eager.
CSR = Backend("csr", csr, prepare_dense=eager, dense_runs="eager", skips_zeros=True)
