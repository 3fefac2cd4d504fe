"""PostgreSQL connections for Python (psycopg 3, boto3) that no rotation refuses.

    secret = Secret("my-app/database")
    with Connection.connect(secret=secret, dbname="orders") as connection: ...

    pool = ConnectionPool(connection_class=Connection, kwargs={"secret": secret, "dbname": "orders"})

Copy this file. Why it does what it does: docs/clients.md.
"""

import json
import random
import threading
import time

import boto3
import psycopg

# Between the new password's commit and the move of AWSCURRENT, only AWSPENDING logs in. AWSCURRENT comes twice because the
# rotation may end while AWSPENDING is looked at; AWSPREVIOUS is for a database that was restored.
ORDER = ("AWSCURRENT", "AWSPENDING", "AWSCURRENT", "AWSPREVIOUS")


class Secret:
    """A secret, and the version of it that the database accepted last. One for each process: threads share it."""

    def __init__(self, secret_id, client=None):
        self._id = secret_id
        self._client = client or boto3.client("secretsmanager")
        self._lock = threading.Lock()
        self.accepted = None

    def read(self, stage):
        """The version with a label, or None if there is none: AWSPENDING exists only during a rotation."""
        try:
            value = self._client.get_secret_value(SecretId=self._id, VersionStage=stage)
        except self._client.exceptions.ResourceNotFoundException:
            return None
        return {"version": value["VersionId"], "stage": stage, "login": json.loads(value["SecretString"])}

    def candidates(self, seen):
        """Versions to try, each as long as the one before was refused. Those who come while one searches use what it finds."""
        if seen:
            yield seen
        with self._lock:
            if self.accepted is not seen:
                yield self.accepted
            for stage in ORDER:
                version = self.read(stage)
                if version:
                    yield version


class Connection(psycopg.Connection):
    """A psycopg connection whose login follows the secret; also for psycopg_pool's `connection_class`."""

    @classmethod
    def connect(cls, conninfo="", *, secret, timeout=15, **settings):
        """Logs in through any rotation, or raises the last reason after `timeout` seconds. `settings` outweigh the secret."""
        deadline = time.monotonic() + timeout
        refused, pause = {}, 0.1
        reason = psycopg.OperationalError("the secret has no version to log in with")
        while True:
            for version in secret.candidates(secret.accepted):
                # Not twice, but for one that was refused as AWSPENDING, before the database knew it, and is current now.
                if version["stage"] in refused.get(version["version"], ()):
                    continue
                try:
                    connection = super().connect(conninfo, **cls._settings(version["login"], deadline, settings))
                except psycopg.OperationalError as error:
                    if not is_refusal(error):
                        raise
                    refused.setdefault(version["version"], set()).add(version["stage"])
                    reason = error
                    continue
                secret.accepted = version
                return connection
            if time.monotonic() + pause > deadline:
                raise reason
            time.sleep(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, 1)

    @staticmethod
    def _settings(login, deadline, settings):
        of_secret = {
            "host": login.get("host"),
            "port": login.get("port"),
            "dbname": login.get("dbname"),
            "user": login["username"],
            "password": login["password"],
            # Any weaker mode hands the password to whoever answers. The roots: PGSSLROOTCERT or sslrootcert=.
            "sslmode": "verify-full",
            "connect_timeout": max(2, int(deadline - time.monotonic())),
        }
        return {key: value for key, value in of_secret.items() if value is not None} | settings


def is_refusal(error):
    """Whether the server refused the login (28P01 or 28000), which another password may mend. libpq hands on its text alone."""
    text = str(error)
    return "authentication failed for user" in text or "is not permitted to log in" in text
