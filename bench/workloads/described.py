"""From a table of the user's to a workload that the rest of the benchmark knows no different."""

from __future__ import annotations

import copyreg

from bench.base.errors import UserError
from bench.workloads.base import Workload
from bench.workloads.condition import UNCONDITIONAL, Condition
from bench.workloads.data import ImageData
from bench.workloads.own import Own
from bench.workloads.recipe import Recipe, TrainingSpec
from bench.workloads.sampling import Inputs
from bench.workloads.spec import CLASSIFIER, WorkloadSpec
from bench.workloads.walk import find_images


def workload_of(spec: WorkloadSpec) -> Workload:
    """The workload that a table describes. Reads nothing yet."""
    spec = spec.absolute()
    own = Own(spec)
    training = TrainingSpec(**spec.training.model_dump())
    return Workload(
        name=spec.name,
        summary=spec.summary,
        generator=own.generator,
        discriminator=own.discriminator if spec.discriminator else None,
        inputs=Inputs(spec),
        data=spec.reference.source,
        extractor=own.extractor_name() if spec.extractor != CLASSIFIER else CLASSIFIER,
        recipe=Recipe(training, steps=1),
        weights="none",
        condition=condition_of(spec),
        own=own,
    )


def notes_of(workload: Workload, data: ImageData) -> tuple[str, ...]:
    """What was left out of the images of a workload, or done to them: inputs, reference, the classifier's folder."""
    inputs = workload.inputs.notes if isinstance(workload.inputs, Inputs) else ()
    return (*inputs, *(f"reference: {note}" for note in data.notes), *_of_classifier(workload.own))


def _of_classifier(own: Own | None) -> tuple[str, ...]:
    """What lies in the folder of ``auto:classifier`` beside images."""
    if own is None or own.spec.extractor != CLASSIFIER or own.spec.extractor_images is None:
        return ()
    try:
        note = find_images(own.spec.at(own.spec.extractor_images), own.here("extractor_images")).note
    except UserError:  # said by who reads it; another judge may have been asked for
        return ()
    return (f"extractor_images: {note}",) if note else ()


def condition_of(spec: WorkloadSpec) -> Condition:
    """What the discriminator is given besides images."""
    if spec.discriminator is None or not spec.discriminator.labels:
        return UNCONDITIONAL
    place, part = next((i, part) for i, part in enumerate(spec.inputs) if part.kind == "labels")
    assert part.classes is not None
    return Condition(place, part.classes, part.form == "one-hot")


def _reduced(workload: Workload) -> tuple[object, ...]:
    """Another process makes a user's workload again from its table; built-in ones travel by their parts."""
    if workload.own is not None:
        return workload_of, (workload.own.spec,)
    return Workload, tuple(vars(workload).values())


copyreg.pickle(Workload, _reduced)  # type: ignore[arg-type]
