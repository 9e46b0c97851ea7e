"""What a policy reads of a token or of a name with its password."""

from collections.abc import Mapping
from typing import Any, Final

from local_azure.gateway.expressions.dates import epoch
from local_azure.gateway.expressions.tables import Library, attribute, entry
from local_azure.gateway.expressions.types import method
from local_azure.gateway.expressions.values import to_whole


def _claims_get(claims: Mapping[str, list[str]], name: str, default: Any = None) -> Any:
    if name not in claims:
        return default
    return claims[name] if isinstance(default, list) else ",".join(claims[name])


TOKENS: Final = Library(
    properties={
        "Jwt": {
            "Audiences": ("string[]", lambda jwt: jwt.claims.get("aud", [])),
            "Claims": attribute("claims", "Claims"),
            "ExpirationTime": (
                "DateTime",
                lambda jwt: epoch(to_whole(jwt.first("exp"), 64), "seconds"),
            ),
            "Id": ("string", lambda jwt: jwt.first("jti")),
            "Issuer": ("string", lambda jwt: jwt.first("iss")),
            "Subject": ("string", lambda jwt: jwt.first("sub")),
        },
        "Basic": {
            "Password": ("string", lambda pair: pair[1]),
            "UserId": ("string", lambda pair: pair[0]),
        },
    },
    methods={
        "Claims": {
            "ContainsKey": method("string", "bool", lambda values, name: name in values),
            "GetValueOrDefault": (
                method("string, [string?]", "string", _claims_get),
                method("string, string[]", "string[]", _claims_get),
            ),
        },
    },
    indexers={
        "Claims": ("string", "string[]", entry),
    },
)
