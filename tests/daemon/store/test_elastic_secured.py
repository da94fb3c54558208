"""TLS and authentication, through a real nginx with a certificate of its own authority."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from daemon.errors import ConfigError, StoreUnavailable
from daemon.store.base import Ask
from daemon.store.conformance.support import DAY, START_MS, batch, event
from daemon.store.elastic.settings import ElasticSettings
from daemon.store.elastic.store import ElasticStore
from detectors.query import Query
from tests.support.elasticsearch.client import count, delete_all
from tests.support.nginx import PASSWORD, USER, Gateway, gateway

pytestmark = [pytest.mark.elasticsearch, pytest.mark.nginx]

PREFIX = "secured"


@pytest.fixture
def front(elasticsearch: str) -> Iterator[Gateway]:
    with tempfile.TemporaryDirectory() as folder, gateway(elasticsearch, Path(folder), body_limit="16k") as front:
        yield front
    delete_all(elasticsearch, PREFIX)


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n")
    path.chmod(0o600)
    return path


def _store(folder: Path, **settings: object) -> ElasticStore:
    given = {"prefix": PREFIX, "attempts": 1, "refresh_on_append": True} | settings
    return ElasticStore(ElasticSettings.model_validate(given), folder)


def test_events_and_questions_travel_encrypted_and_authenticated(
    elasticsearch: str, front: Gateway, password: Path, tmp_path: Path
) -> None:
    """The gateway also cuts requests at 16 KiB, as gateways do."""
    store = _store(tmp_path, urls=[front.url], ca_certs=front.ca_certs, username=USER, password={"file": str(password)})
    events = [event(i, event_id=f"e{i}", file_path="/long" * 20) for i in range(300)]
    assert store.append(batch(events)).stored == 300
    (frame,) = store.ask([Ask(Query(bucket_ms=0), DAY, START_MS)])
    assert frame.series[0].values["count"] == (300.0,)
    assert count(elasticsearch, PREFIX) == 300
    assert store.health().ok
    store.close()


def test_a_wrong_password_is_refused_in_one_line(front: Gateway, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("guess")
    wrong.chmod(0o600)
    store = _store(tmp_path, urls=[front.url], ca_certs=front.ca_certs, username=USER, password={"file": str(wrong)})
    with pytest.raises(StoreUnavailable, match="401") as caught:
        store.append(batch([event()]))
    assert "guess" not in str(caught.value) + caught.value.hint
    assert "\n" not in str(caught.value)
    store.close()


def test_an_unknown_authority_is_refused(front: Gateway, tmp_path: Path) -> None:
    store = _store(tmp_path, urls=[front.url])
    with pytest.raises(StoreUnavailable, match="not trusted") as caught:
        store.append(batch([event()]))
    assert "ca_certs" in caught.value.hint
    store.close()


def test_a_certificate_for_another_name_is_refused(front: Gateway, tmp_path: Path) -> None:
    elsewhere = front.url.replace("localhost", "127.0.0.2")
    store = _store(tmp_path, urls=[elsewhere], ca_certs=front.ca_certs)
    with pytest.raises(StoreUnavailable):
        store.append(batch([event()]))
    store.close()


def test_verification_may_be_switched_off_with_a_warning(
    front: Gateway, password: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = _store(tmp_path, urls=[front.url], verify_certs=False, username=USER, password={"file": str(password)})
    assert store.append(batch([event()])).stored == 1
    assert "not verified" in caplog.text
    store.close()


def test_a_rotated_password_is_used_at_once(front: Gateway, password: Path, tmp_path: Path) -> None:
    password.write_text("old")
    store = _store(tmp_path, urls=[front.url], ca_certs=front.ca_certs, username=USER, password={"file": str(password)})
    with pytest.raises(StoreUnavailable):
        store.append(batch([event()]))
    password.write_text(PASSWORD)
    assert store.append(batch([event()])).stored == 1
    store.close()


def test_the_explanation_names_the_place_of_the_secret_alone(
    tmp_path: Path, password: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WUMU_API_KEY", "key-that-nobody-sees")
    ask = Ask(Query(), DAY, START_MS)
    by_key = _store(tmp_path, urls=["https://es:9200"], api_key={"env": "WUMU_API_KEY"}).explain(ask)
    by_user = _store(tmp_path, urls=["https://es:9200"], username=USER, password={"file": str(password)}).explain(ask)
    assert "WUMU_API_KEY" in by_key
    assert os.environ["WUMU_API_KEY"] not in by_key
    assert str(password) in by_user
    assert PASSWORD not in by_user


def test_an_authority_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        _store(tmp_path, urls=["https://es:9200"], ca_certs=tmp_path / "nowhere.pem")


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"urls": []}, "urls"),
        ({"urls": ["es:9200"]}, "https://host:9200"),
        ({"urls": ["https://user:secret@es:9200"]}, "do not belong"),
        ({"urls": ["https://es:9200/?pretty"]}, "without"),
        ({"urls": ["https://es"], "username": "u"}, "belong together"),
        ({"urls": ["https://es"], "username": "u", "password": {"env": "P"}, "api_key": {"env": "K"}}, "either"),
        ({"urls": ["https://es"], "password": "literal"}, "does not belong in this file"),
        ({"urls": ["https://es"], "prefix": "Upper"}, "prefix"),
        ({"urls": ["https://es"], "prefix": "a,*"}, "prefix"),
    ],
)
def test_settings_that_can_not_work_are_refused(settings: dict[str, object], word: str) -> None:
    with pytest.raises(ValidationError, match=word) as caught:
        ElasticSettings.model_validate(settings)
    assert "secret" not in str(caught.value).replace("secret_", "").replace("a secret does", "")
