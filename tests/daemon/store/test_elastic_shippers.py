"""The configurations for Filebeat and Logstash.

Neither program is part of the test machine. What can be tested without them is: that the files are well-formed, that
the script inside does what our own ingest does, and that documents of the form these programs send mix with our own.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import lark
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from daemon.store.base import Ask, Sample
from daemon.store.conformance.support import DAY, START_MS, batch, event
from daemon.store.elastic.bulk import document_id
from detectors.condition import Always
from detectors.query import Query
from recognizer.events import Event, fields
from recognizer.paths import parent
from tests.support.elasticsearch.client import call, indices
from tests.support.elasticsearch.fixtures import StoreMaker, missing

DEPLOY = Path(__file__).parents[3] / "deploy"

LOGSTASH = r"""
    start: section+
    section: NAME "{" (plugin | branch)* "}"
    plugin: NAME "{" attribute* "}"
    attribute: (NAME | STRING) "=>" value
    ?value: STRING | NUMBER | NAME | list | hash | plugin
    list: "[" [value ("," value)*] "]"
    hash: "{" (pair)* "}"
    pair: (STRING | NAME) "=>" value
    branch: "if" condition body ("else" "if" condition body)* ["else" body]
    body: "{" (plugin | branch)* "}"
    condition: term (("and" | "or") term)*
    ?term: "!" term | "(" condition ")" | operand [("in" | "==" | "!=") operand]
    operand: STRING | NUMBER | ("[" FIELD "]")+
    FIELD: /[@\w]+/
    NAME: /[a-z_]+/
    NUMBER: /\d+/
    STRING: /"[^"]*"/ | /'[^']*'/s
    COMMENT: /#[^\n]*/
    %ignore COMMENT
    %ignore /\s+/
"""


@pytest.fixture(scope="module")
def filebeat() -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load((DEPLOY / "filebeat.yml").read_text())
    return found


def _processor(filebeat: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (each[name] for each in filebeat["filebeat.inputs"][0]["processors"] if name in each)
    return dict(found)


def test_filebeat_sends_to_our_indices_and_makes_no_template_of_its_own(filebeat: dict[str, Any]) -> None:
    assert filebeat["output.elasticsearch"]["index"] == "wumu-%{+yyyy.MM.dd}"
    assert filebeat["setup.template.enabled"] is filebeat["setup.ilm.enabled"] is False
    assert _processor(filebeat, "timestamp") == {"field": "timestamp", "layouts": ["UNIX_MS"]}
    assert filebeat["filebeat.inputs"][0]["publisher_pipeline.disable_host"] is True


def test_the_logstash_file_is_well_formed() -> None:
    tree = lark.Lark(LOGSTASH, parser="earley").parse((DEPLOY / "logstash.conf").read_text())
    sections = [str(section.children[0]) for section in tree.find_data("section")]
    assert sorted(sections) == ["filter", "input", "output"]
    settings = {str(pair.children[0]): pair.children[1] for pair in tree.find_data("attribute")}
    assert settings["document_id"] == '"%{event_id}"'
    assert settings["action"] == '"create"'
    assert settings["index"] == '"wumu-%{+YYYY.MM.dd}"'


_RUNNER = """
const lines = require('fs').readFileSync(0, 'utf8').split('\\n').filter(Boolean);
for (const line of lines) {
  const fields = JSON.parse(line), meta = {};
  const event = {
    Get: key => key in fields ? fields[key] : null,
    Put: (key, value) => { if (key.startsWith('@metadata.')) meta[key.slice(10)] = value; else fields[key] = value; },
  };
  process_(event);
  console.log(JSON.stringify({fields, meta}));
}
"""


def _run_script(source: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    node = shutil.which("node")
    if node is None:
        missing("node is not installed: the script in filebeat.yml can't be run")
    program = source.replace("function process(", "function process_(") + _RUNNER
    lines = "\n".join(json.dumps(each) for each in events)
    done = subprocess.run([str(node), "-e", program], input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.split("\n") if line]


def test_filebeats_script_derives_what_our_ingest_derives(filebeat: dict[str, Any]) -> None:
    paths = ["/a/b.png", "/a.png", "a.png", "", "C:\\data\\a.png", "\\a", "/图/子\u200b/猫.png", "a/", "//", "dir\\x/y"]
    events = [{"event_id": f"e{i}", "file_path": path} for i, path in enumerate(paths)]
    given_dir = {"event_id": "given", "file_path": "/a/b.png", "file_dir": "/elsewhere"}
    done = _run_script(_processor(filebeat, "script")["source"], [*events, given_dir, {"event_id": "bare"}])
    for path, each in zip(paths, done, strict=False):
        assert each["fields"].get("file_dir") == (parent(path) if path else None)
    assert done[-2]["fields"]["file_dir"] == "/elsewhere"
    assert [each["meta"]["_id"] for each in done] == [document_id(each["fields"]["event_id"]) for each in done]


def _as_shipped(each: Event) -> bytes:
    """A document as Filebeat sends it: an ISO @timestamp, some fields of its own, ours as they were."""
    seconds, milliseconds = divmod(each.timestamp, 1_000)
    minutes, seconds = divmod((seconds * 1_000 - START_MS) // 1_000, 60)
    stamp = f"2026-03-29T00:{minutes:02}:{seconds:02}.{milliseconds:03}Z"
    action = {"create": {"_index": "INDEX", "_id": each.event_id}}
    document = {"@timestamp": stamp, "log": {"offset": 7, "file": {"path": "/l"}}, **fields(each)}
    return json.dumps(action).encode() + b"\n" + json.dumps(document).encode() + b"\n"


@pytest.mark.elasticsearch
def test_shipped_twice_is_stored_once(make_elastic: StoreMaker) -> None:
    """Events of a shipper and of our own ingest mix: the same indices, the same ids, the same answers."""
    store = make_elastic()
    store.append(batch([event(59_000, event_id="first")]))
    prefix, url = make_elastic.prefixes[0], make_elastic.url
    events = [event(i * 1_001, event_id=f"s{i}", host="h", file_path="/a/b.png", file_dir="/a") for i in range(50)]
    body = b"".join(map(_as_shipped, events)).replace(b"INDEX", f"{prefix}-2026.03.29".encode())
    assert not call(url, "POST", "/_bulk?refresh=true", body)["errors"]
    appended = store.append(batch(events))
    assert (appended.stored, appended.duplicates) == (0, 50)
    assert indices(url, prefix) == [f"{prefix}-2026.03.29"]
    (frame,) = store.ask([Ask(Query(group_by=("host", "file_dir"), bucket_ms=0), DAY, START_MS)])
    assert [(series.key, series.values["count"]) for series in frame.series] == [
        ((("host", None), ("file_dir", None)), (1.0,)),
        ((("host", "h"), ("file_dir", "/a")), (50.0,)),
    ]
    (found,) = store.sample([Sample(Always(), DAY, limit=1, newest_first=False)])
    assert found[0].event_id == "s0"
    assert found[0].extra == {"log": {"offset": 7, "file": {"path": "/l"}}}
    store.close()


@settings(max_examples=200)
@given(st.text(max_size=30))
def test_the_folder_rule_that_the_shippers_follow(path: str) -> None:
    """Both configurations spell out `recognizer.paths.parent`; this is the rule they spell."""
    separator = "/" if "/" in path or "\\" not in path else "\\"
    end = path.rfind(separator)
    assert parent(path) == ("." if end < 0 else separator if end == 0 else path[:end])
