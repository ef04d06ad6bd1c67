"""Single weights in the order in which Optimal Brain Compression removes them."""

from __future__ import annotations

import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from strategies.base import Context, Scores
from strategies.compensation.columns import put_rows
from strategies.criteria.moments import Read, damped_inverse, reads
from strategies.criteria.registry import criterion

DAMP = 0.01
"""Of the mean of the diagonal, added to it; as in SparseGPT (Frantar & Alistarh 2023)."""
ROUNDS = 8
"""Of wide layers, at least: so many weights of an output go between two updates of all others."""
ONE_BY_ONE = 32
"""Up to so many weights of an output go one by one."""
WIDE = 384
"""Outputs of more weights than that lose none before another: the inverse is not updated."""
SHRINK = 0.75
"""Where no output has more of its weights left, those that went are no longer carried along."""
ENTRIES = 2**24
"""Of the inverses that are worked on at once: those of several outputs, float32."""


@criterion(
    "obc",
    source="Frantar & Alistarh 2022 (Optimal Brain Compression); over 384 weights an output Hassibi & Stork 1993 (OBS)",
    formula="w_q^2 / [H^-1]_qq / var(outputs of the layer), H = E[x x'] + damp; greedy up to 384 weights an output",
    needs={"inputs"},
)
def obc(context: Context) -> Scores:
    """What a layer's squared error grows by when a weight goes, in the greedy order, the others of its output updated.

    The error is that of the layer's output on the dense network's inputs (128 to 1024 latents, eval mode), over the
    variance of the layer's outputs, so that layers compare. Its bias is not changed. Outputs that are read by the same
    columns share ``H``: of a transposed convolution those of one place modulo the stride. What an output loses weight
    by weight never costs less than what went before (the running maximum): so the order is the greedy one.

    An output with up to 32 weights loses them one by one. Wider ones lose up to an eighth of them between two updates
    of the rest: candidates are the cheapest, among themselves they go one by one with all updates, and those that
    become dearer than the dearest was at the start wait for the next round. More than 384 have the cost of each alone,
    the others of its output updated for it (Hassibi & Stork 1993): rounds of them take minutes. A grouped convolution
    has ``w^2 E[x^2]``, the diagonal of the same. A layer that does not run has zeros. Needs: inputs.

    Raises:
        NotApplicable: a layer whose weight is used several times or by other code than PyTorch's.
    """
    found = {name: torch.zeros_like(weight, dtype=torch.float64) for name, weight in context.weights()}
    for name, read in reads(context, tuple(found)):
        found[name] = removal_costs(read).to(found[name].device) / max(read.variance, torch.finfo(torch.float64).tiny)
    return found


def removal_costs(read: Read, damp: float = DAMP) -> Tensor:
    """Growth of the layer's squared error with each weight in the greedy order, of the weight's shape."""
    weight = read.layer.weight.detach().double()
    if not read.parts:
        return weight**2 * read.diagonal
    costs = torch.zeros_like(weight)
    for part in read.parts:
        rows = torch.zeros_like(part.weight)
        for columns in independent(part.moments):
            inverse = damped_inverse(part.moments[columns][:, columns], damp)
            costs_of = greedy_costs if len(inverse) <= WIDE else single_costs
            rows[columns] = costs_of(inverse, part.weight[columns])
        put_rows(read.layer, costs, part.which, rows)
    return costs


def independent(moments: Tensor) -> list[Tensor]:
    """Columns in sets that have nothing to do with each other: the taps on a single pixel are never read together."""
    links = csr_array((moments != 0).cpu().numpy())
    count, labels = connected_components(links, directed=False)
    of = torch.from_numpy(labels).to(moments.device)
    return [(of == k).nonzero().squeeze(1) for k in range(count)]


def single_costs(inverse: Tensor, weight: Tensor) -> Tensor:
    """The cost of each weight ``(n, out)`` if it goes alone: ``w^2 / [H^-1]_qq``."""
    return weight**2 / inverse.diagonal()[:, None].clamp_min(torch.finfo(inverse.dtype).tiny)


