"""The jars of a published Elasticsearch, fetched once by Maven, and a Java that runs them."""

import fcntl
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

VERSIONS = ("8.12.2", "9.2.0")
HERE = Path(__file__).parent
FETCH_SECONDS = 900


class Unavailable(Exception):
    """A part that a real Elasticsearch needs is missing on this machine; the message says which."""


@dataclass(frozen=True)
class Distribution:
    """A version's jars: ``server`` for the module path, ``transport`` for the plugin that speaks HTTP."""

    version: str
    server: Path
    transport: Path


def fetch(version: str) -> Distribution:
    """The version's jars, from the cache or by Maven. Raises Unavailable."""
    home = _cache() / version
    if not home.is_dir():
        home.parent.mkdir(parents=True, exist_ok=True)
        with home.with_name(f"{version}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two Mavens at once would write into one local repository
            if not home.is_dir():
                _download(version, home)
    return Distribution(version, home / "server", home / "transport")


def find_java(version: str) -> Path:
    """A java that runs the version: 17 to 23 for 8.x (later ones lack what it needs), 21 or newer for 9.x."""
    least, most = (17, 23) if version.startswith("8.") else (21, 999)
    found = {java: major for java in _javas() if (major := _major(java)) is not None}
    fitting = [java for java, major in found.items() if least <= major <= most]
    if not fitting:
        have = ", ".join(f"{java} ({major})" for java, major in found.items()) or "none"
        raise Unavailable(f"Elasticsearch {version} needs Java {least} or newer (to {most}); found: {have}")
    return min(fitting, key=lambda java: found[java])


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wumu" / "elasticsearch"


def _download(version: str, home: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise Unavailable("Maven (mvn) is not installed; it fetches Elasticsearch's published jars")
    fresh = home.with_name(f"{version}.{os.getpid()}.new")
    _copy_dependencies(maven, "org.elasticsearch", "elasticsearch", version, fresh / "server")
    _copy_dependencies(maven, "org.elasticsearch.plugin", "transport-netty4", version, fresh / "transport")
    for jar in (fresh / "server").iterdir():  # a jar in both places is refused as "jar hell"
        (fresh / "transport" / jar.name).unlink(missing_ok=True)
    fresh.rename(home)


def _copy_dependencies(maven: str, group: str, artifact: str, version: str, into: Path) -> None:
    into.mkdir(parents=True)
    wanted = [f"-Dwanted.group={group}", f"-Dwanted.artifact={artifact}", f"-Dwanted.version={version}"]
    command = [maven, "-q", "-B", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies", *wanted]
    done = subprocess.run(
        [*command, f"-DoutputDirectory={into}"], capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
    )
    if done.returncode != 0:
        raise Unavailable(f"Maven could not fetch {artifact} {version}: {(done.stdout + done.stderr)[-500:]}")


def _javas() -> list[Path]:
    homes = [Path(home) for home in (os.environ.get("JAVA_HOME"),) if home]
    homes += sorted(Path("/usr/lib/jvm").glob("*"))
    found = [home / "bin" / "java" for home in homes]
    on_path = shutil.which("java")
    found += [Path(on_path)] if on_path else []
    return [java for java in dict.fromkeys(found) if os.access(java, os.X_OK)]


def _major(java: Path) -> int | None:
    told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False)
    match = re.search(r'version "(\d+)', told.stderr + told.stdout)
    return int(match[1]) if match else None
