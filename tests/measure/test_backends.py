"""Every latency backend computes what eager PyTorch computes, or is not timed and says why. Nothing asserts on time."""

from __future__ import annotations

import copy
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.artifact.outputs import FLOAT32, difference
from bench.measure.backends import BACKENDS, Backend
from bench.measure.backends.base import lacks
from bench.measure.backends.csr import CsrLinear, csr
from bench.measure.backends.semi_structured import fits
from bench.measure.blocks import Plan
from bench.measure.latency import measure_latency, prepare
from bench.records import LatencyRecord
from bench.records.zeros import Zeros
from bench.sweep.timing import plant
from bench.workloads.networks import DummyGenerator
from strategies.base import NotApplicable
from strategies.layers import prunable_layers
from strategies.slicing import shrink
from tests.helpers.networks import TinyMlp

QUICK = Plan(warmup=1, rounds=1, min_seconds=0, max_rounds=2, max_seconds=0)
NEEDS = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("openvino", "onnx", "onnxscript")}


def needs(backend: str) -> None:
    for package in NEEDS.get(backend, ()):
        pytest.importorskip(package, reason=f"the {backend} backend needs {package}, an optional extra")
    if reason := BACKENDS[backend].missing(torch.device("cpu")):
        pytest.skip(reason)


def halved() -> tuple[nn.Module, nn.Module]:
    """The dummy generator, and the same with 6 of its 12 first channels."""
    dense = DummyGenerator().eval()
    first = torch.arange(6)
    return dense, shrink(dense, {"net.0": {"out": first}, "net.1": {"out": first}, "net.3": {"in": first}})


def masked_mlp(density: float = 0.25) -> tuple[nn.Module, nn.Module]:
    dense = TinyMlp().eval()
    pruned = copy.deepcopy(dense)
    plant(pruned, Zeros(tuple((name, density) for name in prunable_layers(pruned))))
    return dense, pruned


# The same output


FOREIGN = [pytest.param(name, marks=pytest.mark.slow) for name in NEEDS]


@pytest.mark.parametrize("backend", ["eager", "channels_last", "bf16", *FOREIGN])
def test_a_backend_computes_what_eager_computes(backend: str) -> None:
    needs(backend)
    inputs = (torch.randn(3, 8),)
    for network in halved():
        found = prepare(BACKENDS[backend].prepare, network, inputs)
        assert found.error is None if backend == "eager" else found.error <= BACKENDS[backend].tolerance
        assert found.seconds > 0
        with torch.inference_mode():  # and again: what is timed is the later calls
            assert difference(network(*inputs), found.call()) <= BACKENDS[backend].tolerance


@pytest.mark.slow
def test_torch_compile_computes_what_eager_computes_in_both_networks() -> None:
    needs("compile")
    fields = measure_latency(
        *halved(), (torch.randn(2, 8),), batch=2, backend=BACKENDS["compile"], plan=QUICK, builds=2
    )
    assert fields["status"] in {"ok", "invalid"} and fields["output_error"] <= FLOAT32
    assert min(fields["prepare_dense_seconds"], fields["prepare_pruned_seconds"]) > 0


def test_bf16_really_computes_in_bf16() -> None:
    dense, _ = halved()
    error = prepare(BACKENDS["bf16"].prepare, dense, (torch.randn(4, 8),)).error
    assert error is not None and 1e-4 < error < 0.05


def test_eager_is_timed_also_where_a_network_draws_noise() -> None:
    """No two of its outputs are equal, so another backend cannot be checked, and eager needs no check."""

    class Noisy(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x + torch.randn_like(x))

    networks, inputs = (Noisy(8, 8), Noisy(8, 8)), (torch.randn(2, 8),)
    fields = measure_latency(*networks, inputs, batch=2, plan=QUICK, builds=2)
    assert fields["status"] in {"ok", "invalid"} and fields["output_error"] is None
    assert (
        measure_latency(*networks, inputs, batch=2, backend=BACKENDS["bf16"], plan=QUICK, builds=2)["status"]
        == "refused"
    )


