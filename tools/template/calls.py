"""The calls of the AWS API that the functions make in a whole end-to-end run, held against calls.json.

`turnkeep-local` adds function, service and operation of each call, and the first folder of an object's key, to the file that
TURNKEEP_LOCAL_CALLS names. test_calls.py holds calls.json against the policies.

    calls.py check RECORD          fails for a call that calls.json does not have, and for one that was not made
    calls.py check RECORD part     the same of a part of the tests: it need not make every call
    calls.py store RECORD          keeps them
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

FILE = Path(__file__).with_name("calls.json")

# By function and operation, the folders.
Calls = dict[str, dict[str, list[str]]]


def known() -> Calls:
    """The calls of the run that was kept."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def recorded(text: str) -> Calls:
    """The calls of a record."""
    found: Calls = {}
    for line in sorted(set(text.splitlines())):
        function, operation, *folder = line.split(" ", 2)
        found.setdefault(function, {}).setdefault(operation, []).extend(folder)
    return found


def problems(made: Calls, kept: Calls, is_part: bool) -> list[str]:
    """What is new, and, of a whole run, what is missing."""
    new, old = _lines(made), _lines(kept)
    found = [f"{line}: a new call; its role has to allow it" for line in sorted(new - old)]
    if not is_part:
        found += [f"{line}: no test makes this call; its role need not allow it" for line in sorted(old - new)]
    return found


def _lines(calls: Calls) -> set[str]:
    return {
        f"{function} {operation} {folder}".rstrip()
        for function, operations in calls.items()
        for operation, folders in operations.items()
        for folder in folders or [""]
    }


def main(arguments: list[str]) -> int:
    """Compares or keeps a record."""
    verb, record, *part = arguments
    # There is none where no function made a call.
    path = Path(record)
    made = recorded(path.read_text(encoding="utf-8") if path.exists() else "")
    if verb == "store":
        FILE.write_text(json.dumps(made, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        return 0
    found = problems(made, known(), is_part=part == ["part"])
    for problem in found:
        print(problem, file=sys.stderr)
    if found:
        print(f"{FILE.name} has the calls that the policies are held against: make e2e-calls-store, make check-template", file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
