"""`wumu model`: look at a model, check it, bring it into the native format.

Works with the [recognizer] extra alone; torch is imported only once there is work.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from daemon.cli.main import HELP
from recognizer.paths import visible

REFUSED, USAGE = 1, 2
_LONGEST_LINE = 2_000

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document.")
_SOURCE = click.argument("path", type=click.Path(path_type=Path))


@click.group(context_settings=HELP)
def command() -> None:
    """Look at a model, check it, bring it into the native format.

    \b
    PATH is a folder with a model.json, a folder of ModelScope's hub, or a weights file beside its model.json.
    Exit codes:
      0  it went well
      1  the model is refused: it says why, with a code
      2  the call was wrong
    Examples:
      wumu model inspect models/digits
      wumu model verify --json models/digits
      wumu model convert ~/.cache/modelscope/hub/models/iic/cv_resnest101_general_recognition models/general \\
        --picture known.jpg
    """


@command.command()
@_SOURCE
@_JSON
def inspect(path: Path, *, as_json: bool) -> None:
    """What the files are, without building the network: format, sums, labels, preprocessing."""

    def work() -> dict[str, Any]:
        from recognizer.model import find  # noqa: PLC0415  # torch costs seconds that --help need not pay

        return _described(find(path))

    _show(_guarded(work, as_json=as_json), as_json=as_json)


@command.command()
@_SOURCE
@click.option("--device", default="cpu", show_default=True, help="auto, cpu, cuda, cuda:1…")
@_JSON
def verify(path: Path, *, device: str, as_json: bool) -> None:
    """Load it as a service would: sums, labels, every tensor, its signature, its canary."""

    def work() -> dict[str, Any]:
        from recognizer.model import find, load  # noqa: PLC0415  # as above

        model = load(path, device)
        canary = model.manifest.canary
        return _described(find(path)) | {
            "device": str(model.device),
            "keys_expected": model.facts.keys_expected,
            "keys_loaded": model.facts.keys_loaded,
            "canary": "none recorded" if canary is None else f"{canary.label} as recorded",
            "verified": True,
        }

    _show(_guarded(work, as_json=as_json), as_json=as_json)


@command.command()
@_SOURCE
@click.argument("target", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", help="Its name in every event; the source's when absent.")
@click.option("--picture", type=click.Path(path_type=Path, dir_okay=False), help="Record this picture as the canary.")
@click.option("--architecture", help="Of a graph (.pt2, ONNX, TorchScript): small_cnn, or a name of timm's.")
@_JSON
def convert(
    path: Path, target: Path, *, name: str | None, picture: Path | None, architecture: str | None, as_json: bool
) -> None:
    """Write TARGET, a folder with model.safetensors and model.json that answers as PATH does.

    A canary is recorded as the model answers now: see that the answer is right.
    """

    def work() -> dict[str, Any]:
        from recognizer.convert import convert as write  # noqa: PLC0415  # as above
        from recognizer.model import find  # noqa: PLC0415

        done = write(path, target, name=name, picture=picture, architecture=architecture)
        canary = "none recorded" if done.canary is None else f"{done.canary.label} with {done.canary.score:.3f}"
        return _described(find(target)) | {"canary": canary, "largest_difference": done.largest_difference}

    _show(_guarded(work, as_json=as_json), as_json=as_json)


def _described(source: Any) -> dict[str, Any]:
    """A `recognizer.model.Source` in words and numbers."""
    manifest = source.manifest
    architecture = manifest.architecture
    spec = manifest.preprocessing
    return {
        "name": manifest.name,
        "format": source.format.name,
        "architecture": None if architecture is None else {"name": architecture.name, **architecture.parameters},
        "weights": manifest.weights.file,
        "weights_bytes": len(source.weights),
        "weights_sha256": manifest.weights.sha256,
        "labels": len(source.labels.names),
        "labels_sha256": manifest.labels.sha256,
        "duplicate_labels": list(source.labels.duplicates),
        "preprocessing": {field: getattr(spec, field) for field in spec.__struct_fields__},
        "score": manifest.score,
        "canary": "none recorded" if manifest.canary is None else manifest.canary.label,
    }


def _guarded(work: Callable[[], dict[str, Any]], *, as_json: bool) -> dict[str, Any]:
    """What the work found; a refusal ends the command with its code."""
    from recognizer.manifest import ModelError  # noqa: PLC0415  # needs the extra, whose absence has words of its own

    try:
        return work()
    except ModelError as error:
        _refuse(error.code, str(error), error.hint, as_json=as_json)


def _refuse(code: str, message: str, hint: str, *, as_json: bool) -> NoReturn:
    if as_json:
        click.echo(json.dumps({"verified": False, "model_fault": code, "error": message, "hint": hint}))
    else:
        click.echo(f"wumu model: {visible(message, _LONGEST_LINE)} ({code})", err=True)
        click.echo(f"  what to do: {visible(hint, _LONGEST_LINE)}", err=True)
    sys.exit(REFUSED)


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    for name, value in found.items():
        shown = ", ".join(f"{key} {one}" for key, one in value.items()) if isinstance(value, dict) else str(value)
        click.echo(f"{name:18} {visible(shown, _LONGEST_LINE)}")
