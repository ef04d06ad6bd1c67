"""Timing by CUDA events, peak memory, and every backend that runs on a GPU."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from bench.base.precision import tf32
from bench.measure.backends import BACKENDS
from bench.measure.blocks import Plan, cuda_timer
from bench.measure.latency import measure_latency
from bench.workloads.networks import Dcgan64Generator, MlpGenerator
from strategies.base import Context, Level
from strategies.builtin import STRATEGIES

QUICK = Plan(warmup=3, rounds=5, min_seconds=0.02, max_rounds=30, max_seconds=1.0)
ON_A_GPU = ["eager", "channels_last", "bf16", "tf32", "cuda-graph", pytest.param("compile", marks=pytest.mark.slow)]


def pruned(model: nn.Module, strategy: str = "l1-channel-uniform", level: Level | None = None) -> nn.Module:
    thing = STRATEGIES[strategy]
    given = Context(model, (torch.randn(2, 100),), torch.Generator().manual_seed(0))
    return thing.decide(thing.rank(given), level or Level("sparsity", 0.5), "params").apply(model).generator


@pytest.fixture(scope="module")
def pair() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    dense = Dcgan64Generator().eval()
    return dense, pruned(dense)


@pytest.mark.parametrize("batch", [1, 16, 64])
def test_eager_is_timed_by_events_at_every_batch(batch: int, pair: tuple[nn.Module, nn.Module], cuda: str) -> None:
    fields = measure_latency(*pair, (torch.randn(64, 100),), device=cuda, batch=batch, plan=QUICK)
    assert fields["status"] in ("ok", "invalid"), fields["reason"]
    assert all(0 < s.dense_wall < 1 and 0 < s.pruned_wall < 1 for s in fields["samples"])
    assert fields["speedup_cpu"] is None and "NVIDIA" in fields["device_model"]
    activations = 4 * batch * 64 * 32 * 32 // 2  # at least half of the widest map of the dense network
    assert fields["peak_memory_bytes"] > sum(4 * p.numel() for p in pair[1].parameters()) + activations // 2
    assert next(pair[0].parameters()).device.type == "cpu"  # what was given is left alone


@pytest.mark.parametrize("backend", ON_A_GPU)
def test_a_backend_makes_the_same_images_and_is_timed(
    backend: str, pair: tuple[nn.Module, nn.Module], cuda: str
) -> None:
    fields = measure_latency(
        *pair, (torch.randn(16, 100),), device=cuda, batch=16, backend=BACKENDS[backend], plan=QUICK
    )
    if backend == "compile" and fields["status"] == "not-applicable":
        pytest.skip(f"no compiler for a GPU here: {fields['reason']}")
    assert fields["status"] in ("ok", "invalid"), fields["reason"]
    assert (fields["peak_memory_bytes"] is None) is (backend == "cuda-graph")  # a graph's memory was set aside before
    if backend != "eager":
        assert 0 <= fields["output_error"] <= BACKENDS[backend].tolerance


def test_only_its_own_backend_rounds_to_tf32(pair: tuple[nn.Module, nn.Module], cuda: str) -> None:
    with tf32(True):
        fields = measure_latency(
            *pair, (torch.randn(4, 100),), device=cuda, batch=4, backend=BACKENDS["channels_last"], plan=QUICK
        )
        assert torch.backends.cudnn.allow_tf32
    assert fields["output_error"] < 1e-5
    rounded = measure_latency(*pair, (torch.randn(4, 100),), device=cuda, batch=4, backend=BACKENDS["tf32"], plan=QUICK)
    assert rounded["output_error"] > 1e-6 and not torch.backends.cudnn.allow_tf32


def test_rows_of_compressed_zeros_run_on_the_device(cuda: str) -> None:
    torch.manual_seed(0)
    dense = MlpGenerator().eval()
    masked = pruned(dense, "l1-weight-global", Level("sparsity", 0.9))
    fields = measure_latency(
        dense, masked, (torch.randn(16, 100),), device=cuda, batch=16, backend=BACKENDS["csr"], plan=QUICK
    )
    assert fields["status"] in ("ok", "invalid"), fields["reason"]


@pytest.mark.parametrize("batch", [1, 16, 64])
def test_two_of_four_runs_on_sparse_tensor_cores(batch: int, cuda: str) -> None:
    torch.manual_seed(0)
    dense = MlpGenerator(latent=128, widths=(256, 512, 1024), side=32).eval()
    given = Context(dense, (torch.randn(2, 128),), torch.Generator().manual_seed(0))
    thing = STRATEGIES["l1-nm-2-4"]
    masked = thing.decide(thing.rank(given), Level("n", 2.0), "params").apply(dense).generator
    inputs = (torch.randn(64, 128),)
    fields = measure_latency(dense, masked, inputs, device=cuda, batch=batch, backend=BACKENDS["nm-2-4"], plan=QUICK)
    assert fields["status"] in ("ok", "invalid"), fields["reason"]
    assert fields["dtype"] == "float16"


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_what_runs_on_processors_alone_says_so(backend: str, cuda: str, pair: tuple[nn.Module, nn.Module]) -> None:
    fields = measure_latency(*pair, (torch.randn(1, 100),), device=cuda, backend=BACKENDS[backend], plan=QUICK)
    assert fields["status"] == "unavailable" and fields["reason"]


def test_events_agree_with_the_clock(cuda: str) -> None:
    """Of calls that keep the GPU busy, the time between the events is the time until it is done."""
    import time

    x = torch.randn(2048, 2048, device=cuda)

    def call() -> None:
        for _ in range(20):
            torch.mm(x, x)

    call()
    torch.cuda.synchronize()
    start = time.perf_counter()
    block = cuda_timer(cuda)(call, 20)
    clock = (time.perf_counter() - start) / 20
    assert math.isfinite(block.wall) and block.wall == pytest.approx(clock, rel=0.25)
