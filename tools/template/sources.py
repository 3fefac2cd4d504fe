"""Reads in the Rust sources what the functions call of AWS and which metrics they emit.

By patterns over text, so they are strict: what looks like a metric or a call and cannot be read is an error. rustfmt, which
`make lint` runs, is what keeps the text in the one form that is expected here.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from evaluate import ROOT, TemplateError

# A function, and the crates whose code runs in it and calls AWS or emits metrics.
FUNCTIONS = {
    "conversation-capture": ("capture", "aurora-session"),
    "secret-rotation": ("rotation",),
}
# The crates that hold a client of an SDK: the file with it, the service, and what its values are called by those who use it.
CLIENTS = {
    "secrets/src/client.rs": ("secretsmanager", ("secrets", "manager", r"api\(\)")),
    "archive/src": ("s3", ("archive",)),
    "rotation/src/master/instances.rs": ("rds", (r"Instances::new\(self\.aws\)",)),
}
# Methods of other types have these names, too, so who is asked decides; any other name is enough.
COMMON = {"address", "bucket", "create", "find", "get", "list", "put", "rotate", "version", "versions"}
# How the SDK writes what IAM and the services write in one word.
WORDS = {"Db": "DB", "Kms": "KMS"}


@cache
def metrics() -> dict[str, dict[str, str]]:
    """The metrics of each function with their units, by what its source adds to them."""
    units = {"count": "Count", "quantity": "None", "duration": "Milliseconds"}
    found: dict[str, dict[str, str]] = {}
    for service, crates in FUNCTIONS.items():
        own = found.setdefault(service, {})
        names: set[str] = set()
        for path in _files(f"{crates[0]}/src"):
            source = _code(path)
            names |= set(re.findall(r'Metrics::new\([\w.&]+,\s*"([\w-]+)"\)', source))
            calls = re.findall(r"\bmetrics\s*\.\s*(\w+)\s*\(\s*([^,)]*)", source)
            for method, argument in calls:
                if method == "emit":
                    continue
                name = re.fullmatch(r'"(\w+)"', argument)
                if method not in units or name is None:
                    raise TemplateError(f"{path.name}: no metric of ours: {method}({argument}")
                own[name[1]] = units[method]
        if names != {service} or not own:
            raise TemplateError(f"{crates[0]} emits metrics for {sorted(names)}, not for {service}")
    return found


@cache
def calls() -> dict[str, set[str]]:
    """The API operations that each function's code can call, as `secretsmanager:GetSecretValue`."""
    found: dict[str, set[str]] = {service: set() for service in FUNCTIONS}
    for place, (service, names) in CLIENTS.items():
        files = _files(place)
        operations = _operations(service, files)
        user = re.compile(rf"(?:^|[^\w.]|self\s*\.\s*)(?:{'|'.join(names)})\s*\.\s*(\w+)\(")
        for function, crates in FUNCTIONS.items():
            for crate in crates:
                for path in _files(f"{crate}/src"):
                    if path not in files:
                        source = _code(path)
                        used = set(user.findall(source)) | set(re.findall(r"\.\s*(\w+)\(", source)) - COMMON
                        for method in used:
                            found[function] |= operations.get(method, set())
    if not all(found.values()):
        raise TemplateError("a function calls nothing that can be found in its source")
    return found


@cache
def prefixes() -> tuple[str, ...]:
    """The first parts of the keys that the archive's objects have."""
    found = tuple(sorted(set(re.findall(r'pub const \w+: &str = "([a-z]+/)v1/";', _code(ROOT / "crates/conversation/src/layout.rs")))))
    if len(found) < 2:
        raise TemplateError(f"the archive's keys begin with {found} only")
    return found


def _operations(service: str, files: list[Path]) -> dict[str, set[str]]:
    """What each method of a crate calls of the service, by itself or by another method."""
    own: dict[str, set[str]] = {}
    inner: dict[str, set[str]] = {}
    sent = 0
    for path in files:
        source = _code(path)
        # Each request is sent in one place, by `.send()`, as a paginator is.
        sent += len(re.findall(r"\.send\(\)", source))
        for method, body in _methods(source):
            requests = re.findall(r"\bclient\s*\.\s*([a-z]\w*)\(\)", body)
            own.setdefault(method, set()).update(f"{service}:{_camel(one)}" for one in requests)
            inner.setdefault(method, set()).update(re.findall(r"\bself\s*\.\s*(\w+)\(", body))
            sent -= len(requests)
    if sent:
        raise TemplateError(f"{service}: a request is made in a way that is not read here")
    changed = True
    while changed:
        changed = False
        for method, others in inner.items():
            more = {operation for other in others for operation in own.get(other, set())} - own[method]
            if more:
                own[method] |= more
                changed = True
    return own


def _methods(source: str) -> list[tuple[str, str]]:
    """Each function of a file with the text up to the next one."""
    parts = re.split(r"\bfn (\w+)", source)
    return list(zip(parts[1::2], parts[2::2], strict=True))


@cache
def _code(path: Path) -> str:
    """A file without its comments and its tests."""
    source = path.read_text(encoding="utf-8").split("#[cfg(test)]\nmod tests {")[0]
    return re.sub(r"(?m)^\s*//.*$", "", source)


@cache
def _files(place: str) -> list[Path]:
    path = ROOT / "crates" / place
    found = [path] if path.is_file() else sorted(path.rglob("*.rs"))
    if not found:
        raise TemplateError(f"no source: {place}")
    return found


def _camel(snake: str) -> str:
    return "".join(WORDS.get(word.title(), word.title()) for word in snake.split("_"))
