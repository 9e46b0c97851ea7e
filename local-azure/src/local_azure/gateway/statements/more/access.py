"""Statements that let a call in or not: headers, addresses, tokens."""

import base64
import hmac
import json
import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final
from urllib.parse import parse_qs

from local_azure.gateway.exchange import Exchange, ProxyError
from local_azure.gateway.expressions.values import Jwt
from local_azure.gateway.markup import Element
from local_azure.gateway.statements.attributes import (
    Value,
    attribute,
    choice,
    constant,
    constant_number,
    optional,
    parts,
    texts,
    value,
    whole_number,
)
from local_azure.gateway.statements.statement import (
    INBOUND,
    Action,
    Place,
    Statement,
    check_shape,
    refuse,
)


def _authentication_basic(element: Element, _: Place) -> Action:
    username, password = attribute(element, "username"), attribute(element, "password")

    async def authenticate(exchange: Exchange) -> None:
        pair = f"{username(exchange)}:{password(exchange)}".encode()
        exchange.request.headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"

    return authenticate


def _check_header(element: Element, _: Place) -> Action:
    name = attribute(element, "name")
    code = whole_number(element, "failed-check-httpcode", "", 100, 599)
    message = attribute(element, "failed-check-error-message")
    ignore_case = choice(element, "ignore-case", ("true", "false"), "") == "true"
    allowed = texts(element)

    async def check(exchange: Exchange) -> None:
        found = exchange.request.headers.get(name(exchange))
        values = [value(exchange) for value in allowed]
        if ignore_case:
            values = [each.lower() for each in values]
        if found is not None and (
            not values or (found.lower() if ignore_case else found) in values
        ):
            return
        raise ProxyError(
            message(exchange),
            source="check-header",
            reason="HeaderNotFound" if found is None else "HeaderValueNotAllowed",
            status=int(code(exchange)),
        )

    return check


# --- addresses ---------------------------------------------------------------------------------

_Address = IPv4Address | IPv6Address


def _ip_filter(element: Element, _: Place) -> Action:
    allows = choice(element, "action", ("allow", "forbid"), "") == "allow"
    ranges = [_range(child) for child in element.children]
    if not ranges:
        refuse(element, "needs an address or an address-range")

    async def check(exchange: Exchange) -> None:
        try:
            caller = ip_address(exchange.request.ip_address)
        except ValueError:
            raise ProxyError(
                "Failed to parse caller IP address. Access denied.",
                source="ip-filter",
                reason="FailedToParseCallerIP",
                status=403,
            ) from None
        inside = any(
            low.version == caller.version and int(low) <= int(caller) <= int(high)
            for low, high in ranges
        )
        if inside is not allows:
            raise ProxyError(
                f"Caller IP address {caller} is not allowed. Access denied.",
                source="ip-filter",
                reason="CallerIpNotAllowed" if allows else "CallerIpBlocked",
                status=403,
            )

    return check


def _range(element: Element) -> tuple[_Address, _Address]:
    if element.name == "address":
        check_shape(element, text=True)
        text = element.text
        ends = (text, text)
    elif element.name == "address-range":
        check_shape(element, ("from", "to"))
        ends = (element.attributes["from"], element.attributes["to"])
    else:
        refuse(element, "not allowed in 'ip-filter'")
    addresses = []
    for end in ends:
        try:
            addresses.append(ip_address(str(end).strip()))
        except ValueError:
            refuse(element, "needs IP addresses, without an expression")
    return addresses[0], addresses[1]


# --- tokens ------------------------------------------------------------------------------------

Verify = Callable[[Exchange, str], Mapping[str, Any]]
_ENTRA: Final = re.compile(
    r"https://(login\.microsoftonline\.com|login\.windows\.net|sts\.windows\.net)/", re.IGNORECASE
)


