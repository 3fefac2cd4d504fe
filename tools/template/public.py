"""Runs the public rule sets over the evaluated template and compares what they find with exceptions.json.

    public.py DIR     DIR has the evaluated variants

An exception names tool, rule, resources and the reason. One that nothing finds any more is as wrong as a finding without one.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from evaluate import ROOT

EXCEPTIONS = Path(__file__).with_name("exceptions.json")
TOOLS = ROOT / ".turnkeep/template"
MODULES = TOOLS / "node/node_modules"
GUARD = MODULES / "@cdklabs/cdk-validator-cfnguard"
# The stage with everything in it, and what parameters add to it; in the others there is less to find.
VARIANTS = ("prod", "redacted")
# A tool that looks at nothing finds nothing.
LEAST_CHECKS = {"checkov": 200, "guard": 30}


class Finding(NamedTuple):
    """A public rule that a resource does not follow."""

    tool: str
    rule: str
    resource: str


def checkov(template: Path) -> tuple[int, set[Finding]]:
    """How many checks passed, and what failed or was skipped in the template itself."""
    command = [TOOLS / "checkov/bin/checkov", "--skip-download", "--framework", "cloudformation"]
    results = json.loads(_run([*command, "--output", "json", "--file", template]))
    failed = results["results"]["failed_checks"] + results["results"]["skipped_checks"]
    return results["summary"]["passed"], {
        Finding("checkov", one["check_id"], one["resource"].split(".")[-1]) for one in failed
    }


def guard(template: Path) -> tuple[int, set[Finding]]:
    """How many of Control Tower's rules are followed, and which are not."""
    machine = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
    binary = GUARD / "bin" / {"Darwin": "macos"}.get(platform.system(), "ubuntu") / machine / "cfn-guard"
    options = ["--output-format", "json", "--structured", "--show-summary", "none"]
    rules = GUARD / "rules/control-tower/cfn-guard"
    (report,) = json.loads(_run([binary, "validate", "--rules", rules, "--data", template, *options]))
    found = {
        Finding("guard", one["Rule"]["name"], resource)
        for one in report["not_compliant"]
        for resource in _resources(one)
    }
    return len(report["compliant"]), found


def nag(template: Path) -> tuple[int, set[Finding]]:
    """What cdk-nag's packs find; they do not tell what they looked at."""
    found = json.loads(_run(["node", Path(__file__).with_name("nag.cjs"), MODULES, template]))
    return 0, {Finding("cdk-nag", rule, resource) for rule, resource in found}


def exceptions() -> set[Finding]:
    """What may be found."""
    return {
        Finding(one["tool"], rule, resource)
        for one in json.loads(EXCEPTIONS.read_text(encoding="utf-8"))
        for rule in one["rules"]
        for resource in one["resources"]
    }


def _run(command: list[Any]) -> str:
    # Each of them ends with an error where it finds something.
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, cwd=ROOT)
    if not done.stdout.strip():
        raise SystemExit(f"{command[0]} said nothing: {done.stderr}")
    return done.stdout


def _resources(part: Any) -> set[str]:
    """The resources that a report of Guard speaks of, wherever in it their paths stand."""
    if isinstance(part, list):
        return {resource for one in part for resource in _resources(one)}
    if not isinstance(part, dict):
        return set()
    path = part.get("path")
    own = {path.split("/")[2]} if isinstance(path, str) and path.startswith("/Resources/") else set()
    return own | {resource for one in part.values() for resource in _resources(one)}


def main(arguments: list[str]) -> int:
    """Runs all three."""
    # Within the checkout: checkov takes a path of forty letters and slashes for a secret access key (CKV_AWS_45).
    folder = Path(arguments[0]).resolve().relative_to(ROOT)
    asked = [(tool, folder / f"{variant}.json") for variant in VARIANTS for tool in (checkov, guard, nag)]
    with ThreadPoolExecutor(max_workers=3) as pool:
        results = list(pool.map(lambda one: one[0](one[1]), asked))
    found = {finding for _, findings in results for finding in findings}
    excepted = exceptions()
    problems = [f"{one.tool}: {one.rule}: {one.resource}" for one in sorted(found - excepted)]
    problems += [f"nothing finds this exception: {' '.join(one)}" for one in sorted(excepted - found)]
    for (tool, _), (passed, _) in zip(asked, results, strict=True):
        if passed < (least := LEAST_CHECKS.get(tool.__name__, 0)):
            problems.append(f"{tool.__name__} looked at {passed} things only, not {least}")
    print("\n".join(problems), file=sys.stderr)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
