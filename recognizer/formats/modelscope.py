"""A folder as ModelScope's hub gives it, of the general recognition model: read here, without the hub's package.

The hub's own loader copies what fits and says nothing of the rest, and tells raw outputs as scores. Facts of the format
from modelscope/pipelines/cv/general_recognition_pipeline.py: the network is ResNeSt-101, which timm has as
``resnest101e`` with the same keys; the label is the second column of meta_info.txt, its line the class.
"""

import json
from pathlib import Path
from typing import Any

from recognizer.manifest import (
    FORMAT_VERSION,
    MAX_MANIFEST_BYTES,
    Architecture,
    CheckedFile,
    Manifest,
    ModelError,
    ModelFault,
    Preprocessing,
    Resize,
    ScoreKind,
    read_part,
)

CONFIGURATION_NAME = "configuration.json"
LABELS_NAME = "meta_info.txt"
WEIGHTS_NAME = "pytorch_model.pt"
LABEL_COLUMN = 1
TASK = "general-recognition"

PREPROCESSING = Preprocessing(
    height=224,
    width=224,
    resize=Resize.CROP,
    short_side=256,
    mean=(0.485, 0.456, 0.406),
    deviation=(0.229, 0.224, 0.225),
)
"""What the hub's pipeline does; the model's card speaks of 256 × 256. A canary in a model.json settles it."""


def is_folder(folder: Path) -> bool:
    """Whether it is the hub's folder; a model.json in it wins, because it knows more."""
    return (folder / CONFIGURATION_NAME).is_file()


def manifest(folder: Path, weights_sha256: str, labels_sha256: str) -> Manifest:
    """What the folder leaves unsaid, as a manifest; `ModelError` when it is of another task."""
    _check_task(folder)
    return Manifest(
        format_version=FORMAT_VERSION,
        name=folder.resolve().name[:200],
        architecture=Architecture(name="timm", parameters={"model": "resnest101e"}),
        weights=CheckedFile(file=WEIGHTS_NAME, sha256=weights_sha256),
        labels=CheckedFile(file=LABELS_NAME, sha256=labels_sha256),
        preprocessing=PREPROCESSING,
        score=ScoreKind.SOFTMAX,
    )


def _check_task(folder: Path) -> None:
    path = folder / CONFIGURATION_NAME
    try:
        configuration: Any = json.loads(read_part(folder, CONFIGURATION_NAME, MAX_MANIFEST_BYTES))
    except (ValueError, RecursionError) as error:
        raise _invalid(f"{path}: {error}") from error
    task = configuration.get("task") if isinstance(configuration, dict) else None
    if task != TASK:
        raise _invalid(f"{path}: the task is {task!r}, and of ModelScope's models {TASK!r} alone is read")


def _invalid(message: str) -> ModelError:
    hint = "for another model write a model.json beside its weights: docs/reference/model-format.md"
    return ModelError(ModelFault.MANIFEST_INVALID, message, hint=hint)
