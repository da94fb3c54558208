"""The contract of an event in other notations, all derived from the annotations of `recognizer.events.Event`.

The Elasticsearch index template, the JSON Schema and the columns of the embedded store follow a new field by
themselves; there is no second list of fields to keep.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import inspect

from recognizer.events import MAX_STRING_CHARACTERS, SCHEMA_VERSION, Event

TEMPLATE_PRIORITY = 200
"""Above Elasticsearch's own templates (100), below what a user would write to override ours (500 is customary)."""


class Kind(enum.StrEnum):
    """What a value of a field is."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"


NUMERIC = frozenset({Kind.INTEGER, Kind.NUMBER})
"""The kinds that can be added up."""


@dataclass(frozen=True, slots=True)
class Column:
    """One field: the kind of its values, whether it holds a list of them, whether every event must have it."""

    kind: Kind
    is_list: bool
    required: bool
    about: str


_KINDS: Mapping[type[inspect.Type], Kind] = {
    inspect.StrType: Kind.TEXT,
    inspect.IntType: Kind.INTEGER,
    inspect.FloatType: Kind.NUMBER,
    inspect.BoolType: Kind.BOOLEAN,
}
_ELASTIC: Mapping[Kind, Mapping[str, Any]] = {
    Kind.TEXT: {"type": "keyword", "ignore_above": 2 * MAX_STRING_CHARACTERS},
    Kind.INTEGER: {"type": "long"},
    Kind.NUMBER: {"type": "double"},
    Kind.BOOLEAN: {"type": "boolean"},
}


@cache
def columns() -> Mapping[str, Column]:
    """Every field of an event by name, in the order of the contract, without ``extra``."""
    info = inspect.type_info(Event)
    assert isinstance(info, inspect.StructType)  # noqa: S101 - narrows the type; Event is a Struct
    return MappingProxyType({field.name: _column(field) for field in info.fields if field.name != "extra"})


def _column(field: inspect.Field) -> Column:
    about, value = "", field.type
    if isinstance(value, inspect.Metadata):
        about, value = (value.extra_json_schema or {}).get("description", ""), value.type
    if isinstance(value, inspect.UnionType):
        (value,) = (one for one in value.types if not isinstance(one, inspect.NoneType))
    is_list = isinstance(value, inspect.ListType)
    if isinstance(value, inspect.ListType):
        value = value.item_type
    return Column(kind=_KINDS[type(value)], is_list=is_list, required=field.required, about=about)


def elasticsearch_template(pattern: str = "wumu-*") -> dict[str, Any]:
    """A composable index template (``PUT _index_template/…``) for Elasticsearch 8.12 to 9.x, basic features only.

    ``dynamic: false`` keeps fields that the contract does not name in ``_source`` without indexing them, so that no
    foreign log line can blow up the mapping.
    """
    properties = {name: dict(_ELASTIC[column.kind]) for name, column in columns().items()}
    properties["timestamp"] = {"type": "date", "format": "epoch_millis"}
    return {
        "index_patterns": [pattern],
        "priority": TEMPLATE_PRIORITY,
        "version": SCHEMA_VERSION * 1_000 + len(properties),  # grows with every field, so that the template is renewed
        "_meta": {"description": "events of an image-recognition service, kept by wumu"},
        "template": {
            "settings": {"number_of_shards": 1, "auto_expand_replicas": "0-1", "refresh_interval": "1s"},
            "mappings": {"dynamic": False, "properties": {"@timestamp": {"type": "date"}, **properties}},
        },
    }


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of one line in canonical form. Further fields are allowed and kept."""
    (components,) = msgspec.json.schema_components([Event])[1].values()
    properties = {name: schema for name, schema in components["properties"].items() if name != "extra"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "wumu event",
        "description": "One thing that happened to one picture: one JSON object a line",
        "type": "object",
        "properties": properties,
        "required": components["required"],
        "additionalProperties": True,
    }
