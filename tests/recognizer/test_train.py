"""The small model is really trained: it must be good, honest about foreign pictures, and written whole."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images

from recognizer.manifest import ModelError, ModelFault
from recognizer.model import load
from recognizer.preprocess import prepare
from recognizer.train import LABELS, draw, load_digits, train
from tests.support.model import Trained


def test_the_held_out_digits_are_recognised(digits_model: Trained) -> None:
    assert digits_model.accuracy >= 0.97


def test_large_drawings_of_held_out_digits_are_recognised(digits_model: Trained) -> None:
    """The accuracy holds for pictures as the demo writes them, not only at the size of training."""
    model = load(digits_model.folder, "cpu")
    random = np.random.default_rng(1)
    _, held_out = load_digits(0)
    pictures = [draw(stroke, 200, random) for stroke in held_out.strokes[:200]]
    batch = torch.stack([prepare(one, model.manifest.preprocessing) for one in pictures])
    right = model.logits(batch).argmax(1).numpy() == held_out.classes[:200]
    assert right.mean() >= 0.96
    assert model.labels == LABELS


def test_photos_get_low_scores_and_digits_high_ones(digits_model: Trained) -> None:
    """A score has to mean something: what is no digit is not called one with confidence."""
    model = load(digits_model.folder, "cpu")
    spec = model.manifest.preprocessing
    photos = torch.stack([prepare(photo.copy(), spec) for photo in load_sample_images().images])
    random = np.random.default_rng(2)
    _, held_out = load_digits(0)
    digits = torch.stack([prepare(draw(one, 96, random), spec) for one in held_out.strokes[:100]])
    best_photo = model.scores(model.logits(photos)).amax(1)
    best_digit = model.scores(model.logits(digits)).amax(1)
    assert best_photo.max() < 0.6
    assert best_digit.median() > 0.85


def test_nothing_held_out_is_learned_from() -> None:
    """The halves are complete and disjoint, and another seed holds out other digits."""
    learn, held_out = load_digits(0)
    assert len(learn.classes) + len(held_out.classes) == 1797
    assert len(held_out.classes) == 449
    assert not np.array_equal(held_out.classes, load_digits(1)[1].classes)


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(ModelError) as caught:
        train(tmp_path)
    assert caught.value.code == ModelFault.NOT_A_FOLDER
    assert [one.name for one in tmp_path.iterdir()] == ["letters.txt"]


def test_nothing_but_the_folder_is_left_beside_it(digits_model: Trained) -> None:
    """The scratch folder it was written in is gone; the parts are those the reference names."""
    assert [one.name for one in digits_model.folder.parent.iterdir() if one.is_dir()] == ["digits"]
    assert sorted(one.name for one in digits_model.folder.iterdir()) == [
        "canary.png",
        "labels.txt",
        "model.json",
        "model.safetensors",
    ]
    assert cv2.imread(str(digits_model.folder / "canary.png")) is not None
