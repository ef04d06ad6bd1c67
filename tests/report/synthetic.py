"""Records that look like a real run: two workloads, eight strategies and dense, four sparsities, three
seeds."""

from __future__ import annotations

import hashlib
import random
import zlib
from collections.abc import Collection, Mapping

from bench.records import (
    Architecture,
    Cell,
    Cost,
    Failure,
    Keys,
    LatencyRecord,
    LatencySample,
    Number,
    Provenance,
    Record,
    Status,
)
from bench.tables import granularity_of
from strategies.cut import LayerCut

WORKLOADS = {"mnist-dcgan": (972_000, 30_000_000, 4.1, 7.9), "mnist-mlp": (1_490_000, 1_488_000, 52.0, 7.1)}
STRATEGIES = {
    "random-weight-global": 9.0,
    "l1-weight-global": 2.2,
    "l1-weight-uniform": 3.0,
    "random-channel-uniform": 4.0,
    "l1-channel-uniform": 4.6,
    "l1-channel-global": 3.6,
    "bnscale-channel-global": 5.0,
    "rownorm-channel+everystep": 3.2,
}
"""Strategy -> how fast its FID grows with sparsity."""
_WEIGHT = ("taylor", "snip", "grasp", "fisher")
_SCHEDULES = ("cubic", "iterative", "rewind")
_MORE = (
    "l1-weight-lamp",
    *(f"{criterion}-weight-{allocation}" for criterion in _WEIGHT for allocation in ("erk", "lamp", "global")),
    *(f"{criterion}-weight-global+{schedule}" for criterion in ("l1", "movement") for schedule in _SCHEDULES),
    *(f"{criterion}-channel-{way}" for criterion in ("taylor", "fpgm", "hrank") for way in ("global", "uniform")),
    "taylor-channel-global+cubic", "taylor-channel-global+soft", "group-lasso-channel+dynamic",
    "l1-block-global", "random-block-global", "l1-nm-2-4", "taylor-nm-2-4",
)  # fmt: skip
MANY = STRATEGIES | {name: 2.0 + 0.11 * index for index, name in enumerate(_MORE)}
"""As many strategies as a large comparison has, of every granularity, with schedules and with a knob of their own."""
KNOBS = {"rownorm-channel+everystep": "threshold", "group-lasso-channel+dynamic": "strength"}
PHYSICAL = ("channel", "block")
SPARSITIES = (0.3, 0.5, 0.7, 0.9)
SEEDS = (0, 1, 2)
SHARES = {"precision": 40.0, "recall": 60.0, "density": 30.0, "coverage": 20.0}
"""Metric -> the FID at which it has fallen to a half."""
FID = "fid[mnist-lenet]"
IS = "is[mnist-lenet]"
HELD_OUT = "fid-held-out[mnist-lenet]"


def make_record(
    workload: str = "mnist-dcgan",
    strategy: str = "l1-weight-global",
    sparsity: float = 0.5,
    seed: int = 0,
    *,
    fid: float | None = 10.0,
    recovery: str = "bn-recalibrate",
    status: Status = "ok",
    reason: str = "",
    varies: str = "calibrate+eval",
    version: str = "1",
    num_images: int = 1000,
    level: dict[str, float] | None = None,
    inception: float | None = 7.5,
    empty: bool = False,
) -> Record:
    """One record; ``empty`` leaves out every number and the architecture."""
    params, macs, _, _ = WORKLOADS.get(workload, WORKLOADS["mnist-dcgan"])
    level = level if level is not None else {"sparsity": sparsity}
    masked = granularity_of(strategy) not in PHYSICAL
    kept = params if masked else round(params * (1 - sparsity))
    executed = macs if masked else round(macs * (1 - sparsity) ** 0.9)
    effective = round(macs * (1 - sparsity) ** 0.9)
    exact = {
        "params": (kept, "parameters"),
        "params_nonzero": (round(params * (1 - sparsity)), "parameters"),
        "macs_dense": (executed, "MACs"),
        "macs_effective": (effective, "MACs"),
    }
    numbers = {
        name: Number(value=value, unit=unit, direction="lower", kind="exact", version="1")
        for name, (value, unit) in exact.items()
    }
    held_out = None if fid is None else fid * 1.3 + 2
    for name, value, way in ((FID, fid, "lower"), (IS, inception, "higher"), (HELD_OUT, held_out, "lower")):
        numbers[name] = Number.model_validate(
            {"value": value, "unit": "", "direction": way, "kind": "stochastic"}
            | {"version": version, "num_images": num_images}
        )
    cell = Cell(workload=workload, strategy=strategy, level=level, recovery=recovery, seed=seed)
    key = hashlib.sha256(f"{cell.model_dump_json()}{version}".encode()).hexdigest()[:16]
    achieved = sparsity if strategy == "dense" else round(sparsity + 0.004 * (zlib.crc32(strategy.encode()) % 3 - 1), 4)
    return Record(
        keys=Keys(prune=key, eval=key),
        cell=cell,
        status=status,
        reason=reason,
        varies=varies,
        physical=granularity_of(strategy) in PHYSICAL,
        architecture=None if empty else Architecture(hash=architecture(workload, strategy, sparsity), widths={}),
        achieved_params=None if empty else achieved,
        achieved_macs=None if empty else 1 - effective / macs,
        numbers={} if empty else numbers,
        provenance=Provenance(
            checkpoint="abc",
            dense_key=None,
            git="0" * 40,
            libraries={"torch": "2.14.1"},
            machine={},
            device="cpu",
            threads=1,
        ),
    )


