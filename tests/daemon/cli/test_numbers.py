"""Options that are numbers."""

import pytest
from click.testing import CliRunner

from daemon.cli.main import main


@pytest.mark.parametrize(
    "arguments",
    [
        ("recognize", "--canary-minutes", "nan"),
        ("recognize", "--canary-minutes", "inf"),
        ("serve", "--max-wait-ms", "nan"),
        ("serve", "--low-confidence", "NaN"),
        ("tune", "--at-most", "nan"),
    ],
)
def test_what_is_no_number_is_refused(arguments: tuple[str, ...]) -> None:
    """Such a canary would never be asked, such a confidence withholds nothing, such a wait never ends."""
    _, option, value = arguments
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert f"Invalid value for '{option}': '{value}' is no number" in result.stderr
