"""Plain HTTP to a test server, independent of the code under test."""

from typing import Any

import requests

SECONDS = 60


def call(url: str, method: str, path: str, body: Any = None) -> Any:
    """The decoded answer. Raises requests.HTTPError for a status of 400 and above."""
    if isinstance(body, bytes):
        headers = {"Content-Type": "application/x-ndjson"}
        answer = requests.request(method, url + path, data=body, headers=headers, timeout=SECONDS)
    else:
        answer = requests.request(method, url + path, json=body, timeout=SECONDS)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def indices(url: str, prefix: str) -> list[str]:
    """The names of the prefix's indices, in order."""
    found = call(url, "GET", f"/_cat/indices/{prefix}-*?format=json&h=index&expand_wildcards=all")
    return sorted(each["index"] for each in found)


def delete_all(url: str, prefix: str) -> None:
    """Removes the prefix's indices and template."""
    names = indices(url, prefix)
    for first in range(0, len(names), 50):
        call(url, "DELETE", "/" + ",".join(names[first : first + 50]))
    requests.delete(f"{url}/_index_template/{prefix}", timeout=SECONDS)


def documents(url: str, prefix: str) -> list[dict[str, Any]]:
    """All documents with their ``_id``, in order of it."""
    call(url, "POST", f"/{prefix}-*/_refresh")
    found = call(url, "POST", f"/{prefix}-*/_search?size=10000", {"query": {"match_all": {}}})
    return sorted(({"_id": hit["_id"], **hit["_source"]} for hit in found["hits"]["hits"]), key=lambda doc: doc["_id"])


def count(url: str, prefix: str) -> int:
    """How many documents there are."""
    call(url, "POST", f"/{prefix}-*/_refresh")
    return int(call(url, "GET", f"/{prefix}-*/_count")["count"])
