import base64
import json

import pytest
from fake_resources import Clock
from hypothesis import given
from hypothesis import strategies as st

from local_azure.identity import Tokens

AUDIENCE = "https://cognitiveservices.azure.com"


def test_a_token_speaks_for_its_principal_and_audience_only():
    tokens = Tokens(b"secret")
    token = tokens.issue("principal", AUDIENCE)
    assert tokens.principal(token, AUDIENCE) == "principal"
    assert tokens.principal(token, AUDIENCE + "/") == "principal"
    assert tokens.principal(token, "https://management.azure.com") is None
    assert Tokens(b"another").principal(token, AUDIENCE) is None


def test_a_token_ends():
    clock = Clock()
    tokens = Tokens(b"secret", clock=clock)
    token = tokens.issue("principal", AUDIENCE, lifetime=10)
    clock.now += 9.9
    assert tokens.principal(token, AUDIENCE) == "principal"
    clock.now += 0.2
    assert tokens.principal(token, AUDIENCE) is None


def test_changed_claims_are_refused():
    tokens = Tokens(b"secret")
    header, claims, signature = tokens.issue("principal", AUDIENCE).split(".")
    forged = json.loads(base64.urlsafe_b64decode(claims + "==")) | {"oid": "someone-else"}
    claims = base64.urlsafe_b64encode(json.dumps(forged).encode()).decode().rstrip("=")
    assert tokens.principal(f"{header}.{claims}.{signature}", AUDIENCE) is None


@pytest.mark.parametrize("position", range(0, 200, 7))
def test_any_changed_character_is_refused(position):
    tokens = Tokens(b"secret")
    token = tokens.issue("principal", AUDIENCE)
    other = "A" if token[position] != "A" else "B"
    assert tokens.principal(token[:position] + other + token[position + 1 :], AUDIENCE) is None


@given(st.text())
def test_no_text_is_a_token(text):
    assert Tokens(b"secret").principal(text, AUDIENCE) is None


def _part(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "header", ["[" * 6000, '{"alg":"none"}', '{"alg":"HS256"}', '{"alg":"HS512"}', "9" * 5000, "é"]
)
def test_a_header_of_somebody_else_s_is_refused(header):
    token = Tokens(b"secret").issue("principal", AUDIENCE).split(".")
    for changed in (".".join([_part(header), *token[1:]]), f"{_part(header)}.{token[1]}."):
        assert Tokens(b"secret").principal(changed, AUDIENCE) is None


def test_what_is_no_text_is_refused():
    token = Tokens(b"secret").issue("principal", AUDIENCE)
    assert Tokens(b"secret").principal(f"{token}\udcff", AUDIENCE) is None
