"""`sam build` and `sam package`, and what they have put into S3.

    package.py ARCH    with the environment of tools/template/package
"""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3

from documents import load
from evaluate import NESTED, ROOT

SAM = Path(sys.executable).with_name("sam")
FOLDER = ROOT / "target/sam"
BUCKET = "packages"
FUNCTION = "AWS::Serverless::Function"


def main(arguments: list[str]) -> int:
    """Builds, packages and looks."""
    (arch,) = arguments
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    build, packaged = FOLDER / "build", FOLDER / "packaged.yaml"
    sam("build", "--build-dir", build, "--parameter-overrides", f"Architecture={arch}")
    sam("package", "--template-file", build / "template.yaml", "--s3-bucket", BUCKET, "--output-template-file", packaged)
    found = sorted(looked_at(s3, load(packaged), build / "template.yaml"))
    for line in found:
        print(line)
    if len(found) != 2:
        print("two functions were expected", file=sys.stderr)
        return 1
    return 0


def sam(*arguments: str | Path) -> None:
    """Runs the SAM CLI."""
    subprocess.run([SAM, *arguments], check=True, cwd=ROOT)


def looked_at(s3: Any, packaged: dict[str, Any], built: Path) -> Iterator[str]:
    """A line for each function whose upload is the program that was built, in this template and in those that it uploaded."""
    for name, resource in packaged["Resources"].items():
        properties = resource["Properties"]
        if resource["Type"] == NESTED:
            inner = FOLDER / f"{name}.yaml"
            inner.write_bytes(body(s3, properties["Location"]))
            yield from looked_at(s3, load(inner), built.parent / name / "template.yaml")
        elif resource["Type"] == FUNCTION:
            with zipfile.ZipFile(io.BytesIO(body(s3, properties["CodeUri"]))) as archive:
                (only,) = archive.namelist()
                program = archive.read(only)
            expected = (built.parent / name / "bootstrap").read_bytes()
            if only != "bootstrap" or program != expected or not program.startswith(b"\x7fELF"):
                raise SystemExit(f"{name}: {only} in S3 is not the program that was built")
            yield f"{name}: bootstrap, {len(program):,} bytes, at {properties['CodeUri']}"


def body(s3: Any, address: str) -> bytes:
    """What lies at an address that `sam package` wrote."""
    key = address.split(f"{BUCKET}/", 1)[1]
    return bytes(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
