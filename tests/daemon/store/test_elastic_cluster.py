"""Three nodes, one of them lost."""

from pathlib import Path

import pytest

from daemon.store.base import Ask
from daemon.store.conformance.support import DAY, START_MS, batch, event
from daemon.store.elastic.settings import ElasticSettings
from daemon.store.elastic.store import ElasticStore
from detectors.query import Query
from tests.support.elasticsearch.client import call
from tests.support.elasticsearch.fixtures import missing
from tests.support.elasticsearch.jars import VERSIONS, Unavailable
from tests.support.elasticsearch.nodes import cluster

pytestmark = [pytest.mark.elasticsearch, pytest.mark.slow]


def test_a_lost_node_costs_nothing(tmp_path: Path) -> None:
    """Every shard has a replica (`auto_expand_replicas`), and the store asks the nodes that are left."""
    try:
        with cluster(VERSIONS[0], heap="384m") as nodes:
            settings = {"urls": [node.url for node in nodes], "prefix": "replicated", "refresh_on_append": True}
            store = ElasticStore(ElasticSettings.model_validate(settings), tmp_path)
            store.append(batch([event(i, event_id=f"before-{i}") for i in range(500)]))
            call(nodes[0].url, "GET", "/_cluster/health/replicated-*?wait_for_status=green&timeout=60s")
            nodes[1].kill()
            call(nodes[0].url, "GET", "/_cluster/health?wait_for_nodes=2&timeout=60s")
            appended = store.append(batch([event(i, event_id=f"after-{i}") for i in range(500)]))
            assert (appended.stored + appended.duplicates, appended.refused) == (500, ())
            (frame,) = store.ask([Ask(Query(bucket_ms=0), DAY, START_MS)])
            assert (frame.complete, frame.series[0].values["count"]) == (True, (1_000.0,))
            store.close()
    except Unavailable as error:
        missing(str(error))
