"""What holds for every test, and fixtures that every room's tests may ask for."""

from hypothesis import settings

pytest_plugins = ["tests.support.elasticsearch.fixtures"]

# The same examples at every run, and no example is too slow for a busy machine.
settings.register_profile("wumu", derandomize=True, deadline=None)
settings.load_profile("wumu")
