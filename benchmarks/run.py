"""Every benchmark, one after the other: python -m benchmarks.run [NAME…]. One JSON document a benchmark on stdout."""

import subprocess
import sys

BENCHMARKS = (
    "log_event",
    "recognize",
    "pipeline",
    "tensor_faults",
    "serve",
    "ingest_duckdb",
    "tick_duckdb",
    "ingest_elasticsearch",
    "tick_elasticsearch",
    "ship_outage",
    "daemon",
)


def main() -> int:
    failed = [
        name
        for name in sys.argv[1:] or BENCHMARKS
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode != 0
    ]
    for name in failed:
        print(f"benchmarks.{name} failed", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