def _validate_azure_ad_token(element: Element, _: Place) -> Action:
    applications = ["client-application-ids", "backend-application-ids"]
    # Microsoft's pages have these two in either order.
    if [child.name for child in element.children[:1]] == applications[1:]:
        applications.reverse()
    found = parts(element, (*applications, "audiences", "required-claims"))
    tenant = attribute(element, "tenant-id")
    checks = _claim_checks(found.get("required-claims"))
    if "client-application-ids" in found:
        clients = texts(found["client-application-ids"], "application-id")
        checks.append(_one_of(("appid", "azp"), clients))
    for name, child in (("audiences", "audience"), ("backend-application-ids", "application-id")):
        if name in found:
            checks.append(_one_of(("aud",), texts(found[name], child)))

    def verify(exchange: Exchange, token: str) -> Mapping[str, Any]:
        claims = exchange.services.entra_claims(token)
        wanted = tenant(exchange).lower()
        # A tenant may be named by a domain, which no token tells.
        if re.fullmatch(r"[0-9a-f-]{36}", wanted) and claims.get("tid") != wanted:
            raise _refused("TokenIssuerNotAllowed")
        return claims

    return _validate(
        element,
        verify,
        checks,
        missing="Azure AD JWT not present.",
        invalid="Invalid Azure AD JWT.",
    )


def _validate_jwt(element: Element, _: Place) -> Action:
    found = parts(
        element,
        ("openid-config", "issuer-signing-keys", "audiences", "issuers", "required-claims"),
        {"openid-config": ("url",)},
    )
    choice(element, "require-scheme", ("bearer",), "bearer")
    choice(element, "require-signed-tokens", ("true",), "true")
    choice(element, "require-expiration-time", ("true",), "true")
    skew = constant_number(element, "clock-skew", "0", 0, 86_400)
    checks = _claim_checks(found.get("required-claims"))
    for name, child, claim in (("audiences", "audience", "aud"), ("issuers", "issuer", "iss")):
        if name in found:
            checks.append(_one_of((claim,), texts(found[name], child)))
    if "issuer-signing-keys" in found:
        verify = _by_keys(found["issuer-signing-keys"], skew)
    elif "openid-config" in found:
        if skew:
            refuse(element, "attribute 'clock-skew': the local Azure's Entra has the same clock")
        verify = _by_issuer(found["openid-config"])
    else:
        refuse(element, "needs openid-config or issuer-signing-keys")
    return _validate(element, verify, checks, missing="JWT not present.", invalid="Invalid JWT.")


def _by_issuer(element: Element) -> Verify:
    check_shape(element, ("url",))
    url = element.attributes["url"]
    if isinstance(url, str) and not _ENTRA.match(url):
        refuse(element, f"'{url}': the local Azure asks no issuer of tokens but its own Entra")

    def verify(exchange: Exchange, token: str) -> Mapping[str, Any]:
        return exchange.services.entra_claims(token)

    return verify


def _by_keys(element: Element, skew: float) -> Verify:
    """Verify by symmetric keys; `skew` seconds after its end a token is still good."""
    for child in element.children:
        if set(child.attributes) - {"id"}:
            refuse(child, "the local Azure knows symmetric keys alone")
        check_shape(child, optional=("id",), text=True)
    keys = [
        value(child, child.text)
        for child in element.children
        if child.name == "key" or refuse(child, "not allowed in 'issuer-signing-keys'")
    ]

    def verify(exchange: Exchange, token: str) -> Mapping[str, Any]:
        signed, _, signature = token.encode(errors="replace").rpartition(b".")
        for key in keys:
            try:
                secret = base64.b64decode(key(exchange), validate=True)
                given = base64.urlsafe_b64decode(signature + b"==")
                claims = json.loads(base64.urlsafe_b64decode(signed.partition(b".")[2] + b"=="))
            except (ValueError, RecursionError):
                continue
            # Nobody's secret is empty: whoever guesses so signs nothing.
            if not secret or not hmac.compare_digest(hmac.digest(secret, signed, sha256), given):
                continue
            if not isinstance(claims, dict) or not isinstance(claims.get("exp"), int | float):
                break
            if claims["exp"] + skew <= exchange.services.now():
                raise _refused("TokenExpired")
            return claims
        raise _refused("TokenSignatureInvalid")

    return verify


def _refused(reason: str) -> ProxyError:
    return ProxyError(reason, source="validate-jwt", reason=reason, status=401)


Check = Callable[[Exchange, Mapping[str, Any]], str | None]


def _one_of(claims: Sequence[str], allowed: Sequence[Value]) -> Check:
    reason = {"aud": "TokenAudienceNotAllowed", "iss": "TokenIssuerNotAllowed"}.get(
        claims[0], "TokenClaimValueNotAllowed"
    )

    def check(exchange: Exchange, given: Mapping[str, Any]) -> str | None:
        found = {
            text.rstrip("/").lower() for claim in claims for text in _strings(given.get(claim))
        }
        wanted = {value(exchange).strip().rstrip("/").lower() for value in allowed}
        return None if found & wanted else reason

    return check


