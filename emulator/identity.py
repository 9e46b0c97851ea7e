"""Entra tokens of the local Azure: what a managed identity gets, and a region accepts."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Final

_HEADER: Final = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")


class Tokens:
    """Issues and verifies JSON Web Tokens (RFC 7519), signed with one secret by HS256.

    `clock` gives seconds since the epoch.
    """

    def __init__(self, secret: bytes, *, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._clock = clock

    def issue(self, principal_id: str, audience: str, lifetime: float = 3600.0) -> str:
        """Return a token for `audience` (a resource's url) that is good for `lifetime` seconds."""
        now = self._clock()
        claims = {
            "aud": _normalise(audience),
            "oid": principal_id,
            "sub": principal_id,
            "iat": int(now),
            "exp": now + lifetime,
        }
        signed = _HEADER + b"." + _encode(json.dumps(claims, separators=(",", ":")).encode())
        return (signed + b"." + self._signature(signed)).decode()

    def principal(self, token: str, audience: str) -> str | None:
        """Return the object id the token speaks for; None when it is no good for `audience`."""
        try:
            signed, _, signature = token.encode("ascii").rpartition(b".")
        except UnicodeEncodeError:
            return None
        # Nothing of a token is read before its signature has been found good.
        if not hmac.compare_digest(signature, self._signature(signed)):
            return None
        claims = json.loads(base64.urlsafe_b64decode(signed.partition(b".")[2] + b"=="))
        if claims["aud"] != _normalise(audience) or claims["exp"] <= self._clock():
            return None
        return str(claims["oid"])

    def _signature(self, signed: bytes) -> bytes:
        return _encode(hmac.digest(self._secret, signed, sha256))


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _normalise(audience: str) -> str:
    # Entra takes a resource's url with and without its trailing slash for the same audience.
    return audience.rstrip("/").lower()
