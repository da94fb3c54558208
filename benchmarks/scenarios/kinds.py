"""Every kind of incident, by name."""

from benchmarks.scenarios.incidents import pictures, service, shipping
from benchmarks.scenarios.registry import INCIDENTS, Incident

KINDS: dict[str, Incident] = {
    name: INCIDENTS[name]
    for module in (service, pictures, shipping)
    for name in INCIDENTS
    if INCIDENTS[name].happen.__module__ == module.__name__
}
"""Those of hosts and releases, then those of pictures, then those of shipping and traffic."""
