"""What `wumu recognize` is asked for, but for the paths and the device: each of several processes is given the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from recognizer.decode import Decoder, decode
from recognizer.decode_worker import DecodeWorkers
from recognizer.device.opening import LaneSettings
from recognizer.pipeline import Recognizer
from recognizer.source import Access, Repair


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The options of the command, in its words.

    ``log``: the file of all processes; each line is whole, and rotation is agreed between them.
    """

    model: Path
    log: Path | None = None
    roots: tuple[str, ...] = ()
    repair: bool = False
    canary_minutes: float | None = None
    decode_workers: int = 0
    batch_size: int = 32

    def recognizer(self, device: str) -> Recognizer:
        """Loaded on a device; raises `recognizer.manifest.ModelError`."""
        policy = Repair.EXISTING_FILE_INSIDE_ROOTS if self.repair else Repair.NEVER
        return Recognizer.load(
            self.model,
            device,
            access=Access(self.roots or None, policy),
            canary_minutes=self.canary_minutes,
            lane=LaneSettings(largest=self.batch_size),
        )

    @contextmanager
    def decoder(self) -> Iterator[Decoder]:
        """What decodes: so many processes of their own, or for 0 this process itself."""
        if self.decode_workers == 0:
            yield decode
            return
        with DecodeWorkers(self.decode_workers) as processes:
            yield processes.decode
