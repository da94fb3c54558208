"""The rules that ship, and every example of the documentation: they load, and the generated pages are current."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from daemon.plugins import registry
from daemon.reference import generated
from daemon.shipped import shipped
from detectors.finding import Reason
from rules.load import Loaded, load_file
from rules.model import Config
from rules.problems import ProblemCode, render
from rules.schema import json_schema
from tests.support.rules import CORPUS, config_of, loaded

ROOT = Path(__file__).parent.parent.parent
SHIPPED = ROOT / "alerts.yaml"
PAGES = sorted([*ROOT.glob("docs/reference/*.md"), *ROOT.glob("docs/how-to/write-a-rule*.md")])
MINIMAL_RULE = "rules:\n  - {id: a, kind: count, at_least: 1}\n"


@pytest.fixture(scope="module")
def config() -> Config:
    return config_of(SHIPPED.read_text(encoding="utf-8"))


def test_the_shipped_rules_have_no_problem_but_that_nobody_is_told() -> None:
    result = load_file(SHIPPED, registry())
    assert result.config is not None
    assert [problem.code for problem in result.problems] == [ProblemCode.NO_CHANNEL]


def test_what_wumu_init_writes_is_the_file_at_the_root() -> None:
    assert shipped("alerts.yaml") == SHIPPED.read_text(encoding="utf-8")


def test_at_least_ten_rules_ship_and_every_kind_but_the_plainest(config: Config) -> None:
    """`outlier` needs an extra of its own: a file with it would not run as it is."""
    assert len(config.rules) >= 10
    assert {rule.detector.kind for rule in config.rules} == set(registry().detectors) - {"threshold", "outlier"}


def test_every_reason_an_image_path_or_file_can_fail_for_is_watched(config: Config) -> None:
    """Between them the shipped rules can report everything but a number of the user's own."""
    found = {reason for rule in config.rules for reason in rule.detector.reasons}
    own = {Reason.VALUE_TOO_HIGH, Reason.VALUE_TOO_LOW, Reason.OUTLIER}
    assert found >= set(Reason) - {Reason.RULE_FAILED} - own


def test_every_shipped_rule_has_a_summary_and_a_line_that_explains_it(config: Config) -> None:
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    for rule in config.rules:
        assert rule.summary
        assert lines[lines.index(f"  - id: {rule.id}") - 1].startswith("  # ")


def test_the_commented_examples_in_the_shipped_file_are_right() -> None:
    """Store, channels and notify, switched on as their comments tell, make a file without any problem."""
    text = re.sub(
        r"^( *)# ((?:  )*(?:store|kind|urls|api_key|channels|mail-ops|hook|host|from|to|username|password"
        r"|url|secret|notify):)",
        r"\1\2",
        SHIPPED.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    text = text.replace("notify: [mail-ops]", "notify: [mail-ops, hook]")
    result = loaded(text)
    assert result.config is not None, result.problems
    assert result.problems == ()
    assert (set(result.config.channels), result.config.store is not None) == ({"mail-ops", "hook"}, True)


def examples() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        blocks = re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        found += [(f"{page.name}-{number}", block) for number, block in enumerate(blocks)]
    return found


def load_example(block: str) -> Loaded:
    """A block is a whole file, some of its rules, or some of its other keys."""
    if block.startswith("- id:"):
        block = "rules:\n" + re.sub("^", "  ", block, flags=re.MULTILINE)
    if not re.search("^version:", block, flags=re.MULTILINE):
        block = "version: 1\n" + block
    return loaded(block if re.search("^rules:", block, flags=re.MULTILINE) else block + MINIMAL_RULE)


@pytest.mark.parametrize(("name", "block"), examples())
def test_an_example_of_the_documentation_loads(name: str, block: str) -> None:
    result = load_example(block)
    assert result.config is not None, (name, result.problems)
    assert {problem.code for problem in result.problems} <= {ProblemCode.NO_CHANNEL}


def test_the_documentation_has_examples() -> None:
    assert {name.split("-")[0] for name, _ in examples()} >= {"alerts", "write"}


def test_the_problem_in_the_documentation_is_what_wumu_check_says() -> None:
    page = (ROOT / "docs/reference/kql.md").read_text(encoding="utf-8")
    transcript = page.split("```text\n")[1].split("```")[0]
    result = loaded((CORPUS / "bad" / "unknown_field_in_where.yaml").read_text(encoding="utf-8"))
    assert render(result.problems[-1], result.source) + "\n" == transcript


def test_the_generated_pages_are_current() -> None:
    """`python -m daemon.reference` writes them."""
    for path, text in generated(ROOT).items():
        assert path.read_text(encoding="utf-8") == text, f"{path} is old: run python -m daemon.reference"


@pytest.mark.parametrize("code", [code.value for code in ProblemCode])
def test_every_code_is_documented(code: str) -> None:
    assert f"| `{code}` |" in (ROOT / "docs/reference/alerts-yaml.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["docs/how-to/write-a-rule.md", "docs/how-to/write-a-rule.zh.md"])
def test_the_guide_names_every_kind(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [kind for kind in registry().detectors if f"| `{kind}` |" not in text] == []


def test_the_schema_takes_what_the_loader_takes() -> None:
    validator = jsonschema.Draft202012Validator(json_schema(registry()))
    for path in [SHIPPED, *(CORPUS / "good").iterdir()]:
        data = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8-sig"))
        assert list(validator.iter_errors(json.loads(json.dumps(data)))) == []


@pytest.mark.parametrize(
    "name",
    ["unknown_key", "unknown_top_key", "missing_version", "missing_parameter", "wrong_type", "unknown_kind", "bad_id"],
)
def test_the_schema_refuses_what_an_editor_can_see(name: str) -> None:
    validator = jsonschema.Draft202012Validator(json_schema(registry()))
    data = YAML(typ="safe", pure=True).load((CORPUS / "bad" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert list(validator.iter_errors(json.loads(json.dumps(data))))
