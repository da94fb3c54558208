"""What holds for every test, and fixtures that every room's tests may ask for."""

import os

# Tests run in as many processes as there are processors: torch's threads would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings  # after the environment, which torch reads when it is imported

pytest_plugins = ["tests.support.elasticsearch.fixtures"]

# The same examples at every run, and no example is too slow for a busy machine.
settings.register_profile("wumu", derandomize=True, deadline=None)
settings.load_profile("wumu")
