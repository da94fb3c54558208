"""A real nginx with TLS and basic authentication in front of another server."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

USER, PASSWORD = "wumu", "correct horse"
START_SECONDS = 30

_CONFIGURATION = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{}}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.key;
    client_max_body_size {body_limit};
    location / {{
      auth_basic "Elasticsearch";
      auth_basic_user_file {folder}/users;
      proxy_pass {upstream};
      proxy_http_version 1.1;
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Gateway:
    """Where it listens, and the certificate of the authority that vouches for it."""

    url: str
    ca_certs: Path


@contextlib.contextmanager
def gateway(upstream: str, folder: Path, *, body_limit: str = "100m") -> Iterator[Gateway]:
    """An nginx on a free port; skips where there is no nginx (a failure where CI=true)."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("nginx is not installed")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate.private_key_pem.write_to_path(folder / "server.key")
    (folder / "server.pem").write_bytes(b"".join(part.bytes() for part in certificate.cert_chain_pems))
    (folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
    folder.chmod(0o755)  # the workers run as another user
    port = _free_port()
    configuration = _CONFIGURATION.format(folder=folder, port=port, upstream=upstream, body_limit=body_limit)
    (folder / "nginx.conf").write_text(configuration)
    process = subprocess.Popen([nginx, "-p", str(folder), "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL)
    try:
        _wait_until_listening(process, port, folder)
        yield Gateway(f"https://localhost:{port}", folder / "ca.pem")
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def _wait_until_listening(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
    log = folder / "error.log"
    pytest.fail(f"nginx does not listen: {log.read_text() if log.exists() else 'no log'}")
