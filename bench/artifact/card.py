"""The model card beside a saved generator: what it is, how it was made, what is known of it, how to load it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from bench.records import Number
from bench.tables.text import escape, markdown_table
from bench.training.recovery import Recovered
from strategies.constraints import Constraints
from strategies.layers import prunable_layers

CARRIED = {
    "generator": "the weights",
    "masks": "which weights stayed, layer by layer",
    "codes": "the level that each quantised weight is on",
}


def model_card(
    manifest: Mapping[str, Any], recovered: Recovered, numbers: Mapping[str, Number], seed: int | None = None
) -> str:
    """The card as Markdown. Whatever comes from outside is escaped; nothing is claimed that was not measured."""
    made_by = manifest["made_by"]
    name = f"{manifest['workload']}, {made_by.get('strategy', 'pruned')}"
    parts = [
        f"# {escape(name)}",
        _what(manifest, recovered),
        "## How it was made",
        _how(manifest),
        "## How to load it",
        _loading(manifest),
        "## What was removed",
        _layers(recovered),
        "## What was measured",
        _numbers(numbers, seed),
        "## Files",
        _files(manifest),
        "## Where it comes from",
        markdown_table(["what", "value"], [[escape(a), escape(b)] for a, b in _flat(manifest["provenance"])], left=2),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _what(manifest: Mapping[str, Any], recovered: Recovered) -> str:
    generator, pruned = recovered.generator, recovered.pruned
    total = sum(p.numel() for p in generator.parameters())
    left = sum(int(p.count_nonzero()) for p in generator.parameters())
    how = []
    if manifest["kept"]:
        how.append("channels are physically gone")
    if manifest["bypassed"]:
        how.append("whole blocks are gone")
    if manifest["masked"]:
        how.append("weights are zero in tensors of the old size, which dense kernels run no faster")
    if manifest["tied"]:
        how.append("layers share one tensor")
    if pruned and pruned.codes:
        how.append("weights take few values")
    inputs = " and ".join(f"`(N, {', '.join(map(str, x['shape']))})` {x['dtype']}" for x in manifest["inputs"])
    takes = f" It takes {inputs}." if inputs else ""
    return (
        f"A GAN's generator, {'pruned: ' + '; '.join(how) if how else 'not pruned'}. "
        f"{total:,} parameters, {left:,} of them not zero.{takes}{_finished(manifest)}"
    )


def _finished(manifest: Mapping[str, Any]) -> str:
    finish = manifest.get("finish")
    if not finish:
        return ""
    return (
        f" It is shipped as {finish['name']} ({finish['version']}), in files of its own; numbers and `ganprune.load` "
        "are of those, `generator.safetensors` is what they were made of."
    )


def _how(manifest: Mapping[str, Any]) -> str:
    made_by = manifest["made_by"]
    rows = [[escape(name), escape(value)] for name, value in _flat(made_by)]
    table = markdown_table(["what", "value"], rows, left=2) if rows else "Not recorded."
    return f"{table}\n\n{command}" if (command := _command(manifest)) else table


def _command(manifest: Mapping[str, Any]) -> str:
    """The command that makes it again, where all that it needs is recorded."""
    made_by, level = manifest["made_by"], manifest["made_by"].get("level")
    if not isinstance(level, Mapping) or len(level) != 1 or "strategy" not in made_by:
        return ""
    ((knob, value),) = level.items()
    asked = ["--sparsity", f"{value:g}"] if knob == "sparsity" else ["--level", f"{knob}={value:g}"]
    limits = Constraints.of(made_by.get("constraints", {}))
    strategy = made_by["strategy"].removesuffix(limits.label)
    words = ["ganprune", "prune", manifest["workload"], "--strategy", strategy, *asked, *_limits(limits)]
    usual = {"recovery": None, "finish": "none", "target": "params", "checkpoint": "shipped", "seed": 0}
    for option, default in usual.items():
        if made_by.get(option, default) != default:
            words += [f"--{option}", str(made_by[option])]
    file = ""
    if manifest.get("factory"):
        words += ["--workload-file", "FILE"]
        file = f" (FILE holds the `[[workload]]` table of {escape(manifest['workload'])})"
    line = shlex.join([str(word) for word in [*words, "--out", "DIR"]])
    return f"To make it again{file}:\n\n    {' '.join(line.split())}"


def _limits(limits: Constraints) -> list[str]:
    """The options that say what must hold besides the level."""
    words = [word for pattern in limits.exclude for word in ("--exclude", pattern)]
    words += [] if limits.cap is None else ["--cap", f"{limits.cap!r}"]
    words += [word for pattern, share in limits.ratios for word in ("--ratio", f"{pattern}={share!r}")]
    words += [] if limits.multiple is None else ["--multiple", str(limits.multiple)]
    return words + ([] if limits.at_least is None else ["--at-least", str(limits.at_least)])


def _loading(manifest: Mapping[str, Any]) -> str:
    if note := manifest.get("factory"):
        return _loading_of_own(note)
    return (
        "    import ganprune\n\n"
        '    generator = ganprune.load("this/folder")             # a plain torch.nn.Module, in eval mode\n'
        '    generator = ganprune.load("this/folder", MyGenerator)  # with a factory of the dense network\n\n'
        f"The first form needs the workload {escape(manifest['workload'])} to be registered. The manifest is data: "
        "loading imports nothing and runs nothing that it names. `ganprune export this/folder --onnx FILE` writes ONNX."
    )


def _loading_of_own(note: Mapping[str, Any]) -> str:
    """With the user's factory, which is named for the reader alone."""
    name = re.sub(r"\W", "", str(note["name"]).rpartition(":")[2])
    arguments = f" It is called with the arguments `{json.dumps(note['arguments'])}`." if note["arguments"] else ""
    return (
        "    import ganprune\n\n"
        f'    generator = ganprune.load("this/folder", {name})  # a plain torch.nn.Module, in eval mode\n\n'
        f"The second argument is the factory of the dense network, {escape(str(note['name']))}.{arguments} The "
        "manifest is data: loading imports nothing and runs nothing that it names. "
        "`ganprune export this/folder --onnx FILE --workload-file FILE` writes ONNX."
    )


