"""`make audit`: the pinned versions against known vulnerabilities, by pip-audit.

Exit codes: 0 all were looked up and none has a known vulnerability, 1 some have, 2 some could not be looked up: no
advisory service answers from here, and nothing is known of them.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PINS = Path(__file__).parents[1] / "constraints.txt"
_COMMAND = ("-m", "pip_audit", "--requirement", str(PINS), "--no-deps", "--disable-pip", "--format", "json")


def verdict(dependencies: Sequence[Mapping[str, Any]]) -> tuple[int, list[str]]:
    """The exit code and what to say of pip-audit's findings."""
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
    return (1 if vulnerable else 2 if unknown or not dependencies else 0), said


def main() -> int:
    """Run it; returns the exit code."""
    ended = subprocess.run(
        [sys.executable, *_COMMAND, "--progress-spinner", "off"], capture_output=True, text=True, check=False
    )
    try:
        dependencies = json.loads(ended.stdout)["dependencies"]
    except (ValueError, KeyError):
        sys.stderr.write(f"the audit could not be run:\n{ended.stderr[-2000:]}\n")
        return 2
    code, said = verdict(dependencies)
    sys.stdout.write("\n".join(said) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
