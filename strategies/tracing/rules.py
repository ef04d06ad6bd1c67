"""What each kind of ATen operator does with channels.

A rule is told the operator's arguments and its result, and writes what it knows about the result into the book.
What no rule knows keeps its channels (`opaque`): nothing is ever guessed, and all that is found is checked later
against the masked twin.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from strategies.tracing.labels import Book, Traced, Vector

Arguments: TypeAlias = Sequence[Any]
Rule: TypeAlias = Callable[[Book, str, Callable[..., Any], Arguments, dict[str, Any], Any], None]


UNITED = "shares dimensions in such a way that no channel can go without all others"
AVERAGED = "is averaged together with the other channels"


def tensors_of(values: object) -> list[Tensor]:
    """All tensors in nested lists and tuples."""
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, list | tuple):
        return [tensor for value in values for tensor in tensors_of(value)]
    return []


def opaque(book: Book, name: str, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any], out: Any) -> None:
    """An operator that no rule knows: whatever reaches it stays."""
    for tensor in tensors_of([*args, *kwargs.values()]):
        book.atoms.keep_all(book[tensor], f"reaches the operator {name}, which no rule follows")


def ignore(book: Book, name: str, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any], out: Any) -> None:
    """The result carries no channel of its own: new tensors, numbers read out."""


def same(book: Book, name: str, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any], out: Any) -> None:
    """A copy."""
    book[out] = book[args[0]]


def elementwise(
    book: Book, name: str, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any], out: Any
) -> None:
    """Aligned channels become one; a dimension of size 1 is stretched and says nothing."""
    tensors = tensors_of([*args, *kwargs.values()])
    for result in tensors_of(out):
        merged = Traced((None,) * result.ndim)
        for tensor in sorted(tensors, key=lambda t: not book[t].weight):  # the name of a weight's channel stands
            merged = _joined(book, merged, book[tensor], tensor, result)
        book[result] = merged


def _joined(book: Book, merged: Traced, traced: Traced, tensor: Tensor, result: Tensor) -> Traced:
    if not traced.known or tensor.ndim > result.ndim:
        return merged
    dims = list(merged.dims)
    for dim, vector in enumerate(traced.dims, start=result.ndim - tensor.ndim):
        if vector is None or len(vector) != result.shape[dim]:
            continue
        old = dims[dim]
        book.atoms.unite(old, vector)
        dims[dim] = vector if old is None else np.where(old >= 0, old, vector)
    return Traced(tuple(dims), merged.weight or traced.weight)


def movement(
    book: Book, name: str, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any], out: Any
) -> None:
    """Views, permutations, slices, padding, PixelShuffle: followed by moving the numbers of the channels themselves."""
    source = args[0]
    traced = book[source]
    results = tensors_of(out)
    dims: list[list[Vector | None]] = [[None] * result.ndim for result in results]
    for dim, vector in enumerate(traced.dims):
        if vector is None:
            continue
        shape = [-1 if d == dim else 1 for d in range(source.ndim)]
        # From 1 on: 0 is what padding brings in. Floating point, for not all of these take integers.
        numbers = torch.arange(1, len(vector) + 1, dtype=torch.float64).view(shape).expand(source.shape).contiguous()
        moved = tensors_of(_detached(func, name)(numbers, *args[1:], **kwargs))
        for place, result in enumerate(moved):
            where, found = _read_back(book, result.numpy().astype(np.int64), vector)
            if where is not None:
                old = dims[place][where]
                book.atoms.unite(old, found)
                dims[place][where] = found if old is None else old
    for result, found_dims in zip(results, dims, strict=True):
        book[result] = Traced(tuple(found_dims), traced.weight)


def _detached(func: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Views of the tensor of numbers, whose memory need not lie as the original's did."""
    return torch.ops.aten.reshape.default if name in ("view", "_unsafe_view", "reshape", "_reshape_alias") else func


