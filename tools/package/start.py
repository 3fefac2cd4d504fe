"""Start each packed function up to its first request for an event, in a folder with nothing but its zip's content.

    start.py FOLDER [RUNNER ...]    FOLDER/NAME.zip; RUNNER runs a program of another architecture, for example
                                    qemu-aarch64-static -L /usr/aarch64-linux-gnu

That the binary loads, finds its libraries and accepts a configuration is what a cross-compiled package can be asked for
without AWS.
"""

import contextlib
import http.server
import os
import pathlib
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

# An emulated start takes a second or two; one that takes this long waits for something.
DEADLINE_SECONDS = 60

# Nothing listens on port 9 (discard): what a function tries before its first event must not be needed for it.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_REGION": "us-east-1",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_LOG_GROUP_NAME": "none",
    "AWS_LAMBDA_LOG_STREAM_NAME": "none",
    "CONVERSATIONS_BUCKET": "none",
    "TURNKEEP_SECRET": "none",
}


def main():
    folder, runner = pathlib.Path(sys.argv[1]), sys.argv[2:]
    if runner:
        # The program under it gets the environment of a function, in whose PATH it need not be.
        runner[0] = shutil.which(runner[0]) or sys.exit(f"no program {runner[0]}")
    packages = sorted(folder.glob("*.zip"))
    if not packages:
        sys.exit(f"no package in {folder}: make package")
    for package in packages:
        start(package, runner)


def start(package, runner):
    name = package.stem
    with tempfile.TemporaryDirectory() as task, runtime_api() as (address, requests):
        zipfile.ZipFile(package).extractall(task)
        bootstrap = os.path.join(task, "bootstrap")
        os.chmod(bootstrap, 0o755)  # zipfile leaves the mode behind; Lambda does not
        environment = ENVIRONMENT | {"AWS_LAMBDA_FUNCTION_NAME": name, "AWS_LAMBDA_RUNTIME_API": address}
        begun = time.monotonic()
        process = subprocess.Popen([*runner, bootstrap], cwd=task, env=environment)
        try:
            request = first(requests, process)
            seconds = time.monotonic() - begun
        finally:
            process.kill()
            process.wait()
    if request != "GET /2018-06-01/runtime/invocation/next":
        sys.exit(f"{name} did not ask for an event: {request}")
    print(f"{name:<21} asked for its first event after {seconds:.2f} s")


def first(requests, process):
    """The first request of the function, or what became of it."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(queue.Empty):
            return requests.get(timeout=0.1)
        if process.poll() is not None:
            return f"it ended with {process.returncode}"
    return f"nothing within {DEADLINE_SECONDS} s"


@contextlib.contextmanager
def runtime_api():
    """A Runtime API that has no event: its address, and the requests as they come."""
    requests = queue.Queue()
    over = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.put(f"GET {self.path}")
            over.wait()

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            requests.put(f"POST {self.path} {body.decode(errors='replace')}")
            over.wait()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield "{}:{}".format(*server.server_address), requests
    finally:
        over.set()
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    main()