def test_channels_last_lays_weights_out_otherwise() -> None:
    dense, _ = halved()
    network = prepare(BACKENDS["channels_last"].prepare, dense, (torch.randn(1, 8),)).network
    weight = network.get_parameter("net.3.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name not in {"compile", *NEEDS}])
def test_measuring_leaves_both_networks_as_they_were(backend: str) -> None:
    dense, pruned = masked_mlp()
    before = [copy.deepcopy(network.state_dict()) for network in (dense, pruned)]
    measure_latency(dense, pruned, (torch.randn(2, 4),), batch=2, backend=BACKENDS[backend], plan=QUICK, builds=2)
    for network, state in zip((dense, pruned), before, strict=True):
        assert all(torch.equal(x, state[name]) for name, x in network.state_dict().items())
        assert not any(isinstance(module, CsrLinear) for module in network.modules())


@pytest.mark.slow
@pytest.mark.parametrize("backend", list(NEEDS))
def test_a_foreign_library_works_in_the_calling_thread_only(backend: str) -> None:
    """So that thread's clock and its interruptions are those of the measurement."""
    needs(backend)
    script = """
import sys, time, torch
torch.set_num_threads(1)
from torch import nn
from bench.measure.backends import BACKENDS
wide = nn.Sequential(nn.Linear(512, 2048), nn.ReLU(), nn.Linear(2048, 512)).eval()
with torch.no_grad():
    call = BACKENDS[sys.argv[1]].prepare(wide, (torch.randn(256, 512),))
call()
mine, all_threads = time.thread_time(), time.process_time()
for _ in range(5):
    call()
mine, all_threads = time.thread_time() - mine, time.process_time() - all_threads
print(mine / all_threads)
"""
    answer = subprocess.run([sys.executable, "-c", script, backend], capture_output=True, text=True, check=True)
    assert float(answer.stdout.splitlines()[-1]) > 0.9


@pytest.mark.slow
def test_openvino_is_imported_without_what_sends_usage_events() -> None:
    needs("openvino")
    script = """
import sys, torch
from torch import nn
from bench.measure.backends import BACKENDS
with torch.no_grad():
    BACKENDS["openvino"].prepare(nn.Tanh(), (torch.zeros(1, 2),))()
assert "openvino" in sys.modules
print([name for name in sys.modules if name.startswith("openvino_telemetry.")])
"""
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "[]"


# Refused, not applicable, unavailable


def test_a_backend_with_another_output_is_refused_and_has_no_number() -> None:
    def wrong(module: nn.Module, inputs: tuple[Tensor, ...]) -> object:
        return lambda: module(*inputs) * 1.001

    fields = measure_latency(
        *halved(), (torch.randn(2, 8),), batch=2, backend=Backend("wrong", wrong), plan=QUICK, builds=2
    )
    assert fields["status"] == "refused"
    assert "differs from eager's by 0.001 of its largest value, 0.0001 is allowed" in fields["reason"]
    assert fields["samples"] == [] and fields["output_error"] == pytest.approx(1e-3, rel=1e-3)
    assert [fields[name] for name in ("dense_ms", "pruned_ms", "speedup", "speedup_cpu")] == [None] * 4
    LatencyRecord(latency_key="k", workload="w", architecture="a", dense_architecture="b", **fields)


def test_only_one_wrong_member_is_enough() -> None:
    def sometimes(module: nn.Module, inputs: tuple[Tensor, ...]) -> object:
        small = module.get_parameter("net.0.weight").shape[1] == 6
        return lambda: module(*inputs) + (math.nan if small else 0)

    fields = measure_latency(
        *halved(), (torch.randn(2, 8),), backend=Backend("sometimes", sometimes), plan=QUICK, builds=2
    )
    assert fields["status"] == "refused" and "the pruned network" in fields["reason"]
    assert fields["output_error"] is None


def test_what_a_library_raises_is_the_reason() -> None:
    def broken(module: nn.Module, inputs: tuple[Tensor, ...]) -> object:
        raise RuntimeError("operator aten::x is not supported\nmore")

    with pytest.raises(NotApplicable, match=r"cannot take this network \(RuntimeError: operator aten::x is not supp"):
        prepare(broken, DummyGenerator(), (torch.randn(1, 8),))  # type: ignore[arg-type]


def test_a_network_that_fails_by_itself_is_an_error_not_a_reason() -> None:
    with pytest.raises(RuntimeError):
        prepare(BACKENDS["eager"].prepare, DummyGenerator(), (torch.randn(1, 5),))


@pytest.mark.parametrize(
    ("backend", "status", "reason"),
    [("csr", "not-applicable", "no linear layer"), ("nm-2-4", "unavailable", "need CUDA, not cpu")],
)
def test_convolutions_have_no_sparse_kernels_here(backend: str, status: str, reason: str) -> None:
    fields = measure_latency(*halved(), (torch.randn(1, 8),), backend=BACKENDS[backend], plan=QUICK, builds=2)
    assert fields["status"] == status and reason in fields["reason"]
    assert fields["samples"] == [] and fields["speedup"] is None


def test_channels_last_does_nothing_for_a_fully_connected_network() -> None:
    fields = measure_latency(
        *masked_mlp(), (torch.randn(1, 4),), backend=BACKENDS["channels_last"], plan=QUICK, builds=2
    )
    assert (fields["status"], "no other layout" in fields["reason"]) == ("not-applicable", True)


def test_a_package_that_is_not_installed_is_named_with_the_extra() -> None:
    assert lacks("torch", extra="onnx", device=torch.device("cpu")) == ""
    assert lacks("no_such_package_x", extra="onnx", device=torch.device("cpu")) == (
        "no_such_package_x not installed: pip install 'ganprune[onnx]'"
    )
    assert "on the CPU here, not on cuda" in lacks("torch", extra="onnx", device=torch.device("cuda"))


# CSR


def test_a_csr_layer_computes_a_product_worked_out_by_hand() -> None:
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]))
        layer.bias.copy_(torch.tensor([10.0, 20.0]))
    with torch.inference_mode():
        found = CsrLinear(layer)(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    assert found.tolist() == [[17.0, 26.0], [26.0, 35.0]]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5,), (2, 5), (2, 3, 5)], ids=str)