def _read_back(book: Book, numbers: Vector, vector: Vector) -> tuple[int | None, Vector]:
    """Along which dimension of the moved ``numbers`` the channels now lie, and which lies where.

    Channels that were spread over several dimensions (a linear layer viewed as an image) are one from now on
    where they share an index of the first of these, or of the last where the book says so.
    """
    atoms = np.concatenate([[-1], vector])[numbers]
    channels = np.concatenate([[-1], [book.atoms.root(int(atom)) if atom >= 0 else -1 for atom in vector]])[numbers]
    varying = [d for d in range(channels.ndim) if (channels != channels.take([0], axis=d)).any()]
    if not varying:
        united = len(vector) > 1 and len({book.atoms.root(int(atom)) for atom in vector}) == 1
        book.atoms.keep(atoms.reshape(-1)[:1], UNITED if united else "is picked out by its number")
        return None, vector
    where = varying[-1 if book.last else 0]
    rows = np.moveaxis(atoms, where, 0).reshape(numbers.shape[where], -1)
    for row in rows:
        book.atoms.unite_all([int(atom) for atom in np.unique(row)])
    return where, rows.max(1)


def concatenation(
    book: Book, name: str, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any], out: Any
) -> None:
    """Along the dimension they are put one behind the other, along all others aligned."""
    tensors = tensors_of(args[0])
    along = (args[1] if len(args) > 1 else kwargs.get("dim", 0)) % out.ndim
    dims: list[Vector | None] = [None] * out.ndim
    for tensor in tensors:
        known = list(book[tensor].dims)
        if name == "stack":
            known.insert(along, None)
        elif tensor.ndim != out.ndim:
            continue  # the empty tensor that `cat` lets pass
        for dim, vector in enumerate(known):
            if dim == along or vector is None:
                continue
            book.atoms.unite(dims[dim], vector)
            dims[dim] = vector if dims[dim] is None else dims[dim]
    if name != "stack":
        parts = [(book[t].dims[along], t.shape[along]) for t in tensors if t.ndim == out.ndim]
        if any(vector is not None for vector, _ in parts):
            dims[along] = np.concatenate([np.full(n, -1) if vector is None else vector for vector, n in parts])
    book[out] = Traced(tuple(dims), all(book[t].weight for t in tensors))


def contract(book: Book, one: tuple[Traced, Vector | None], other: tuple[Traced, Vector | None]) -> None:
    """Two dimensions are multiplied and summed away: index by index the same channel, read by the weight."""
    (a, along_a), (b, along_b) = one, other
    atoms = book.atoms
    atoms.unite(along_a, along_b)
    for traced, mine, theirs in ((a, along_a, along_b), (b, along_b, along_a)):
        if mine is None:
            continue
        alone = mine if theirs is None else mine[theirs < 0]
        if traced.weight:
            atoms.read.update(int(atom) for atom in mine if atom >= 0)
        else:
            atoms.keep(alone, "is multiplied with something that is no weight")
            if theirs is not None and not (a.weight or b.weight):
                atoms.products.update(int(atom) for atom in mine if atom >= 0)


def matrix_product(
    book: Book, name: str, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any], out: Any
) -> None:
    """``mm``, ``bmm``, ``mv`` and the same with something added."""
    added = args[0] if name in ("addmm", "baddbmm", "addmv") else None
    one, other = args[1:3] if added is not None else args[:2]
    a, b = book[one], book[other]
    vector = name in ("mv", "addmv", "dot")
    contract(book, (a, a.dims[-1]), (b, b.dims[-1 if vector else -2]))
    dims: list[Vector | None] = [*a.dims[:-1], *([] if vector else [b.dims[-1]])]
    if name in ("bmm", "baddbmm"):
        book.atoms.unite(a.dims[0], b.dims[0])
        dims[0] = b.dims[0] if dims[0] is None else dims[0]
    result = Traced(tuple(dims), a.weight and b.weight)
    book[out] = result if added is None else _joined(book, result, book[added], added, out)


