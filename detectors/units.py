"""The unit of a field's values, from its name: units stand in names."""

_SUFFIXES = (("_ms", "ms"), ("_size", "bytes"), ("score", "score"), ("scores", "score"), ("_ratio", "ratio"))


def unit_of(field: str) -> str:
    """``ms`` for duration_ms, ``bytes`` for file_size…; the field's own name where it tells no unit."""
    return next((unit for suffix, unit in _SUFFIXES if field.endswith(suffix)), field)
