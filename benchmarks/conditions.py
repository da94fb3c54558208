"""Under which conditions a figure was measured: it stands beside every figure."""

import os
import platform
from importlib.metadata import version
from typing import Any


def conditions(*distributions: str) -> dict[str, Any]:
    """The machine, its load, and the versions of what takes part."""
    return {
        "cpus": os.cpu_count(),
        "load": [round(value, 2) for value in os.getloadavg()],
        "machine": platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **{name: version(name) for name in distributions},
    }
