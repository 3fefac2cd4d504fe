"""Runs AWS's function as the local Lambda runs a release binary; the argument is the path of its `lambda_function.py`.

Its text is not part of this project. Two things are not as on AWS: the roots of trust are those of `DB_CA_BUNDLE`, where
that is set, instead of the system's, and its log goes nowhere.
"""

import http.client
import importlib.util
import json
import logging
import os
import sys

import pgdb

API = "/2018-06-01/runtime"


def trusting(connect):
    """The function names a file of the system that it runs in on AWS."""

    def with_roots(**options):
        if "sslrootcert" in options and "DB_CA_BUNDLE" in os.environ:
            options["sslrootcert"] = os.environ["DB_CA_BUNDLE"]
        return connect(**options)

    return with_roots


def load(path):
    specification = importlib.util.spec_from_file_location("lambda_function", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.lambda_handler


def post(path, document):
    runtime.request("POST", API + path, json.dumps(document))
    runtime.getresponse().read()


pgdb.connect = trusting(pgdb.connect)
logging.getLogger().addHandler(logging.NullHandler())
handler = load(sys.argv[1])
runtime = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    runtime.request("GET", API + "/invocation/next")
    delivery = runtime.getresponse()
    event = json.loads(delivery.read())
    invocation = "/invocation/" + delivery.headers["lambda-runtime-aws-request-id"]
    try:
        answer = handler(event, None)
    except Exception as error:  # As AWS's runtime for Python tells it.
        post(invocation + "/error", {"errorType": type(error).__name__, "errorMessage": str(error)})
    else:
        post(invocation + "/response", answer)