def linear(book: Book, name: str, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any], out: Any) -> None:
    x, weight = book[args[0]], book[args[1]]
    contract(book, (x, x.dims[-1]), (weight, weight.dims[1]))
    result = Traced((*x.dims[:-1], weight.dims[0]))
    bias = args[2] if len(args) > 2 else kwargs.get("bias")
    book[out] = result if bias is None else _joined(book, result, book[bias], bias, out)


def convolution(
    book: Book, name: str, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any], out: Any
) -> None:
    """A filter for each channel goes with its channel; other groups lose the same channels, so that all stay alike."""
    x, weight = book[args[0]], book[args[1]]
    bias, transposed, groups = args[2], args[6], args[8]
    atoms = book.atoms
    for vector in x.dims[2:]:
        atoms.keep(vector, "lies along a dimension that is convolved over")
    inputs, size = x.dims[1], args[0].shape[1]
    made, read = (weight.dims[1], weight.dims[0]) if transposed else (weight.dims[0], weight.dims[1])
    width = out.shape[1]
    if groups > 1 and groups == size:
        each = width // groups
        outputs = None if inputs is None else np.repeat(inputs, each)
        if transposed:
            by_channel = None if read is None else np.repeat(read, each)
            atoms.keep(made if each > 1 else None, "belongs to several channels at once")
        else:
            by_channel = made
        atoms.unite(outputs, by_channel)
        if by_channel is not None:
            for row in by_channel.reshape(-1, each):
                atoms.unite_all([int(atom) for atom in row])
        outputs = by_channel if outputs is None else outputs
    elif groups > 1:
        outputs = _grouped(book, made, groups, width)
        rows = _grouped(book, read, groups, size)
        _grouped(book, inputs, groups, size)
        contract(book, (x, inputs), (weight, rows))
    else:
        contract(book, (x, inputs), (weight, read))
        outputs = made
    if bias is not None:
        known = book[bias].dims[0]
        atoms.unite(outputs, known)
        outputs = known if outputs is None else outputs
    book[out] = Traced((x.dims[0], outputs, *[None] * (out.ndim - 2)))


def _grouped(book: Book, vector: Vector | None, groups: int, width: int) -> Vector | None:
    """The same place in every group is one channel. A vector for one group is repeated for all."""
    if vector is None:
        return None
    full = vector if len(vector) == width else np.tile(vector, groups)
    for column in full.reshape(groups, -1).T:
        book.atoms.unite_all([int(atom) for atom in column])
    return full


def batch_norm(
    book: Book, name: str, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any], out: Any
) -> None:
    """Each channel by itself: its statistics, scale and shift go with it."""
    x = book[args[0]]
    channels = x.dims[1]
    for tensor in [t for t in args[1:5] if isinstance(t, Tensor)]:
        known = book[tensor].dims[0]
        book.atoms.unite(channels, known)
        channels = known if channels is None else channels
    book[tensors_of(out)[0]] = Traced((x.dims[0], channels, *x.dims[2:]))


def group_norm(
    book: Book, name: str, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any], out: Any
) -> None:
    """The channels of a group are one: removed together they take nothing from the others' statistics."""
    x, groups = book[args[0]], args[6]
    channels = x.dims[1]
    for tensor in [t for t in args[1:3] if isinstance(t, Tensor)]:
        known = book[tensor].dims[0]
        book.atoms.unite(channels, known)
        channels = known if channels is None else channels
    if channels is not None:
        for row in channels.reshape(groups, -1):
            book.atoms.unite_all([int(atom) for atom in row])
    book[tensors_of(out)[0]] = Traced((x.dims[0], channels, *x.dims[2:]))


