"""`python -m daemon.cli`: the command where the console script is not on the path."""

from daemon.cli.main import main

main(prog_name="wumu")
