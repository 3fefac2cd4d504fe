"""A Lambda function that does what the payload of each invocation says; the tests of the local Lambda run it.

    say: a line for the log
    meet: host:port; waits inside the invocation until the other side closes the connection
    fail_before: n; fails until this process has been invoked n times
    pad: answers with this many bytes more
    exit: ends the process with this status

It answers with what it was given and what it is. The variable ON_START makes it fail before its first invocation.
"""

import http.client
import json
import os
import socket
import sys
import time

API = "/2018-06-01/runtime"
runtime = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])


def post(path, document):
    runtime.request("POST", API + path, json.dumps(document))
    runtime.getresponse().read()


def meet(address):
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=60) as other:
        other.sendall(b"here")
        other.recv(1)


on_start = os.environ.get("ON_START")
if on_start == "report":
    post("/init/error", {"errorType": "Example.NotConfigured", "errorMessage": "no shop to open"})
    sys.exit(1)
if on_start == "exit":
    sys.exit(7)
if on_start:
    meet(on_start)

invocations = 0
while True:
    runtime.request("GET", API + "/invocation/next")
    delivery = runtime.getresponse()
    event = json.loads(delivery.read())
    invocations += 1
    now_ms = time.time() * 1000
    request_id = delivery.headers["lambda-runtime-aws-request-id"]
    if "say" in event:
        print(event["say"], flush=True)
    if "meet" in event:
        meet(event["meet"])
    if "exit" in event:
        os._exit(event["exit"])
    if invocations < event.get("fail_before", 0):
        post(f"/invocation/{request_id}/error", {"errorType": "Example.Refused", "errorMessage": "not yet"})
        continue
    post(
        f"/invocation/{request_id}/response",
        {
            "pid": os.getpid(),
            "invocations": invocations,
            "request_id": request_id,
            "arn": delivery.headers["lambda-runtime-invoked-function-arn"],
            "pad": "x" * event.get("pad", 0),
            "left_ms": int(delivery.headers["lambda-runtime-deadline-ms"]) - now_ms,
        },
    )