def architecture(workload: str, strategy: str, sparsity: float) -> str:
    """A stand-in for the hash: masks have the dense architecture."""
    physical = granularity_of(strategy) in PHYSICAL and sparsity > 0
    return f"{workload}-{strategy}-{sparsity}" if physical else f"{workload}-dense"


def make_records(recovery: str = "bn-recalibrate", strategies: Mapping[str, float] = STRATEGIES) -> list[Record]:
    """A whole run, with cells that collapsed, do not apply, or cannot be reached."""
    records = []
    for workload, (_, _, fid, inception) in WORKLOADS.items():
        for seed in SEEDS:
            shift = random.Random(f"{workload}{seed}").gauss(0, 0.06)
            records.append(
                make_record(
                    workload,
                    "dense",
                    0.0,
                    seed,
                    fid=fid * (1 + shift),
                    inception=inception,
                    recovery=recovery,
                )
            )
            for strategy, growth in strategies.items():
                records += [
                    _pruned(workload, strategy, growth, sparsity, seed, fid * (1 + shift), inception, recovery)
                    for sparsity in SPARSITIES
                ]
    return records


def make_many() -> list[Record]:
    """40 strategies, two workloads, two recoveries (one trains and has curves), layers, knobs, every metric."""
    found = []
    for recovery in ("bn-recalibrate", "finetune-200"):
        for record in make_records(recovery, MANY):
            found.append(_with_details(with_metrics(record), trained=recovery != "bn-recalibrate"))
    return found


def with_metrics(record: Record, *, drop: Collection[str] = ()) -> Record:
    """With KID, precision, recall, density and coverage that follow FID, and without the metrics in ``drop``."""
    if not record.numbers:
        return record
    fid = float(record.numbers[FID].value or 0.0)
    values = {"kid": ((fid - 3.0) / 5e4, "lower")}
    values |= {name: (1 / (1 + fid / scale), "higher") for name, scale in SHARES.items()}
    more = {
        f"{name}[mnist-lenet]": Number.model_validate(
            {"value": value, "unit": "", "direction": way, "kind": "stochastic", "version": "1", "num_images": 1000}
        )
        for name, (value, way) in values.items()
    }
    numbers = {name: each for name, each in (record.numbers | more).items() if name.partition("[")[0] not in drop}
    return record.model_copy(update={"numbers": numbers})


def _with_details(record: Record, *, trained: bool) -> Record:
    """With layers, a knob where the strategy has one, and a curve where it was trained."""
    cell = record.cell
    if not record.numbers:
        return record
    changes: dict[str, object] = {}
    if cell.strategy in KNOBS:
        level = {KNOBS[cell.strategy]: round(cell.level["sparsity"] / 2, 3)}
        changes["cell"] = cell.model_copy(update={"level": level})
    dense = cell.strategy == "dense"
    removed = 0.0 if dense else cell.level["sparsity"]
    deep = cell.workload == "mnist-dcgan"
    widths = ((100, 256), (256, 128), (128, 64), (64, 1)) if deep else ((100, 512), (512, 784))
    changes["layers"] = [
        LayerCut(
            name=f"layers.{index}", kind="conv", weights=into * out * 16, width=(out, into), kept_width=(out, into),
            kept=round(into * out * 16 * (1 - removed) ** (1 + 0.2 * index)),
        )
        for index, (into, out) in enumerate(widths)
    ]  # fmt: skip
    if trained:
        end = float(record.numbers[FID].value or 1.0)
        changes["cost"] = Cost(train_steps=200, peak_memory_bytes=600 * 2**20)
        changes["curve"] = [
            {"step": step, "quality": end * (1 + (0 if dense else 6) * 0.97**step), "loss_g": 0.7, "loss_d": 1.3}
            for step in range(0, 201, 20)
        ]
    return record.model_copy(update=changes)


