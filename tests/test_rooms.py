"""The house rules that a linter does not know."""

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
PACKAGES = ("recognizer", "detectors", "rules", "daemon")

SOURCES = sorted(
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    if (ROOT / name).exists()
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_are_small(path: Path) -> None:
    """Files and functions stay readable at a glance; a docstring does not count as length."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1
            assert lines <= MAX_FUNCTION_LINES, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("package", PACKAGES)
def test_the_packages_leave_their_init_empty(package: str) -> None:
    """Their import names belong to other distributions too: an empty file is the least that pip can overwrite."""
    assert (ROOT / package / "__init__.py").read_text(encoding="utf-8") == ""


def test_no_module_has_a_name_that_another_distribution_owns() -> None:
    taken = {"daemon/daemon.py", "daemon/pidfile.py", "rules/apps.py", "rules/permissions.py", "rules/predicates.py"}
    assert not taken & {str(path.relative_to(ROOT)) for path in SOURCES}
