"""The registry of metrics: what each gives, and what its version names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.tasks.generation.asked import METRICS
from bench.tasks.generation.extractors import EXTRACTORS
from bench.tasks.generation.frechet import frechet_distance
from bench.tasks.generation.kernel import kernel_distance, unit_length
from bench.tasks.generation.metrics import Terms
from bench.tasks.generation.quality import Judged, Reference, judge, reference
from bench.workloads.data import dummy_blobs

TERMS = Terms(judge="lenet-0123", num_images=1000, reference="digits-4567-89ab", real=900, standard=False)


@pytest.fixture(scope="module")
def held_out() -> Judged:
    return judge(EXTRACTORS["dummy-judge"](), dummy_blobs().held_out)


@pytest.fixture(scope="module")
def real() -> Reference:
    return reference(EXTRACTORS["dummy-judge"](), dummy_blobs(), real=len(dummy_blobs().held_out))


def test_versions_of_fid_and_is_stay_as_they_were() -> None:
    # Keys of finished cells hold these texts: a change measures everything again.
    assert METRICS["fid"].version(TERMS) == "frechet-2/lenet-0123/n1000-uint8/ref-digits-4567-89ab"
    assert METRICS["is"].version(TERMS) == "torch-fidelity-isc-1/lenet-0123/n1000-uint8/splits1"


@pytest.mark.parametrize("name", list(METRICS))
def test_a_metric_gives_its_columns(name: str, held_out: Judged, real: Reference) -> None:
    values = METRICS[name].compute(held_out, real).values
    assert list(values) == [column.name for column in METRICS[name].columns]
    assert all(isinstance(value, float) for value in values.values())


@pytest.mark.parametrize("name", list(METRICS))
@pytest.mark.parametrize("change", [{"judge": "other"}, {"num_images": 400}])
def test_another_judge_or_number_of_images_is_another_version(name: str, change: dict[str, str]) -> None:
    assert METRICS[name].version(replace(TERMS, **change)) != METRICS[name].version(TERMS)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["kid", "prc", "cmmd", "mind"])
def test_the_version_says_how_many_training_images_it_was(name: str) -> None:
    assert "ref-digits-4567-89ab-first900" in METRICS[name].version(TERMS)


def test_columns_have_versions_of_their_own() -> None:
    metric = METRICS["fid"]
    columns = {column.name: column for column in metric.columns}
    plain = metric.version(TERMS)
    versions = [metric.column_version(columns[name], TERMS) for name in ("fid", "fid-held-out")]
    assert versions == [plain, f"{plain}/fid-held-out"]


def test_only_the_distance_without_its_bias_has_a_version_for_every_number_of_images() -> None:
    other = replace(TERMS, num_images=2 * TERMS.num_images)
    for name in METRICS:
        for column in METRICS[name].columns:
            same = METRICS[name].column_version(column, TERMS) == METRICS[name].column_version(column, other)
            assert same == (column.name == "fid-inf")


def test_no_column_belongs_to_two_metrics() -> None:
    names = [column.name for name in METRICS for column in METRICS[name].columns]
    assert len(set(names)) == len(names)


def test_fid_is_the_distance_to_the_training_images(held_out: Judged, real: Reference) -> None:
    assert METRICS["fid"].compute(held_out, real).values["fid"] == frechet_distance(real.train, held_out.gaussian)


def test_kid_is_of_unit_length_unless_the_features_are_the_field_s(held_out: Judged, real: Reference) -> None:
    size, features, others = len(held_out.features) // 4, held_out.features, real.real
    assert others is not None
    small = METRICS["kid"].compute(held_out, real).values["kid"]
    standard = METRICS["kid"].compute(held_out, replace(real, standard=True)).values["kid"]
    assert small == kernel_distance(unit_length(features), unit_length(others), size)
    assert standard == kernel_distance(features, others, size)


def test_a_reference_keeps_real_features_only_on_request() -> None:
    data = dummy_blobs()
    extractor = EXTRACTORS["dummy-judge"]()
    assert reference(extractor, data).real is None
    found = reference(extractor, data, real=30).real
    assert found is not None
    assert found == pytest.approx(judge(extractor, data.train[:30]).features, abs=1e-6)


def test_a_reference_of_many_images_is_streamed_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    extractor, data = EXTRACTORS["dummy-judge"](), dummy_blobs()
    whole = reference(extractor, data, real=100)
    monkeypatch.setattr("bench.tasks.generation.quality.LARGE", 10)
    monkeypatch.setattr("bench.tasks.generation.quality.CHUNK_ROWS", 90)
    chunked = reference(extractor, data, real=100)
    assert chunked.train.covariance == pytest.approx(whole.train.covariance, rel=1e-5)
    assert chunked.train_subset.mean == pytest.approx(whole.train_subset.mean, rel=1e-5)
    assert chunked.real == pytest.approx(whole.real, abs=1e-6)
