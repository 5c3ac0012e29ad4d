"""The pinned versions against known vulnerabilities, by pip-audit: a part of `make check`, and `make audit`.

Exit codes: 0 all were looked up and none has a known vulnerability, 1 some have, 2 some could not be looked up, and
nothing is known of them. `make check` passes `--offline-passes`, since it has to work on machines without internet:
where no advisory service answers about any pin, it says so and goes on.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PINS = Path(__file__).parents[1] / "constraints.txt"
_COMMAND = ("-m", "pip_audit", "--requirement", str(PINS), "--no-deps", "--disable-pip", "--format", "json")


def verdict(dependencies: Sequence[Mapping[str, Any]], *, offline_passes: bool = False) -> tuple[int, list[str]]:
    """The exit code and what to say of pip-audit's findings.

    Args:
        dependencies: each pin with its `vulns`, or with a `skip_reason` where nobody could be asked.
        offline_passes: whether it is 0 where nobody could be asked about any of them.
    """
    unknown = [found["name"] for found in dependencies if "skip_reason" in found]
    said = [
        f"VULNERABLE {found['name']} {found['version']}: {flaw['id']}, mended in {flaw['fix_versions'] or 'no version'}"
        for found in dependencies
        for flaw in found.get("vulns", [])
    ]
    vulnerable = len(said)
    said.append(f"{len(dependencies) - len(unknown)} of {len(dependencies)} pinned versions were looked up")
    if unknown:
        said.append(f"NOT LOOKED UP, no advisory service knows them or answers from here: {', '.join(sorted(unknown))}")
    if vulnerable:
        return 1, said
    offline = bool(dependencies) and len(unknown) == len(dependencies)
    if offline and offline_passes:
        return 0, [f"NOT AUDITED: no advisory service answers from here; {said[0]}"]
    return (2 if unknown or not dependencies else 0), said


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--offline-passes", action="store_true")
    options = parser.parse_args(arguments)
    ended = subprocess.run(
        [sys.executable, *_COMMAND, "--progress-spinner", "off"], capture_output=True, text=True, check=False
    )
    try:
        dependencies = json.loads(ended.stdout)["dependencies"]
    except (ValueError, KeyError):
        sys.stderr.write(f"the audit could not be run:\n{ended.stderr[-2000:]}\n")
        return 2
    code, said = verdict(dependencies, offline_passes=options.offline_passes)
    sys.stdout.write("\n".join(said) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
