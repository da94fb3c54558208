"""The limits of an event, for its writer and its reader alike. Standard library only."""

from typing import Final

SCHEMA_VERSION: Final = 1
"""Version of the event contract; written into every event."""

INT64_MAX: Final = 2**63 - 1
MAX_LINE_BYTES: Final = 1024 * 1024
"""A longer line is no event: it is put aside unread."""
MAX_STRING_CHARACTERS: Final = 8191
"""Longest text a field keeps: 8191 characters of four bytes fit Elasticsearch's keyword limit of 32,766 bytes."""
MAX_DEPTH: Final = 20
"""How deep a field may nest: Elasticsearch's own limit for objects."""
