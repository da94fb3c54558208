"""Every kind of detector, channel and store that alerts.yaml may name."""

from daemon.notify.registry import CHANNELS
from daemon.store.registry import STORES
from detectors.registry import DETECTORS
from rules.load import Registry


def registry() -> Registry:
    """The kinds with the models of their parameters, for `rules.load`."""
    return Registry(
        detectors=DETECTORS,
        channels={name: kind.parameters for name, kind in CHANNELS.items()},
        stores={name: kind.parameters for name, kind in STORES.items()},
    )
