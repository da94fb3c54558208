"""The reference of the commands, made from the commands themselves: `python -m daemon.cli.reference`."""

import click

from daemon.cli.main import EXIT_CODES, VERBS, main

HEAD = """# Commands

Made from the commands' own help by `python -m daemon.cli.reference`; a test holds it current.

"""


def reference() -> str:
    """docs/reference/commands.md."""
    parts = [HEAD, "```text\n", EXIT_CODES.replace("\b\n", ""), "\n```\n"]
    for verb, about in VERBS.items():
        command = main.get_command(click.Context(main), verb)
        if command is None:
            raise LookupError(verb)
        context = click.Context(command, info_name=f"wumu {verb}", max_content_width=110, terminal_width=110)
        parts += [
            f"\n## wumu {verb}\n\n{about[0].upper()}{about[1:]}.\n\n```text\n",
            command.get_help(context),
            "\n```\n",
        ]
    return "".join(parts)


if __name__ == "__main__":
    click.echo(reference(), nl=False)