def layer_norm(
    book: Book, name: str, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any], out: Any
) -> None:
    x = book[args[0]]
    shared = len(args[1])
    for vector in x.dims[-shared:]:
        book.atoms.keep(vector, "is normalised together with the other channels")
    result = tensors_of(out)[0]
    dims = x
    for tensor in [t for t in args[2:4] if isinstance(t, Tensor)]:
        dims = _joined(book, dims, book[tensor], tensor, result)
    book[result] = dims


def _over(book: Book, x: Tensor, dims: Any, reason: str | None) -> list[int]:
    """The dimensions named by ``dims`` (None: all); channels along them stay where there is a reason."""
    if dims is None or dims == []:
        found = list(range(x.ndim))
    else:
        found = [d % x.ndim for d in (dims if isinstance(dims, list | tuple) else [dims])] if x.ndim else []
    for dim in found if reason else ():
        book.atoms.keep(book[x].dims[dim], str(reason))
    return found


def along(position: int, reason: str | None, reduces: bool = True) -> Rule:
    """An operator over the dimensions named by its argument at ``position``, each other index by itself."""

    def rule(
        book: Book, name: str, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any], out: Any
    ) -> None:
        x = args[0]
        named = args[position] if len(args) > position else kwargs.get("dim")
        over = _over(book, x, named, reason)
        known = book[x]
        for result in tensors_of(out):
            if result.ndim == x.ndim:
                dims = tuple(None if d in over and reduces else v for d, v in enumerate(known.dims))
            else:
                dims = tuple(v for d, v in enumerate(known.dims) if d not in over)
            book[result] = Traced(dims, known.weight)

    return rule


def everything(reason: str) -> Rule:
    """A reduction of all of its input."""

    def rule(
        book: Book, name: str, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any], out: Any
    ) -> None:
        _over(book, args[0], None, reason)

    return rule


def spatial(book: Book, name: str, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any], out: Any) -> None:
    """Pooling and interpolation: over the last dimensions, as many as the name says, each channel by itself."""
    x = args[0]
    found = re.search(r"(\d)d", name)
    over = int(found[1]) if found else 2
    known = book[x].dims
    for vector in known[-over:]:
        book.atoms.keep(vector, "lies along a dimension that is interpolated or pooled")
    for result in tensors_of(out):
        book[result] = Traced((*known[:-over], *[None] * over))


def embedding(
    book: Book, name: str, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any], out: Any
) -> None:
    book[out] = Traced((*[None] * args[1].ndim, book[args[0]].dims[1]))


def gated(book: Book, name: str, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any], out: Any) -> None:
    """GLU: the first half of the channels times the sigmoid of the second."""
    dim = args[1] if len(args) > 1 else kwargs.get("dim", -1)
    dims = list(book[args[0]].dims)
    vector = dims[dim]
    if vector is not None:
        first, second = np.split(vector, 2)
        book.atoms.unite(first, second)
        dims[dim] = np.where(first >= 0, first, second)
    book[out] = Traced(tuple(dims))


def attention(
    book: Book, name: str, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any], out: Any
) -> None:
    """``softmax(q k^T) v``: queries and keys are multiplied over their channels, values pass."""
    query, key, value = (book[x] for x in args[:3])
    contract(book, (query, query.dims[-1]), (key, key.dims[-1]))
    dims = list(query.dims)
    for d in range(len(dims) - 2):
        for other in (key, value):
            book.atoms.unite(dims[d], other.dims[d])
            dims[d] = other.dims[d] if dims[d] is None else dims[d]
    for traced in (query, key, value):
        book.atoms.keep(traced.dims[-2], "lies along the positions of an attention")
    dims[-1], dims[-2] = value.dims[-1], None
    book[tensors_of(out)[0]] = Traced(tuple(dims))


def copied_into(
    book: Book, name: str, func: Callable[..., Any], args: Arguments, kwargs: dict[str, Any], out: Any
) -> None:
    book[out] = _joined(book, book[args[0]], book[args[1]], args[1], out)


RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ["clone", "detach", "detach_", "alias", "contiguous", "_to_copy", "lift_fresh", "lift_fresh_copy"], same
    ),
    **dict.fromkeys(["dropout", "feature_dropout", "native_dropout"], same),
    **dict.fromkeys(
        [
            *("view", "_unsafe_view", "reshape", "_reshape_alias", "permute", "transpose", "t", "numpy_T", "expand"),
            *("repeat", "unsqueeze", "squeeze", "select", "slice", "narrow", "split", "split_with_sizes", "unbind"),
            *("unsafe_split", "unsafe_split_with_sizes", "unsafe_chunk", "chunk", "index_select", "index", "flip"),
            *("roll", "constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "unfold"),
            *("replication_pad1d", "replication_pad2d", "replication_pad3d", "pixel_shuffle", "pixel_unshuffle"),
            *("channel_shuffle", "native_channel_shuffle", "movedim", "_unsafe_index"),
        ],
        movement,
    ),
    **dict.fromkeys(["cat", "concat", "stack"], concatenation),
    **dict.fromkeys(["mm", "bmm", "addmm", "baddbmm", "mv", "addmv", "dot"], matrix_product),
    "linear": linear,
    "convolution": convolution,
    **dict.fromkeys(
        [
            *("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"),
            *("cudnn_batch_norm", "miopen_batch_norm", "_batch_norm_with_update", "_batch_norm_no_update"),
        ],
        batch_norm,
    ),
    "native_group_norm": group_norm,
    "native_layer_norm": layer_norm,
    "_fused_rms_norm": layer_norm,
    **dict.fromkeys(["_softmax", "_log_softmax"], along(1, "is in a softmax with the other channels", reduces=False)),
    # A sum passes: a channel that is zero adds nothing. Whether it is zero, the twin finds out.
    "sum": along(1, None),
    **dict.fromkeys(["mean", "var", "std", "var_mean", "std_mean"], along(1, AVERAGED)),
    **dict.fromkeys(["amax", "amin", "max", "min", "argmax", "argmin", "any", "all"], along(1, AVERAGED)),
    **dict.fromkeys(["linalg_vector_norm", "norm"], along(2, AVERAGED)),
    **dict.fromkeys(["cumsum", "sort", "topk"], everything("is ordered together with the other channels")),
    **dict.fromkeys(
        [
            *("max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool1d", "avg_pool2d", "avg_pool3d"),
            *("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool2d", "adaptive_max_pool3d"),
            *("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact1d"),
            *("_upsample_nearest_exact2d", "_upsample_nearest_exact3d", "upsample_linear1d", "upsample_bilinear2d"),
            *("upsample_trilinear3d", "upsample_bicubic2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
            *("grid_sampler_2d", "mkldnn_max_pool2d"),
        ],
        spatial,
    ),
    "embedding": embedding,
    "glu": gated,
    **dict.fromkeys(
        [
            *("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention"),
            *("_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention"),
        ],
        attention,
    ),
    "copy_": copied_into,
    "copy": copied_into,
    **dict.fromkeys(
        ["_prelu_kernel", "rrelu_with_noise", "log_sigmoid_forward", "masked_fill", "tril", "triu"], elementwise
    ),
    **dict.fromkeys(
        [
            *("empty_like", "zeros_like", "ones_like", "full_like", "rand_like", "randn_like", "randint_like"),
            *("new_empty", "new_zeros", "new_ones", "new_full", "new_empty_strided", "normal_", "uniform_"),
            *("bernoulli_", "random_", "zero_", "fill_", "_local_scalar_dense", "is_same_size", "equal", "bernoulli"),
            *("sym_size", "sym_stride", "sym_numel", "is_nonzero", "nonzero"),
        ],
        ignore,
    ),
}
"""ATen name -> rule. Operators that PyTorch tags as pointwise need no entry."""
