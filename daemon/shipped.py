"""The files that come with wumu: the rules, the unit, the configurations for other shippers."""

from importlib import resources
from pathlib import Path


def shipped(name: str) -> str:
    """The text of ``alerts.yaml`` or of a file under ``deploy/``.

    In an installed wheel they lie beside this module, in a checkout (also an editable install) at its root.
    """
    packaged = resources.files("daemon").joinpath("shipped", *name.split("/"))
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parent.parent / name).read_text(encoding="utf-8")
