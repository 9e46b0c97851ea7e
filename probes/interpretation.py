"""What an answer of the gateway means: which backend it proves, or what went wrong and the remedy.

Headers: the API's policy (`x-backend-host`, `x-backend-attempts`, `x-backend-tried`), Azure
OpenAI's own `x-ms-region`, and `Retry-After` of RFC 9110.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from components.contract import Outputs
from components.resource_manager import at
from probes.tally import Answer, Outcome

_MOST_ATTEMPTS: Final = 100  # twice the policy's own limit
_DENIED_BY_REGION: Final = (
    "give the gateway's identity the role Cognitive Services OpenAI User on that account; "
    "after a first deployment that takes up to 30 minutes to work, and --wait-ready 35m waits"
)


def interpret(
    outputs: Outputs[str], status: int, headers: Mapping[str, str], body: bytes
) -> Answer:
    """Judge one whole answer; `headers` ignores the case of names, as HTTP clients' mappings do."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    host, attempts = headers.get("x-backend-host", ""), headers.get("x-backend-attempts", "")
    answer = Answer(
        outcome="answered",
        backend=outputs.by_host(host),
        region=outputs.redact(headers.get("x-ms-region", ""))[:60] or None,
        attempts=int(attempts) or 1 if attempts.isdecimal() and len(attempts) < 6 else 1,
        tried=tried(outputs, headers.get("x-backend-tried", "")),
        retry_after=retry_after(headers.get("retry-after", ""), now=datetime.now(UTC)),
    )
    for backend, met in answer.tried:
        if met in ("401", "403"):
            answer = replace(answer, unready=f"{backend} answers {met}")
    said = outputs.redact(str(at(document, "error", "message") or at(document, "message") or ""))
    said = f"{status} {said[:160]}".strip()
    # A region that looked at the question has answered, whatever it thinks of it: a reasoning model
    # may want more than 16 tokens.
    looked_at = status == 400 and (host or answer.region)
    if (200 <= status < 300 or looked_at) and isinstance(document, dict):
        tokens, made = at(document, "usage", "total_tokens"), str(document.get("id"))
        answer = replace(
            answer,
            tokens=tokens if isinstance(tokens, int) else 0,
            response=made if re.fullmatch("resp_[A-Za-z0-9_-]{1,200}", made) else "",
            retry_after=None,
        )
        if answer.backend:
            return replace(answer, detail=said if looked_at else "")
        detail = "the answer has no x-backend-host"
        remedy = "set openai-gateway:revealBackend to true and run `pulumi up`"
        if named := outputs.redact(host)[:80]:
            detail = f"x-backend-host is {named}, no backend of the stack"
            remedy = "are the outputs those of this gateway? read them again"
        return replace(answer, outcome="unattributed", detail=detail, remedy=remedy)
    outcome, remedy, lasting = _refusal(status, outputs, by_region=bool(host))
    detail = said
    if 200 <= status < 300:
        detail = f"{status}, but the answer is not JSON"
    elif 300 <= status < 400:
        detail = f"{status} to {outputs.redact(headers.get('location', ''))[:120]}, not followed"
    missing = status == 404 and at(document, "error", "code") == "DeploymentNotFound"
    if answer.backend and (outcome == "denied" or missing):
        answer = replace(answer, unready=f"{answer.backend} answers {detail.rstrip('.')}")
    return replace(answer, outcome=outcome, detail=detail, remedy=remedy, hopeless=lasting)


def _refusal(status: int, outputs: Outputs[str], *, by_region: bool) -> tuple[Outcome, str, bool]:
    """Return the outcome, the remedy, and whether another request would end the same way."""
    if 200 <= status < 300:
        return "failed", "is inference_url the gateway's API?", False
    if status == 429:
        return "throttled", "wait, or give the models more capacity", False
    if status in (401, 403):
        if by_region:
            return "denied", _DENIED_BY_REGION, False
        return "denied", "is subscription_key that of this gateway? read the outputs again", True
    if status == 404:
        remedy = f"is deployment {outputs.deployment} on this gateway, and what is asked of it in "
        remedy += "openai-gateway:apis? run `pulumi up`"
        return "failed", remedy, not by_region
    if 300 <= status < 400:
        return "failed", "set inference_url to the gateway itself", True
    if status < 500:
        return "failed", f"does deployment {outputs.deployment} take such a request?", True
    return "failed", "look at the gateway and at the regions' health", False


def tried(outputs: Outputs[str], header: str) -> tuple[tuple[str, str], ...]:
    """Read `HOST STATUS, HOST STATUS`: each attempt before the last one, and what it met.

    STATUS is a number, or `none` where no answer came. Hosts of no backend are left out, and so is
    what comes after so many attempts as the policy never makes.
    """
    found = []
    for attempt in header[: _MOST_ATTEMPTS * 256].split(",")[:_MOST_ATTEMPTS]:
        host, _, status = attempt.strip().partition(" ")
        backend = outputs.by_host(host)
        if backend and re.fullmatch("none|[0-9]{3}", status):
            found.append((backend, status))
    return tuple(found)


def retry_after(value: str, *, now: datetime) -> float | None:
    """Read a Retry-After header, a number of seconds or a date; None for anything else."""
    if value.strip().isdecimal():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())