def _strings(found: Any) -> list[str]:
    return [str(each) for each in (found if isinstance(found, list) else [found]) if each]


def _claim_checks(element: Element | None) -> list[Check]:
    checks = []
    for claim in element.children if element else []:
        if claim.name != "claim":
            refuse(claim, "not allowed in 'required-claims'")
        check_shape(claim, ("name",), ("match", "separator"), children=True)
        checks.append(
            _claim_check(
                constant(claim, "name") or "",
                choice(claim, "match", ("all", "any"), "all") == "all",
                constant(claim, "separator"),
                texts(claim),
            )
        )
    return checks


def _claim_check(
    name: str,
    needs_all: bool,  # noqa: FBT001 - one of the statement's own two words
    separator: str | None,
    values: Sequence[Value],
) -> Check:
    def check(exchange: Exchange, given: Mapping[str, Any]) -> str | None:
        if name not in given:
            return "TokenClaimNotFound"
        found = _strings(given[name])
        if separator:
            found = [part for text in found for part in text.split(separator)]
        wanted = {value(exchange) for value in values}
        met = wanted & set(found)
        ok = met == wanted if needs_all else bool(met) or not wanted
        return None if ok else "TokenClaimValueNotAllowed"

    return check


def _validate(
    element: Element, verify: Verify, checks: Sequence[Check], *, missing: str, invalid: str
) -> Action:
    read = _token(element)
    code = whole_number(element, "failed-validation-httpcode", "401", 100, 599)
    message = optional(element, "failed-validation-error-message")
    variable = constant(element, "output-token-variable-name")
    source = element.name

    def refusal(exchange: Exchange, reason: str, default: str) -> ProxyError:
        return ProxyError(
            message(exchange) if message else default,
            source=source,
            reason=reason,
            status=int(code(exchange)),
        )

    async def validate(exchange: Exchange) -> None:
        token = read(exchange)
        if not token:
            raise refusal(exchange, "TokenNotPresent", missing)
        try:
            claims = verify(exchange, token)
        except ProxyError as error:
            raise refusal(exchange, error.reason or "TokenInvalid", invalid) from None
        for check in checks:
            reason = check(exchange, claims)
            if reason is not None:
                raise refusal(exchange, reason, invalid)
        if variable is not None:
            exchange.variables[variable] = Jwt(claims)

    return validate


def _token(element: Element) -> Callable[[Exchange], str]:
    given = [
        name
        for name in ("header-name", "query-parameter-name", "token-value")
        if name in element.attributes
    ]
    if len(given) > 1:
        refuse(element, f"takes one of {', '.join(given)}")
    where = given[0] if given else "header-name"
    read = attribute(element, where, "Authorization")

    def token(exchange: Exchange) -> str:
        text = read(exchange)
        if where == "header-name":
            text = exchange.request.headers.get(text, "")
        elif where == "query-parameter-name":
            text = parse_qs(exchange.request.query).get(text, [""])[0]
        scheme, _, rest = text.partition(" ")
        return rest.strip() if scheme.lower() == "bearer" else text

    return token


_TOKEN: Final = (
    "header-name",
    "query-parameter-name",
    "token-value",
    "failed-validation-httpcode",
    "failed-validation-error-message",
    "output-token-variable-name",
)

ACCESS: Final[Mapping[str, Statement]] = {
    "authentication-basic": Statement(
        compile=_authentication_basic, required=("username", "password"), sections=INBOUND
    ),
    "check-header": Statement(
        compile=_check_header,
        required=("name", "failed-check-httpcode", "failed-check-error-message", "ignore-case"),
        sections=INBOUND,
        children=True,
    ),
    "ip-filter": Statement(
        compile=_ip_filter, required=("action",), sections=INBOUND, children=True
    ),
    "validate-azure-ad-token": Statement(
        compile=_validate_azure_ad_token,
        required=("tenant-id",),
        optional=_TOKEN,
        sections=INBOUND,
        children=True,
        note="accepts the tokens of the local Azure's own Entra",
    ),
    "validate-jwt": Statement(
        compile=_validate_jwt,
        optional=(
            *_TOKEN,
            "require-scheme",
            "require-signed-tokens",
            "require-expiration-time",
            "clock-skew",
        ),
        sections=INBOUND,
        children=True,
        note="tokens of the local Azure's own Entra, or signed by a symmetric key (HS256)",
    ),
}
