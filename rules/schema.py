"""The JSON Schema of alerts.yaml, for editors and CI, and the tables of its keys: derived from the checking models."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from detectors.condition import Condition
from detectors.duration import format_duration
from detectors.parameters import Promise
from rules.fields import FIELDS
from rules.kql import to_kql
from rules.layout import FileLayout, IngestLayout, RuleLayout, TimersLayout
from rules.load import Registry

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _Quiet(GenerateJsonSchema):
    """A condition as a default can't be serialised; `_written` writes it in KQL."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012  # the base class's type


def json_schema(registry: Registry) -> dict[str, Any]:
    """The schema of a file whose kinds are those of the registry."""
    kinds = [*registry.detectors.values(), *registry.channels.values(), *registry.stores.values()]
    models: dict[type[BaseModel], None] = dict.fromkeys([FileLayout, IngestLayout, TimersLayout, RuleLayout, *kinds])
    refs, definitions = models_json_schema([(model, "validation") for model in models], schema_generator=_Quiet)
    shared: dict[str, Any] = definitions["$defs"]
    names = {model: refs[model, "validation"]["$ref"].rpartition("/")[2] for model in models}
    objects = {model: _object(model, shared[name]) for model, name in names.items()}
    file = objects[FileLayout]
    properties = file["properties"]
    properties["rules"]["items"] = _one_of(registry.detectors, objects, objects[RuleLayout])
    properties["channels"]["additionalProperties"] = _one_of(registry.channels, objects)
    properties["store"] = {"description": properties["store"]["description"], **_one_of(registry.stores, objects)}
    for key, model in (("ingest", IngestLayout), ("defaults", TimersLayout)):
        properties[key] = {**objects[model], "description": properties[key]["description"]}
    return {"$schema": DIALECT, **file, "title": "alerts.yaml of wumu", "$defs": _reachable(file, shared)}


def _reachable(schema: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """The shared definitions that the schema refers to, directly or by another."""
    found: dict[str, Any] = {}
    while True:
        text = json.dumps([schema, found])
        more = {name: shared[name] for name in sorted(shared) if f'"#/$defs/{name}"' in text and name not in found}
        if not more:
            return found
        found |= more


def _one_of(
    kinds: Mapping[str, type[BaseModel]],
    objects: Mapping[type[BaseModel], Mapping[str, Any]],
    base: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    return {"oneOf": [_kind(kind, objects[model], base or {}) for kind, model in kinds.items()]}


def _kind(kind: str, own: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    properties = {**base.get("properties", {}), **own["properties"], "kind": {"const": kind}}
    required = dict.fromkeys(["kind", *base.get("required", []), *own["required"]])
    return {
        "title": kind,
        "description": own.get("description", ""),
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _object(model: type[BaseModel], schema: Mapping[str, Any]) -> dict[str, Any]:
    properties = {key: _property(model, key, value) for key, value in schema["properties"].items()}
    return {**schema, "properties": properties, "required": schema.get("required", [])}


def _property(model: type[BaseModel], key: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of one key. Its default stands as a human would write it: durations with units, conditions in KQL."""
    kept = {name: part for name, part in value.items() if name not in ("title", "default")}
    info = next(info for name, info in model.model_fields.items() if key in (name, info.alias))
    default = None if info.is_required() else info.get_default(call_default_factory=True)
    if default is None or isinstance(default, BaseModel):
        return kept
    if isinstance(default, get_args(Condition)):
        return {**kept, "default": to_kql(default)}
    if _is_duration(value):
        return {**_without_bounds(kept), "default": format_duration(default)}
    return {**kept, "default": _written(default)}


def _written(default: Any) -> Any:
    """A default as it would stand in the file."""
    if isinstance(default, tuple):
        return [_written(one) for one in default]
    if isinstance(default, BaseModel):
        return default.model_dump(mode="json", exclude_none=True)
    return str(default) if isinstance(default, Promise) else default


def _is_duration(value: Mapping[str, Any]) -> bool:
    return any("30s" in one.get("examples", []) for one in (value, *value.get("anyOf", [])))


def _without_bounds(value: Mapping[str, Any]) -> dict[str, Any]:
    """A duration's bounds are numbers, its text is not."""
    return {name: part for name, part in value.items() if name not in ("minimum", "exclusiveMinimum", "maximum")}


def key_tables(schema: Mapping[str, Any]) -> str:
    """Markdown: the keys of the file, of every rule and of each kind, from a schema that `json_schema` made."""
    properties = schema["properties"]
    rules = properties["rules"]["items"]["oneOf"]
    first = rules[0]["properties"]
    common = {key: first[key] for key in first if all(kind["properties"].get(key) == first[key] for kind in rules)}
    sections = {
        "The file": [_table(properties, schema["required"])],
        "`ingest:`": [_table(properties["ingest"]["properties"])],
        "`defaults:`": [_table(properties["defaults"]["properties"])],
        "Every rule": [_table(common | {"kind": {"description": "how the rule judges: see below"}}, ["id", "kind"])],
        "Kinds of rule": [_kind_section(kind, common) for kind in rules],
        "Kinds of channel": [
            _kind_section(kind, {}) for kind in properties["channels"]["additionalProperties"]["oneOf"]
        ],
        "Kinds of store": [_kind_section(kind, {}) for kind in properties["store"]["oneOf"]],
    }
    return "\n\n".join(f"## {title}\n\n" + "\n\n".join(parts) for title, parts in sections.items()) + "\n"


def field_table() -> str:
    """Markdown: the fields of the event contract."""
    rows = ["| field | holds | meaning |", "| --- | --- | --- |"]
    for name, info in FIELDS.items():
        rows.append(f"| `{name}` | {'list of ' if info.is_list else ''}{info.kind} | {info.about} |")
    return "\n".join(rows) + "\n"


def _kind_section(kind: Mapping[str, Any], common: Mapping[str, Any]) -> str:
    own = {key: value for key, value in kind["properties"].items() if key not in common and key != "kind"}
    about = " ".join(kind["description"].split())
    return f"### `{kind['title']}`\n\n{about}\n\n{_table(own, kind['required'])}".replace("``", "`").rstrip()


def _table(properties: Mapping[str, Any], required: Sequence[str] = ()) -> str:
    if not properties:
        return ""
    rows = ["| key | default | meaning |", "| --- | --- | --- |"]
    for key, value in properties.items():
        default = "must be given" if key in required else _cell(value.get("default"))
        meaning = " ".join(str(value.get("description", "")).split()).replace("|", "\\|")
        rows.append(f"| `{key}` | {default} | {meaning} |")
    return "\n".join(rows)


def _item(one: Any) -> str:
    return f"{{{', '.join(f'{key}: {value}' for key, value in one.items())}}}" if isinstance(one, dict) else str(one)


def _cell(default: Any) -> str:
    if default is None or default in ([], {}, ""):
        return ""
    text = ", ".join(map(_item, default)) if isinstance(default, list) else str(default)
    text = text.lower() if isinstance(default, bool) else text
    return f"`{text}`".replace("|", "\\|")