def test_a_csr_layer_takes_what_a_linear_layer_takes(shape: tuple[int, ...], bias: bool) -> None:
    layer = nn.Linear(5, 4, bias=bias)
    x = torch.randn(shape)
    with torch.inference_mode():
        torch.testing.assert_close(CsrLinear(layer)(x), layer(x))


def test_only_layers_with_zeros_become_sparse() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)).eval()
    plant(model, Zeros((("2", 0.5),)))
    found = prepare(csr, model, (torch.randn(3, 8),))
    assert [type(module).__name__ for module in found.network.children()] == ["Linear", "ReLU", "CsrLinear"]
    assert found.error <= FLOAT32


def test_without_masks_there_is_nothing_to_skip() -> None:
    dense, _ = masked_mlp()
    with pytest.raises(NotApplicable, match="no linear layer is masked"):
        csr(copy.deepcopy(dense), (torch.randn(1, 4),))


def test_the_dense_side_of_a_csr_pair_runs_eagerly() -> None:
    fields = measure_latency(
        *masked_mlp(), (torch.randn(2, 4),), batch=2, backend=BACKENDS["csr"], plan=QUICK, builds=2
    )
    assert (fields["backend"], fields["dense_backend"]) == ("csr", "eager")
    assert fields["status"] in {"ok", "invalid"} and len(fields["samples"]) > 0


# 2:4


def test_the_pattern_and_the_size_decide_whether_a_layer_fits_the_sparse_tensor_cores() -> None:
    weight = torch.ones(32, 64)
    assert not fits(weight)
    weight.unflatten(1, (-1, 4))[..., 2:] = 0
    assert fits(weight)
    assert not fits(weight[:, :60]) and not fits(weight[:16])
    weight[3, 2] = 1.0  # three of four
    assert not fits(weight)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_two_of_four_computes_what_eager_computes() -> None:
    dense = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64)).eval()
    pruned = copy.deepcopy(dense)
    plant(pruned, Zeros((("0", 0.5), ("2", 0.5)), n_of_m=(2, 4)))
    fields = measure_latency(dense, pruned, (torch.randn(64, 64),), device="cuda", batch=64, backend=BACKENDS["nm-2-4"])
    assert fields["status"] in {"ok", "invalid"}, fields["reason"]
    assert fields["dtype"] == "float16"


# The difference of two outputs


@pytest.mark.parametrize(
    ("expected", "found", "answer"),
    [
        (torch.tensor([1.0, -2.0]), torch.tensor([1.0, -2.0]), 0.0),
        (torch.tensor([1.0, -2.0]), np.array([1.0, -1.5]), 0.25),
        ((torch.tensor([4.0]), torch.tensor([1.0])), [np.array([4.0]), np.array([2.0])], 0.25),
        (torch.tensor([1.0]), torch.tensor([1.0, 2.0]), math.inf),
        (torch.tensor([1.0]), torch.tensor([[1.0]]), math.inf),
        ((torch.tensor([1.0]),), (), math.inf),
        (torch.tensor([1.0, math.nan]), torch.tensor([1.0, 1.0]), math.inf),
        (torch.tensor([1.0, 1.0]), torch.tensor([1.0, math.inf]), math.inf),
        (torch.tensor([2.0, math.nan]), torch.tensor([1.0, math.nan]), 0.5),
        (torch.tensor([0.0]), torch.tensor([0.0]), 0.0),
        (torch.tensor([0.0]), torch.tensor([1e-9]), math.inf),
    ],
)
def test_the_difference_is_a_share_of_the_largest_value(expected: object, found: object, answer: float) -> None:
    assert difference(expected, found) == answer
