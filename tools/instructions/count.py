"""Count the instructions of the pure part of a turn with callgrind, and compare them with benches/instructions.json.

    count.py check PROGRAM    PROGRAM is `core` of benches; an error if a figure is more than 3 % off, either way
    count.py store PROGRAM    accept the figures as they are

Instructions, because they are the same on a busy machine and an idle one. A figure is the difference of two runs with
different numbers of turns, per turn: neither the start of the process nor the making of the input is in it.
"""

import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIGURES = ROOT / "benches" / "instructions.json"
OWN_VALGRIND = ROOT / ".turnkeep" / "valgrind"

# The fraction by which a figure may be off.
TOLERANCE = 0.03

# The first turn makes the heap grow; both runs have it.
FEW, MANY = 1, 2


def main():
    verb, program = sys.argv[1], pathlib.Path(sys.argv[2])
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        print("  not counted: the figures hold for Linux on x86_64")
        return
    counted = {case: per_turn(program, case) for case in output_of(program).split()}
    made_with = {"rustc": output_of("rustc", "--version").strip(), "libc": os.confstr("CS_GNU_LIBC_VERSION")}
    if verb == "store":
        FIGURES.write_text(json.dumps({"made_with": made_with, "instructions_per_turn": counted}, indent=2) + "\n")
        print(f"stored in {FIGURES.relative_to(ROOT)}: {len(counted)} figures of {', '.join(made_with.values())}")
        return
    stored = json.loads(FIGURES.read_text())
    wrong = compare(counted, stored["instructions_per_turn"])
    if not wrong:
        return
    if made_with != stored["made_with"]:
        # Another compiler makes other code, another libc allocates otherwise; that is no fault of a change.
        here, there = (", ".join(parts.values()) for parts in (made_with, stored["made_with"]))
        print(f"  not judged: the figures were stored with {there}; here are {here}")
        return
    sys.exit(
        f"instructions of {', '.join(wrong)}: more than {TOLERANCE:.0%} off what benches/instructions.json says. "
        "If the change was meant to cost or save that: make instructions-store, and say why in the commit."
    )


def compare(counted, stored):
    """Prints the table; the cases that are off, new or gone."""
    print(f"  {'case':<14} {'per turn':>14} {'stored':>14} {'off by':>8}")
    wrong = []
    for case in [*counted, *(gone for gone in stored if gone not in counted)]:
        now, then = counted.get(case, 0), stored.get(case, 0)
        off = now / then - 1 if now and then else None
        print(f"  {case:<14} {now:>14,} {then:>14,} {'-' if off is None else f'{off:+.2%}':>8}")
        if off is None or abs(off) > TOLERANCE:
            wrong.append(case)
    return wrong


def per_turn(program, case):
    few, many = (instructions(program, case, turns) for turns in (FEW, MANY))
    return round((many - few) / (MANY - FEW))


def instructions(program, case, turns):
    with tempfile.TemporaryDirectory() as folder:
        profile = pathlib.Path(folder) / "profile"
        command, environment = valgrind()
        output_of(*command, "--tool=callgrind", f"--callgrind-out-file={profile}", program, case, str(turns), env=environment)
        return int(re.search(r"^totals: (\d+)$", profile.read_text(), re.MULTILINE)[1])


def valgrind():
    """The command that runs valgrind, and its environment.

    Valgrind shows every program a CPU of its own making, without SHA instructions; sha2 then takes the path that every
    CPU has. What is left of the machine is whether it has AVX, by which glibc chooses its memcpy: here it chooses none.
    """
    environment = os.environ | {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX,-ERMS,-FSRM"}
    if found := shutil.which("valgrind"):
        return [found], environment
    environment["VALGRIND_LIB"] = str(OWN_VALGRIND / "usr" / "libexec" / "valgrind")
    return [OWN_VALGRIND / "usr" / "bin" / "valgrind.bin"], environment


def output_of(*command, env=None):
    run = subprocess.run(command, env=env, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {run.returncode}: {run.stderr}")
    return run.stdout


if __name__ == "__main__":
    main()