def greedy_costs(inverse: Tensor, weight: Tensor, at_once: int | None = None) -> Tensor:
    """The cost at which each weight goes, float64 ``(n, out)``.

    Args:
        inverse: of the second moments ``(n, n)``, damped.
        weight: ``(n, out)``; outputs are problems by themselves.
        at_once: candidates of a round; 1 is the greedy order of the paper. Left out, by the width.
    """
    n = len(inverse)
    at_once = at_once or (1 if n <= ONE_BY_ONE else n // ROUNDS)
    size = max(1, ENTRIES // n**2)
    return torch.cat([_greedy(inverse, part.T, at_once).T for part in weight.split(size, 1)], 1)


def _greedy(inverse: Tensor, weight: Tensor, at_once: int) -> Tensor:
    """`greedy_costs` of a few outputs, ``(out, n)``."""
    # Wide layers in single precision: damped, they have it to spare.
    kind = torch.float64 if at_once == 1 else torch.float32
    w = weight.to(kind, copy=True)
    p = inverse.to(kind).expand(len(w), *inverse.shape).clone()
    costs = torch.full_like(weight, torch.nan)
    highest = weight.new_zeros(len(w))
    places = torch.arange(w.shape[1], device=w.device).expand_as(w)
    gone = torch.zeros_like(weight, dtype=torch.bool)
    while bool((~gone).any()):
        own = p.diagonal(dim1=1, dim2=2).clamp_min(torch.finfo(kind).tiny)
        present = (w**2 / own).masked_fill(gone, torch.inf)
        cheapest, chosen = present.topk(min(at_once, w.shape[1]), largest=False)
        limit = cheapest.masked_fill(cheapest.isinf(), -torch.inf).amax(1)
        between = p.gather(1, chosen[:, :, None].expand(-1, -1, w.shape[1]))  # (out, chosen, n)
        block = between.gather(2, chosen[:, None].expand(-1, chosen.shape[1], -1))
        values = w.gather(1, chosen)
        leaves, paid, highest = _among(block, values, cheapest.isinf(), limit, highest)
        if not bool(leaves.any()):  # weights that are no numbers: nor are their costs
            return costs
        at = places.gather(1, chosen)
        costs.scatter_(1, at, torch.where(leaves, paid, costs.gather(1, at)))
        gone.scatter_(1, chosen, gone.gather(1, chosen) | leaves)
        _eliminate(p, w, between, block, values, leaves)
        left = int((~gone).sum(1).max())
        if 0 < left <= SHRINK * w.shape[1]:
            stay = gone.to(torch.uint8).argsort(dim=1, stable=True)[:, :left]
            w, places, gone = w.gather(1, stay), places.gather(1, stay), gone.gather(1, stay)
            p = torch.stack([one.index_select(0, k).index_select(1, k) for one, k in zip(p, stay, strict=True)])
    return costs


def _among(
    block: Tensor, values: Tensor, gone: Tensor, limit: Tensor, highest: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Which candidates ``(out, k)`` go, one by one while none costs more than ``limit``, and at what cost."""
    a, w, gone = block.clone(), values.clone(), gone.clone()
    leaves = torch.zeros_like(gone)
    paid = torch.zeros_like(values, dtype=torch.float64)
    rows = torch.arange(len(w), device=w.device)
    for _ in range(w.shape[1]):
        own = a.diagonal(dim1=1, dim2=2).clamp_min(torch.finfo(a.dtype).tiny)
        cost, which = (w**2 / own).masked_fill(gone, torch.inf).min(1)
        goes = torch.isfinite(cost) & (cost <= limit)
        if not bool(goes.any()):
            break
        highest = torch.where(goes, torch.maximum(highest, cost.double()), highest)
        # Ties in the running maximum keep the order in which they came.
        highest = torch.where(goes, highest * (1 + 1e-12) + torch.finfo(torch.float64).tiny, highest)
        paid[rows[goes], which[goes]] = highest[goes]
        leaves[rows[goes], which[goes]] = True
        gone[rows, which] |= goes
        column = a[rows, :, which]
        scale = torch.where(goes, 1 / own[rows, which], 0.0)
        w = w - column * (w[rows, which] * scale)[:, None]
        a = a - column[:, :, None] * (column * scale[:, None])[:, None, :]
    return leaves, paid, highest


def _eliminate(p: Tensor, w: Tensor, between: Tensor, block: Tensor, values: Tensor, leaves: Tensor) -> None:
    """Update ``p (out, n, n)`` and ``w (out, n)`` in place for the candidates that leave."""
    both = leaves[:, :, None] & leaves[:, None, :]
    block = torch.where(both, block, torch.diag_embed((~leaves).to(block.dtype)))
    between = between * leaves[:, :, None]
    sides = torch.cat([between, (values * leaves)[:, :, None]], 2)
    solved = torch.cholesky_solve(sides, torch.linalg.cholesky_ex(block).L)
    w -= torch.bmm(between.transpose(1, 2), solved[:, :, -1:]).squeeze(2)
    p.baddbmm_(between.transpose(1, 2), solved[:, :, :-1], alpha=-1)
