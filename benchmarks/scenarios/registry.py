"""The incident kinds by name, and what each is given to work on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.scenarios.fleet import HOSTS, MODELS, Fleet
from benchmarks.scenarios.traffic import Floats, Mask, Pictures, bursts, changed_fields, joined, pictures_in
from benchmarks.scenarios.truth import Cause, Onset, Symptom, Truth, Wanted


@dataclass(slots=True)
class Scene:
    """Traffic into which an incident is put from ``start_ms`` to ``end_ms``."""

    fleet: Fleet
    random: np.random.Generator
    pictures: Pictures
    start_ms: int
    end_ms: int

    @property
    def now(self) -> Mask:
        """The pictures that come during the incident."""
        return self.pictures.between(self.start_ms, self.end_ms)

    @property
    def progress(self) -> Floats:
        """From 0 at the start of the incident to 1 at its end, by picture."""
        span = (self.pictures.at_ms - self.start_ms) / (self.end_ms - self.start_ms)
        return np.asarray(np.clip(span, 0.0, 1.0))

    def some(self, mask: Mask, share: float) -> Mask:
        """A random share of the pictures of ``mask``."""
        return np.asarray(mask & (self.random.random(len(mask)) < share))

    def any_host(self) -> int:
        """Hosts that serve more are hit more often; the same holds for folders and models."""
        return int(self.random.choice(len(HOSTS), p=self.fleet.host_weights))

    def any_model(self, among: Sequence[int] = range(len(MODELS))) -> int:
        shares = np.array([MODELS[model].share for model in among])
        return int(self.random.choice(among, p=shares / shares.sum()))

    def any_folder(self, *, camera: bool) -> int:
        weights = self.fleet.folder_weights * [folder.is_camera is camera for folder in self.fleet.folders]
        return int(self.random.choice(len(weights), p=weights / weights.sum()))

    def on_host(self, host: int) -> Mask:
        return np.asarray(self.now & (self.pictures.host == host))

    def of_model(self, model: int) -> Mask:
        return np.asarray(self.now & (self.pictures.model == model))

    def in_folder(self, folder: int) -> Mask:
        return np.asarray(self.now & (self.pictures.folder == folder))

    def add(self, folder: int, share: float) -> Mask:
        """New pictures come from a folder, ``share`` of what usually comes in all; which ones they are."""
        times = bursts(self.random, self.start_ms, self.end_ms, share)
        more = pictures_in(self.fleet, self.random, times, folder, "more")
        before = set(self.pictures.name.tolist())
        self.pictures = joined(self.pictures, more)
        return np.array([name not in before for name in self.pictures.name.tolist()])


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What an incident says about itself once it has happened; the fields are those of `Truth`.

    ``touched`` are the values beside the causes of which something is wrong, ``changed`` the fields that are changed by
    what comes in addition.
    """

    causes: tuple[Cause, ...] = ()
    touched: tuple[Cause, ...] = ()
    changed: frozenset[str] = frozenset()
    symptom: Symptom | None = None


Happening = Callable[[Scene], Told]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One kind. ``minutes`` is how long it lasts; ``stepwise``: its events do not reach the store in time."""

    name: str
    happen: Happening
    minutes: int
    onset: Onset
    wanted: Wanted
    stepwise: bool

    def into(self, scene: Scene) -> Truth:
        """Let it happen."""
        before = scene.pictures.copy()
        told = self.happen(scene)
        touched: dict[str, frozenset[str]] = {}
        for name, value in (*told.causes, *told.touched):
            touched[name] = touched.get(name, frozenset()) | {value}
        return Truth(
            kind=self.name,
            start_ms=scene.start_ms,
            end_ms=scene.end_ms,
            wanted=self.wanted,
            onset=self.onset,
            causes=told.causes,
            touched=touched,
            changed=told.changed | changed_fields(before, scene.pictures),
            symptom=told.symptom,
        )


INCIDENTS: dict[str, Incident] = {}
"""Filled by the modules under incidents, which `benchmarks.scenarios.kinds` imports."""


def incident(
    minutes: int = 60, *, onset: Onset = Onset.ABRUPT, wanted: Wanted = Wanted.YES, stepwise: bool = False
) -> Callable[[Happening], Happening]:
    """Lists a function under its own name."""

    def listed(happen: Happening) -> Happening:
        INCIDENTS[happen.__name__] = Incident(
            name=happen.__name__, happen=happen, minutes=minutes, onset=onset, wanted=wanted, stepwise=stepwise
        )
        return happen

    return listed
