"""The contract in other notations is derived: no field can be forgotten."""

import json

import jsonschema
import pytest

from recognizer.events import FIELD_NAMES, MAX_STRING_CHARACTERS, SCHEMA_VERSION
from recognizer.mapping import Kind, columns, elasticsearch_template, json_schema

KINDS_IN_ELASTICSEARCH = {Kind.TEXT: "keyword", Kind.INTEGER: "long", Kind.NUMBER: "double", Kind.BOOLEAN: "boolean"}
WHOLE = {
    "timestamp": 1_700_000_000_000,
    "event_type": "inference_complete",
    "file_path": "/上传/百灵.png",
    "top3_scores": [0.5, 0.25, 0.125],
    "shape": [480, 640, 3],
    "resized": True,
    "unknown": {"kept": 1},
}


def test_every_field_of_the_contract_is_a_column_in_its_order():
    assert tuple(columns()) == FIELD_NAMES
    assert "extra" not in columns()


def test_kinds_and_lists_follow_the_annotations():
    kinds = columns()
    assert (kinds["file_path"].kind, kinds["file_path"].is_list) == (Kind.TEXT, False)
    assert (kinds["top3_scores"].kind, kinds["top3_scores"].is_list) == (Kind.NUMBER, True)
    assert (kinds["shape"].kind, kinds["shape"].is_list) == (Kind.INTEGER, True)
    assert kinds["path_cleaned_exists"].kind is Kind.BOOLEAN
    assert [name for name, column in kinds.items() if column.required] == ["timestamp", "event_type"]


def test_every_column_says_what_it_means():
    assert all(column.about for column in columns().values())


def test_template_maps_every_field_by_its_kind():
    properties = elasticsearch_template()["template"]["mappings"]["properties"]
    for name, column in columns().items():
        if name != "timestamp":
            assert properties[name]["type"] == KINDS_IN_ELASTICSEARCH[column.kind]
    assert properties["file_path"]["ignore_above"] >= MAX_STRING_CHARACTERS
    assert properties["timestamp"] == {"type": "date", "format": "epoch_millis"}
    assert properties["@timestamp"] == {"type": "date"}


def test_template_leaves_unknown_fields_unindexed_and_takes_its_pattern():
    template = elasticsearch_template("mine-*")
    assert template["index_patterns"] == ["mine-*"]
    assert template["template"]["mappings"]["dynamic"] is False
    assert template["template"]["settings"]["refresh_interval"] == "1s"
    assert template["version"] > SCHEMA_VERSION * 1_000
    json.dumps(template)


def test_no_text_can_exceed_the_limit_of_a_keyword():
    assert MAX_STRING_CHARACTERS * len("𠮷".encode()) <= 32_766


def test_two_templates_share_nothing_that_a_caller_could_change():
    elasticsearch_template()["template"]["mappings"]["properties"]["host"]["type"] = "text"
    assert elasticsearch_template()["template"]["mappings"]["properties"]["host"]["type"] == "keyword"


def test_schema_is_a_schema_and_takes_a_whole_event():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert tuple(schema["properties"]) == FIELD_NAMES
    jsonschema.validate(WHOLE, schema)


@pytest.mark.parametrize(
    "change",
    [{"timestamp": "now"}, {"file_path": 3}, {"top3_scores": 0.5}, {"shape": [1.5]}, {"timestamp": None}],
)
def test_schema_refuses_wrong_types(change):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(WHOLE | change, json_schema())
