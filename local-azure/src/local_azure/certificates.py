"""The local Azure's own certificate authority: made once a state folder, trusted by who chooses to.

Its key stays in the folder, readable by its owner alone, and signs nothing but the names that are
served.
"""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from local_azure.local import LocalAzureError, authority_certificate, write_private

# No client asks for less than a year, and some take no more than 825 days.
_LIFETIME = timedelta(days=365)
_ORGANIZATION = "Local Azure"
_CLOCK_SKEW = timedelta(days=1)


class NamedContext(ssl.SSLContext):
    """TLS settings of one host name, with its certificate."""

    host: str


class Authority:
    """Issues a certificate for each name that is served, once.

    Raises LocalAzureError when the state folder holds one that cannot be read.
    """

    def __init__(self, state: Path) -> None:
        certificate, key = authority_certificate(state), state / "authority.key"
        if not (certificate.exists() and key.exists()):
            _create(certificate, key)
        try:
            self._authority = trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
        except (OSError, ValueError) as error:
            raise LocalAzureError(
                f"the certificate authority {certificate} with {key.name} cannot be used"
                f" ({type(error).__name__}); delete both, and a new one is made"
            ) from None
        self._contexts: dict[str, NamedContext] = {}

    def context(self, host: str, *others: str) -> NamedContext:
        """Return the TLS settings of a host name; `others` are valid in its certificate too."""
        if host not in self._contexts:
            context = NamedContext(ssl.PROTOCOL_TLS_SERVER)
            context.host = host
            context.set_alpn_protocols(["http/1.1"])
            now = datetime.now(UTC)
            self._authority.issue_cert(
                host,
                *others,
                organization_name=_ORGANIZATION,
                not_before=now - _CLOCK_SKEW,
                not_after=now + _LIFETIME,
            ).configure_cert(context)
            self._contexts[host] = context
        return self._contexts[host]


def _create(certificate: Path, key: Path) -> None:
    """Make a new authority: its key first, so that a certificate never lacks its own."""
    authority = trustme.CA(organization_name=_ORGANIZATION, path_length=0)
    for path, content in ((key, authority.private_key_pem), (certificate, authority.cert_pem)):
        write_private(path, content.bytes().decode())
