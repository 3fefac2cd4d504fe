"""Pack the functions as Lambda takes them, and watch over the size of what is packed.

    zip.py pack FOLDER --glibc 2.34   each FOLDER/NAME/bootstrap becomes FOLDER/NAME.zip
    zip.py budgets FOLDER             weigh FOLDER/NAME, packed, without writing anything
    zip.py sizes FOLDER               the same as JSON, {NAME: {"bytes", "limit", "goal"}}, and no judgement

The same binary always gives the same bytes. Either ends with an error if a zip is over its budget.
"""

import argparse
import hashlib
import io
import json
import pathlib
import re
import subprocess
import sys
import zipfile

MIB = 1024 * 1024

# Each function with the most its zip may be, and what it should be. Lambda fetches and unpacks it in every cold start.
BUDGETS = {
    "conversation-capture": (5 * MIB, 4.5),
    "secret-rotation": (4.5 * MIB, 4),
}

# The first moment that a zip can tell.
EPOCH = (1980, 1, 1, 0, 0, 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["pack", "budgets", "sizes"])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--glibc", default="2.34", help="the newest version of glibc that a binary may need")
    arguments = parser.parse_args()
    if arguments.verb == "sizes":
        print(json.dumps({name: size(arguments.folder / name, *budget) for name, budget in BUDGETS.items()}))
        return
    if arguments.verb == "pack":
        problems = [problem for name in BUDGETS for problem in pack(arguments.folder, name, arguments.glibc)]
    else:
        problems = [problem for name in BUDGETS for problem in weigh(name, zipped(arguments.folder / name))]
    sys.exit("\n".join(problems) or None)


def pack(folder, name, newest_allowed):
    bootstrap = folder / name / "bootstrap"
    package = zipped(bootstrap)
    (folder / f"{name}.zip").write_bytes(package)
    problems = weigh(name, package)
    print(f"  {folder / name}.zip")
    print(f"  sha256 {hashlib.sha256(package).hexdigest()}")
    newest = newest_glibc(bootstrap)
    print(f"  needs glibc {text(newest)}, of {newest_allowed}")
    if newest > version(newest_allowed):
        problems.append(f"{name} needs glibc {text(newest)}, and provided.al2023 has {newest_allowed}")
    return problems


def zipped(binary):
    """The zip with one entry: time, mode and system are constants, whatever the file's are."""
    entry = zipfile.ZipInfo("bootstrap", EPOCH)
    entry.create_system = 3  # Unix, so that the mode counts
    entry.external_attr = 0o100755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as package:
        package.writestr(entry, binary.read_bytes(), compresslevel=9)
    return content.getvalue()


def size(binary, limit, goal):
    return {"bytes": len(zipped(binary)), "limit": int(limit), "goal": int(goal * MIB)}


def weigh(name, package):
    limit, goal = BUDGETS[name]
    size = len(package)
    print(f"{name:<21} {size:>9,} bytes zipped = {size / MIB:.2f} MiB, limit {limit / MIB:g} MiB, goal {goal:g} MiB")
    if size <= limit:
        return []
    return [
        f"{name}: {size:,} bytes zipped are over the limit of {limit:,.0f} ({limit / MIB:g} MiB); the goal is {goal:g} MiB. "
        "What came in is in `cargo tree -p` of the function; docs/adr/0001 and 0004 name the levers."
    ]


def newest_glibc(binary):
    """The newest version among the versions of glibc's symbols that the binary asks the loader for."""
    command = ["readelf", "--version-info", "--wide", binary]
    needs = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.findall(r"Name: GLIBC_([0-9.]+)", needs)
    if not found:
        sys.exit(f"{binary} needs no version of glibc: is that the function?")
    return max(version(name) for name in found)


def version(name):
    return tuple(int(part) for part in name.split("."))


def text(parts):
    return ".".join(str(part) for part in parts)


if __name__ == "__main__":
    main()
