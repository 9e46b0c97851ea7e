"""Entra tokens of the local Azure: what an identity gets, and what services accept."""

import hmac
import json
import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import jwt

from local_azure.local import TENANT_ID, LocalAzureError, write_private

# Who deploys unless another is named, as an application and as an object of the directory.
CLIENT_ID: Final = "00000000-0000-0000-0000-000000000002"
PRINCIPAL_ID: Final = "00000000-0000-0000-0000-000000000003"
MANAGED_IDENTITY_PATH: Final = "/msi/token"
ACCESS_TOKEN_PREFIX: Final = "local-azure-"  # noqa: S105 - what it begins with
RESOURCE_MANAGER: Final = "https://management.azure.com"
ISSUER: Final = f"https://sts.windows.net/{TENANT_ID}/"

_ALGORITHM: Final = "HS256"
_SIGNATURES: Final = jwt.PyJWS(algorithms=[_ALGORITHM])


@dataclass(frozen=True)
class Application:
    """A service principal of the directory; `role` is what it is in the whole subscription."""

    client_id: str
    principal_id: str
    role: str


APPLICATIONS: Final = {
    each.client_id: each
    for each in (
        Application(CLIENT_ID, PRINCIPAL_ID, "Owner"),
        Application(
            "00000000-0000-0000-0000-000000000004",
            "00000000-0000-0000-0000-000000000005",
            "Reader",
        ),
        Application(
            "00000000-0000-0000-0000-000000000006",
            "00000000-0000-0000-0000-000000000007",
            "API Management Service Reader Role",
        ),
    )
}
"""By client id; one secret signs all of them in."""


def application(client_id: str | None) -> Application:
    """Return the application of that id; of another directory's, the one that deploys."""
    return APPLICATIONS.get((client_id or "").lower(), APPLICATIONS[CLIENT_ID])


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """What a state folder's tokens hang on: kept in it, readable by its owner alone.

    `client_secret` is the service principal's; `identity_header` is asked for where its token is
    had without it, as App Service does.
    """

    signing_key: str
    client_secret: str
    identity_header: str

    @property
    def pulumi_access_token(self) -> str:
        """What the Pulumi CLI signs in with where its stacks are kept."""
        derived = hmac.digest(bytes.fromhex(self.signing_key), b"pulumi", sha256)
        return f"{ACCESS_TOKEN_PREFIX}{derived.hex()}"

    @classmethod
    def of(cls, state: Path) -> "Secrets":
        """Return those of a state folder, made if needed. Raises LocalAzureError."""
        path = state / "identity.json"
        if not path.exists():
            made = cls(**{name: secrets.token_hex(32) for name in cls.__annotations__})
            write_private(path, json.dumps(asdict(made)), replace=False)
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, TypeError, ValueError) as error:
            raise LocalAzureError(
                f"{path} cannot be read ({type(error).__name__}); delete it, and a new one is made"
            ) from None


class Reason(Enum):
    """Why a token is no good."""

    INVALID = "invalid"
    EXPIRED = "expired"
    AUDIENCE = "audience"


class TokenError(Exception):
    """A token that is no good; `claims` are what it says, empty unless its signature is good."""

    def __init__(self, reason: Reason, claims: Mapping[str, Any]) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.claims = claims


class Tokens:
    """Issues and verifies JSON Web Tokens (RFC 7519), signed with one secret by HS256.

    `clock` gives seconds since the epoch. It is the local Azure's own, so PyJWT checks signatures,
    and the claims are checked here.
    """

    def __init__(self, secret: bytes, *, clock: Callable[[], float] = time.time) -> None:
        self._key = sha256(secret).digest()  # as long as HS256 wants it (RFC 7518, section 3.2)
        self._clock = clock

    def issue(
        self, principal_id: str, audience: str, lifetime: float = 3600.0, *, client_id: str = ""
    ) -> str:
        """Return a token for `audience` (a resource's url) that is good for `lifetime` seconds."""
        now = self._clock()
        claims = {
            "aud": _normalise(audience),
            "iss": ISSUER,
            "tid": TENANT_ID,
            "oid": principal_id,
            "sub": principal_id,
            "appid": client_id or principal_id,
            "idtyp": "app",
            "ver": "1.0",
            "iat": int(now),
            "nbf": int(now),
            "exp": now + lifetime,
        }
        return jwt.encode(claims, self._key, _ALGORITHM)

    def of_application(
        self, audience: str, lifetime: float = 3600.0, *, client_id: str = CLIENT_ID
    ) -> str:
        """Return a token of one of the directory's applications."""
        principal = APPLICATIONS[client_id].principal_id
        return self.issue(principal, audience, lifetime, client_id=client_id)

    def principal(self, token: str, audience: str) -> str | None:
        """Return the object id the token speaks for; None when it is no good for `audience`."""
        try:
            return str(self.claims(token, audience)["oid"])
        except TokenError:
            return None

    def claims(self, token: str, *audiences: str) -> Mapping[str, Any]:
        """Return what a token says. Raises TokenError when it is no good for any of `audiences`."""
        claims = self.verified(token)
        if claims["aud"] not in map(_normalise, audiences):
            raise TokenError(Reason.AUDIENCE, claims)
        return claims

    def verified(self, token: str) -> Mapping[str, Any]:
        """Return what a token says, for whomever. Raises TokenError when it is no good."""
        try:
            claims: dict[str, Any] = json.loads(
                _SIGNATURES.decode(token, self._key, algorithms=[_ALGORITHM])
            )
        # A header may hold what is no text, or nest deeper than a parser follows.
        except (jwt.PyJWTError, RecursionError, UnicodeEncodeError):
            raise TokenError(Reason.INVALID, {}) from None
        if claims["exp"] <= self._clock():
            raise TokenError(Reason.EXPIRED, claims)
        return claims


def signing_in(state: Path) -> Callable[[str], str]:
    """Return what gives a token for a resource to who may read the state folder.

    It is one of the application that ARM_CLIENT_ID names.
    """
    client_id = application(os.environ.get("ARM_CLIENT_ID")).client_id

    @cache
    def tokens() -> Tokens:
        return Tokens(bytes.fromhex(Secrets.of(state).signing_key))

    return lambda resource: tokens().of_application(resource, client_id=client_id)


def authorization(state: Path) -> dict[str, str]:
    """Return the header of a request to Resource Manager."""
    return {"Authorization": f"Bearer {signing_in(state)(RESOURCE_MANAGER)}"}


def variables(state: Path, endpoint: str) -> dict[str, str]:
    """Return what azure-identity signs in by at a server, as in App Service."""
    return {
        "IDENTITY_ENDPOINT": f"{endpoint}{MANAGED_IDENTITY_PATH}",
        "IDENTITY_HEADER": Secrets.of(state).identity_header,
    }


def _normalise(audience: str) -> str:
    # Entra takes a resource's url with and without its trailing slash for the same audience.
    return audience.rstrip("/").lower()