def _layers(recovered: Recovered) -> str:
    if recovered.pruned is None:
        return "Nothing."
    left = prunable_layers(recovered.generator)
    rows = []
    for cut in recovered.pruned.layers:
        widths = [" x ".join(map(str, width)) for width in (cut.width, cut.kept_width)]
        kept = int(left[cut.name].weight.count_nonzero()) if cut.name in left else 0
        rows.append([escape(cut.name), escape(cut.kind), f"{cut.weights:,}", f"{kept:,}", *widths, escape(cut.note)])
    headers = ["layer", "kind", "weights", "not zero now", "out x in", "now", "note"]
    return markdown_table(headers, rows, left=2)


def _numbers(numbers: Mapping[str, Number], seed: int | None) -> str:
    """A number with all that it needs to stand beside another."""
    rows = [
        [
            escape(name),
            "—" if number.value is None else f"{number.value:.6g}",
            escape(number.unit),
            "" if number.num_images is None else str(number.num_images),
            escape(number.version),
        ]
        for name, number in numbers.items()
    ]
    if not rows:
        return "Nothing: it was saved without being judged. `ganprune run` measures."
    inputs = "one seed" if seed is None else f"seed {seed}"
    text = f"On the evaluation inputs of {inputs}. Comparable with numbers of the same version only."
    return f"{text}\n\n{markdown_table(['metric', 'value', 'unit', 'images', 'version'], rows, left=1)}"


def _files(manifest: Mapping[str, Any]) -> str:
    rows = [[f"`{name}.safetensors`", CARRIED[name], f"`{value}`"] for name, value in manifest["hashes"].items()]
    if finish := manifest.get("finish"):
        what = f"as it is shipped: {finish['name']}"
        rows += [[f"`{name}`", escape(what), f"`{value}` (of the file)"] for name, value in finish["files"].items()]
    rows.append(["`manifest.json`", "kept indices, what made it, hashes", ""])
    return markdown_table(["file", "content", "SHA-256 of its tensors"], rows, left=3)


def _flat(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, item in value.items():
        if isinstance(item, Mapping):
            found += _flat(item, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", str(item)))
    return found
