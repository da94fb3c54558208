"""Every command that a page tells to type exists, with the options it is given."""

import re
import shlex
from pathlib import Path

import click
import pytest

from daemon.cli.main import VERBS, main
from tests.support.pages import PAGES, ROOT, page_name, shell_lines

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8").replace("$(VENV)", ".venv")
TARGETS = set(re.findall(r"^([\w./-]+):", MAKEFILE, re.MULTILINE))


def calls(page: Path, program: str) -> list[list[str]]:
    """The arguments of each call of a program, up to what the shell does with its output."""
    found = []
    for line in shell_lines(page):
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;><")
        lexer.whitespace_split = True
        words = list(lexer) if program in line else []
        for at, word in enumerate(words):
            if word.rpartition("/")[2] == program and (at == 0 or set(words[at - 1]) <= set("|&;")):
                rest = words[at + 1 :]
                end = next((n for n, one in enumerate(rest) if set(one) <= set("|&;><")), len(rest))
                found.append(rest[:end])
    return found


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_the_verbs_and_their_options_exist(page: Path) -> None:
    for verb, *arguments in calls(page, "wumu"):
        if verb.startswith("-"):
            continue
        assert verb in VERBS, f"{page.name}: wumu {verb}"
        command = main.get_command(click.Context(main), verb)
        assert command is not None
        if isinstance(command, click.Group):
            assert arguments[0] in command.commands, f"{page.name}: wumu {verb} {arguments[0]}"
            command = command.commands[arguments[0]]
        known = {name for parameter in command.params for name in parameter.opts} | {"--help", "--"}
        options = {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}
        assert options <= known, f"{page.name}: wumu {verb} has no {options - known}"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_the_make_targets_exist(page: Path) -> None:
    for targets in calls(page, "make"):
        assert {one for one in targets if "=" not in one and not one.startswith("-")} <= TARGETS


def test_the_pages_are_looked_into() -> None:
    """The two tests above would pass on pages without a command."""
    assert sum(len(calls(page, "wumu")) for page in PAGES) >= 20
    assert sum(len(calls(page, "make")) for page in PAGES) >= 3