def _pruned(
    workload: str,
    strategy: str,
    growth: float,
    sparsity: float,
    seed: int,
    fid: float,
    inception: float,
    recovery: str,
) -> Record:
    if strategy.startswith("bnscale") and workload == "mnist-mlp":
        reason = "mnist-mlp has no BatchNorm layer | nothing to rank"
        return make_record(
            workload,
            strategy,
            sparsity,
            seed,
            status="not-applicable",
            reason=reason,
            empty=True,
            recovery=recovery,
        )
    if strategy == "l1-channel-uniform" and workload == "mnist-mlp" and sparsity == 0.9:
        reason = "at most 0.861 can be removed with one channel left everywhere"
        return make_record(
            workload,
            strategy,
            sparsity,
            seed,
            status="infeasible",
            reason=reason,
            empty=True,
            recovery=recovery,
        )
    random_strategy = strategy.startswith("random")
    noise = random.Random(f"{workload}{strategy}{sparsity}{seed}").gauss(0, 0.18 if random_strategy else 0.01)
    value = fid * (1 + 0.04 * growth * (pow(30, sparsity * growth / 3.2) - 1) * (1 + noise))
    collapsed = value > 600
    if strategy == "l1-channel-global" and sparsity == 0.9 and seed == 1:
        collapsed = True
    varies = "prune+calibrate+eval" if random_strategy else "calibrate+eval"
    return make_record(
        workload,
        strategy,
        sparsity,
        seed,
        fid=min(value, 980.0),
        inception=max(1.0, inception * (1 - value / 700)),
        status="collapsed" if collapsed else "ok",
        reason="IS 1.02 is below 1.2" if collapsed else "",
        varies=varies,
        recovery=recovery,
    )


def make_latency(records: list[Record]) -> list[LatencyRecord]:
    """One record for each distinct architecture but dense, on the CPU, batch 1 and 16."""
    found: dict[str, tuple[str, float]] = {}
    for record in records:
        if record.physical and record.architecture is not None:
            ratio = float(record.numbers["macs_dense"].value or 1) / WORKLOADS[record.cell.workload][1]
            found[record.architecture.hash] = (record.cell.workload, ratio)
    return [
        latency_record(workload, name, batch, (1 / ratio) ** (0.6 if batch == 1 else 0.85))
        for name, (workload, ratio) in found.items()
        for batch in (1, 16)
    ]


def latency_record(workload: str, name: str, batch: int, speedup: float) -> LatencyRecord:
    """One valid measurement with a speed-up of about ``speedup``."""
    dense = 0.9 * batch**0.8 * (3 if workload == "mnist-dcgan" else 1)
    speedup *= random.Random(f"{name}{batch}").uniform(0.9, 1.1)
    sample = LatencySample(
        dense_wall=dense / 1e3, pruned_wall=dense / speedup / 1e3, dense_cpu=dense / 1e3,
        pruned_cpu=dense / speedup / 1e3, interrupted=False,
    )  # fmt: skip
    return LatencyRecord(
        latency_key=hashlib.sha256(f"{name}{batch}".encode()).hexdigest()[:16],
        workload=workload,
        architecture=name,
        dense_architecture=f"{workload}-dense",
        device="cpu",
        device_model="Some CPU @ 2.0GHz",
        backend="eager",
        batch=batch,
        dtype="float32",
        threads=1,
        flush_denormal=False,
        calls_per_block=10,
        samples=[sample] * 5,
        status="ok",
        dense_ms=dense,
        pruned_ms=dense / speedup,
        dense_ms_min=dense * 0.97,
        pruned_ms_min=dense / speedup * 0.97,
        dense_ms_p95=dense * 1.2,
        pruned_ms_p95=dense / speedup * 1.2,
        speedup=speedup,
        speedup_low=speedup * 0.96,
        speedup_high=speedup * 1.05,
        speedup_cpu=speedup,
    )


def make_failure() -> Failure:
    """A cell that raised, with a message that wants to break out of a table."""
    cell = Cell(workload="mnist-mlp", strategy="l1-channel-global", level={"sparsity": 0.5}, recovery="none", seed=0)
    return Failure(
        keys=Keys(prune="x", eval="y"),
        cell=cell,
        error="RuntimeError: <script>alert(1)</script> | boom",
        traceback="Traceback ...\n```\nRuntimeError: boom",
        attempt=2,
    )
