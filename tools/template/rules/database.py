"""Rules about the database."""

from __future__ import annotations

from collections.abc import Iterator

from graph import Resources, key, of_type


def master_is_managed_by_rds(resources: Resources) -> Iterator[str]:
    """RDS makes and rotates the master's password; nobody gives it one, and its user is none that is guessed."""
    for name, cluster in of_type(resources, "AWS::RDS::DBCluster"):
        if cluster.get("ManageMasterUserPassword") is not True or "MasterUserPassword" in cluster:
            yield f"{name} has a master password of its own"
        if "SecretArn" in cluster.get("MasterUserSecret", {}):
            yield f"{name}: SecretArn is an answer of RDS, not a setting"
        if "KmsKeyId" not in cluster.get("MasterUserSecret", {}):
            yield f"{name}: the master's secret is not under our key"
        if cluster.get("MasterUsername") in ("postgres", "admin", "rdsadmin"):
            yield f"{name}: the master user has a name that is guessed first"


def database_takes_tls_and_scram_only(resources: Resources) -> Iterator[str]:
    """The server refuses plaintext, old TLS and weak verifiers, and lets only rds_password change passwords."""
    wanted = {
        "rds.force_ssl": "1",
        "ssl_min_protocol_version": "TLSv1.2",
        "password_encryption": "scram-sha-256",
        "rds.accepted_password_auth_method": "scram",
        "rds.restrict_password_commands": "1",
    }
    yield from _parameters(resources, wanted)


def server_log_has_no_text(resources: Resources) -> Iterator[str]:
    """What is said in a conversation, and a password, cannot get into the server's log."""
    wanted = {
        "log_statement": "none",
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
        "log_error_verbosity": "terse",
    }
    yield from _parameters(resources, wanted)


def database_is_protected(resources: Resources) -> Iterator[str]:
    """Encrypted, private, backed up for a week at least, and not deleted by one call."""
    for name, cluster in of_type(resources, "AWS::RDS::DBCluster"):
        for setting in ("StorageEncrypted", "DeletionProtection", "EnableIAMDatabaseAuthentication", "CopyTagsToSnapshot"):
            if cluster.get(setting) is not True:
                yield f"{name}: {setting} is off"
        if "KmsKeyId" not in cluster:
            yield f"{name} is not under our key"
        if int(cluster.get("BackupRetentionPeriod", 1)) < 7:
            yield f"{name} keeps less than a week of backups"
    for name, instance in of_type(resources, "AWS::RDS::DBInstance"):
        if instance.get("PubliclyAccessible") is not False:
            yield f"{name} is public"


RULES = (
    master_is_managed_by_rds,
    database_takes_tls_and_scram_only,
    server_log_has_no_text,
    database_is_protected,
)


def _parameters(resources: Resources, wanted: dict[str, str]) -> Iterator[str]:
    for name, group in of_type(resources, "AWS::RDS::DBClusterParameterGroup"):
        for parameter, value in wanted.items():
            if group["Parameters"].get(parameter) != value:
                yield f"{name}: {parameter} is not {value}"
