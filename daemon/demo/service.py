"""The demo's image-recognition service: the real recognizer over real pictures, with faults that can be switched on."""

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from recognizer.model import load
from recognizer.pipeline import Recognizer
from recognizer.train import SIDE

BATCH = 4
PAUSE_S = 0.1
WARM_UP = 10
SLOW_S = 0.3
"""How much longer a batch takes on the slow device."""
NOISE = 1.4
"""Deviation of the noise a dirty lens adds to the normalised picture."""


@dataclass(slots=True)
class Weather:
    """What befalls the service at the moment."""

    slow: bool = False
    dirty: bool = False


class Troubled(nn.Module):
    """The network on a device that may become slow, behind a lens that may become dirty."""

    def __init__(self, network: nn.Module, weather: Weather) -> None:
        super().__init__()
        self._network = network
        self._weather = weather
        self._noise = torch.Generator().manual_seed(0)

    def forward(self, batch: Tensor) -> Tensor:
        if self._weather.slow:
            time.sleep(SLOW_S)
        if self._weather.dirty:
            batch = batch + NOISE * torch.randn(batch.shape, generator=self._noise)
        answer: Tensor = self._network(batch)
        return answer


class Service:
    """Recognises pictures without pause until it is stopped; `weather` changes how well it fares."""

    def __init__(self, model: Path, paths: Sequence[str], seed: int) -> None:
        self.weather = Weather()
        loaded = load(model, "cpu")
        for _ in range(WARM_UP):  # the first passes of a process are slow, and would be learned as usual
            loaded.logits(torch.zeros(BATCH, 3, SIDE, SIDE))
        self._recognizer = Recognizer(replace(loaded, network=Troubled(loaded.network, self.weather).eval()))
        self._paths = list(paths)
        self._random = random.Random(seed)  # noqa: S311  # which picture comes next guards nothing
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="service")

    def serve(self, paths: Sequence[str]) -> None:
        """Recognise these paths once, in their order."""
        for _ in self._recognizer.recognize(paths, batch_size=BATCH, workers=1):
            pass

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        while not self._stop.wait(PAUSE_S):
            self.serve(self._random.choices(self._paths, k=BATCH))
