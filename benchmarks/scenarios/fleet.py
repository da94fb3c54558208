"""A recognition service as its operators know it: models, hosts, folders, clients. The same for the same seed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HOSTS = tuple(f"gpu-{number:02}" for number in range(1, 6))
NEW_FOLDER = "/data/catalog/autumn"
"""Nothing lies there before the new product range comes."""
_CAMERAS = ("dock", "gate", "line-1", "line-2", "yard", "shelf-a", "shelf-b", "belt-1", "belt-2", "desk")
_CLIENTS = ("north", "south", "app", "portal", "partner")
_CLIENT_MODELS = (2, 0, 2, 1, 2)
_SIZES = ((480, 640), (720, 1280), (1080, 1920), (600, 800))


@dataclass(frozen=True, slots=True)
class Model:
    """``inference_ms`` and ``logit`` are the medians of its durations and of the logits of its scores."""

    name: str
    labels: tuple[str, ...]
    share: float
    inference_ms: float
    logit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """Where pictures of one client come from: a camera's own folder, or where somebody uploads.

    ``weight`` is its share of its model's pictures; ``label_odds`` how often each label is seen in it.
    """

    path: str
    client_ip: str
    model: int
    weight: float
    is_camera: bool
    brightness: float
    contrast: float
    height: int
    width: int
    label_odds: Floats


@dataclass(frozen=True, slots=True)
class Fleet:
    """``host_weights`` are the hosts' shares of the traffic, ``host_speed`` how much slower than usual each is."""

    models: tuple[Model, ...]
    folders: tuple[Folder, ...]
    host_weights: Floats
    host_speed: Floats

    @property
    def folder_weights(self) -> Floats:
        """Each folder's share of all traffic."""
        return np.array([folder.weight * self.models[folder.model].share for folder in self.folders])


MODELS = (
    Model("shelf-v3", tuple(f"product_{number:03}" for number in range(120)), 0.5, 24.0, 2.2),
    Model("parts-v2", tuple(f"part_{number:02}" for number in range(40)), 0.3, 38.0, 1.8),
    Model("digits-v1", tuple("零一二三四五六七八九"), 0.2, 12.0, 2.8),
)


def make_fleet(seed: int) -> Fleet:
    """Who serves and sends what. The models are always the same; how traffic is shared out is not."""
    random = np.random.default_rng([seed, 1])
    places = [(f"/data/camera/{name}", f"10.0.1.{n + 10}", n % 2) for n, name in enumerate(_CAMERAS)]
    places += [(f"/data/upload/{name}", f"10.0.2.{n + 10}", _CLIENT_MODELS[n]) for n, name in enumerate(_CLIENTS)]
    places.append((NEW_FOLDER, "10.0.3.10", 0))
    weights = random.gamma(6.0, 1.0, len(places))
    weights[-1] = 0.0
    models = np.array([model for _, _, model in places])
    weights /= np.bincount(models, weights)[models]
    return Fleet(
        MODELS,
        tuple(_folder(random, *place, weight=float(w)) for place, w in zip(places, weights, strict=True)),
        random.dirichlet(np.full(len(HOSTS), 30.0)),
        random.lognormal(0.0, 0.05, len(HOSTS)),
    )


def _folder(random: np.random.Generator, path: str, client_ip: str, model: int, *, weight: float) -> Folder:
    """Labels are as frequent as words are (Zipf), and each folder has favourites of its own."""
    ranks = np.arange(1, len(MODELS[model].labels) + 1)
    odds = random.gamma(0.8, 1.0, len(ranks)) / ranks
    height, width = _SIZES[int(random.integers(len(_SIZES)))]
    return Folder(
        path=path,
        client_ip=client_ip,
        model=model,
        weight=weight,
        is_camera="/camera/" in path,
        brightness=float(random.normal(0.0, 0.15)),
        contrast=float(random.uniform(0.7, 1.1)),
        height=height,
        width=width,
        label_odds=odds / odds.sum(),
    )
