"""Signing in: by client secret or as the managed identity; and who takes the tokens."""

import json
import stat

import httpx
import pytest
from arm_server import SUBSCRIPTION

from local_azure import server
from local_azure.identity import CLIENT_ID, PRINCIPAL_ID, Secrets, Tokens
from local_azure.local import TENANT_ID, LocalAzureError
from local_azure.roles import INFERENCE, ROLES

ARM, OPENAI = "https://management.azure.com", "https://cognitiveservices.azure.com"
TOKEN, TOKEN_V1 = f"/{TENANT_ID}/oauth2/v2.0/token", f"/{TENANT_ID}/oauth2/token"


@pytest.fixture(scope="module")
def azure(tmp_path_factory):
    state = tmp_path_factory.mktemp("entra")
    with (
        server.running(state, server.Options(port=0)) as endpoint,
        httpx.Client(base_url=endpoint, trust_env=False, timeout=10) as client,
    ):
        client.secrets = Secrets.of(state)
        client.tokens = Tokens(bytes.fromhex(client.secrets.signing_key))
        yield client


def form(azure, **changed):
    values = {
        "grant_type": "client_credentials",
        "client_id": CLIENT_ID,
        "client_secret": azure.secrets.client_secret,
        "scope": f"{ARM}/.default",
        "resource": ARM,
    }
    return {name: value for name, value in (values | changed).items() if value is not None}


def read(azure, authorization):
    headers = {} if authorization is None else {"Authorization": authorization}
    return azure.get(SUBSCRIPTION, params={"api-version": "2022-12-01"}, headers=headers)


@pytest.mark.parametrize("path", [TOKEN, TOKEN_V1, TOKEN.replace(TENANT_ID, TENANT_ID.upper())])
def test_a_client_secret_gets_a_token_that_resource_manager_takes(azure, path):
    answer = azure.post(path, data=form(azure))
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    token = answer.json()["access_token"]
    claims = azure.tokens.claims(token, ARM)
    assert (claims["oid"], claims["appid"], claims["tid"]) == (PRINCIPAL_ID, CLIENT_ID, TENANT_ID)
    assert int(answer.json()["expires_in"]) == 3600
    assert read(azure, f"Bearer {token}").status_code == 200


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("multipart/form-data; boundary=x", b"junk"),
        ("multipart/form-data", b""),
        ("application/x-www-form-urlencoded; charset=nonsense", b"a=b"),
        ("application/x-www-form-urlencoded", b"\xff=%ff&grant_type"),
    ],
)
def test_a_form_that_is_none_lacks_what_it_should_have(azure, content_type, content):
    answer = azure.post(TOKEN, content=content, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert "grant_type" in answer.json()["error_description"]


@pytest.mark.parametrize(
    "scope",
    [
        "https://management.core.windows.net//.default",
        f"{ARM}/.default openid offline_access profile",  # MSAL for Go
    ],
)
def test_a_scope_names_one_resource_as_each_client_writes_it(azure, scope):
    token = azure.post(TOKEN, data=form(azure, scope=scope)).json()["access_token"]
    assert read(azure, f"bearer {token}").status_code == 200


@pytest.mark.parametrize(
    ("changed", "status", "error", "number"),
    [
        ({"grant_type": None}, 400, "invalid_request", 900144),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        ({"client_id": None}, 400, "invalid_request", 900144),
        ({"client_id": TENANT_ID}, 400, "unauthorized_client", 700016),
        ({"client_secret": None}, 401, "invalid_client", 7000218),
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_secret": "\udce4".encode("utf-8", "replace")}, 401, "invalid_client", 7000215),
        ({"scope": None}, 400, "invalid_request", 900144),
        ({"scope": ARM}, 400, "invalid_scope", 1002012),
        ({"scope": "openid profile"}, 400, "invalid_scope", 1002012),
        ({"scope": f"{ARM}/.default {OPENAI}/.default"}, 400, "invalid_scope", 1002012),
        ({"scope": "https://vault.azure.net/.default"}, 400, "invalid_resource", 500011),
    ],
)
def test_a_refusal_is_entra_s(azure, changed, status, error, number):
    answer = azure.post(TOKEN, data=form(azure, **changed))
    body = answer.json()
    assert (answer.status_code, body["error"], body["error_codes"]) == (status, error, [number])
    assert body["error_description"].startswith(f"AADSTS{number}: ")
    assert azure.secrets.client_secret not in answer.text


def test_another_tenant_is_not_found(azure):
    answer = azure.post("/contoso.onmicrosoft.com/oauth2/v2.0/token", data=form(azure))
    assert (answer.status_code, answer.json()["error_codes"]) == (400, [90002])


def test_discovery_leads_to_the_token_endpoint(azure):
    for path in (f"/{TENANT_ID}/v2.0", f"/{TENANT_ID}"):
        found = azure.get(f"{path}/.well-known/openid-configuration").json()
        assert found["token_endpoint"] == f"{str(azure.base_url).rstrip('/')}{TOKEN}"
        assert azure.get(found["jwks_uri"]).json() == {"keys": []}
    instance = azure.get("/common/discovery/instance").json()
    assert azure.get(instance["tenant_discovery_endpoint"]).json() == found
    cloud = azure.get("/metadata/endpoints", params={"api-version": "2022-09-01"}).json()
    assert cloud["resourceManager"] == cloud["authentication"]["loginEndpoint"]
    for audience in cloud["authentication"]["audiences"]:
        token = azure.tokens.issue(PRINCIPAL_ID, audience)
        assert read(azure, f"Bearer {token}").status_code == 200


def test_a_managed_identity_s_token_needs_the_header(azure):
    query = {"resource": ARM, "api-version": "2019-08-01"}
    header = {"X-IDENTITY-HEADER": azure.secrets.identity_header}
    answer = azure.get("/msi/token", params=query, headers=header)
    assert read(azure, f"Bearer {answer.json()['access_token']}").status_code == 200
    refused = [
        azure.get("/msi/token", params=query),
        azure.get("/msi/token", params=query, headers={"X-IDENTITY-HEADER": "wrong"}),
        azure.get("/msi/token", headers=header),
        azure.get("/msi/token", params=query | {"client_id": TENANT_ID}, headers=header),
        azure.get("/msi/token", params={"resource": "https://vault.azure.net"}, headers=header),
    ]
    assert [each.status_code for each in refused] == [401, 401, 400, 400, 400]


def test_resource_manager_takes_a_good_token_and_nothing_else(azure):
    secret = bytes.fromhex(azure.secrets.signing_key)
    expired = Tokens(secret, clock=lambda: 1_700_000_000.0).issue(PRINCIPAL_ID, ARM)
    refused = {
        "Bearer x.y.z": "InvalidAuthenticationToken",
        f"Bearer {Tokens(b'another').issue(PRINCIPAL_ID, ARM)}": "InvalidAuthenticationToken",
        f"Bearer {expired}": "ExpiredAuthenticationToken",
        f"Bearer {azure.tokens.issue(PRINCIPAL_ID, OPENAI)}": "InvalidAuthenticationTokenAudience",
        "Basic dXNlcjpwYXNz": "AuthenticationFailedInvalidHeader",
        "Bearer": "AuthenticationFailedInvalidHeader",
    }
    for authorization, code in refused.items():
        answer = read(azure, authorization)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)
        challenge = answer.headers["WWW-Authenticate"]
        assert challenge.startswith('Bearer authorization_uri="https://127.0.0.1:')
        assert 'error="invalid_token"' in challenge
        assert authorization.rpartition(" ")[2] not in answer.text or authorization == "Bearer"
    assert "11/14/2023 23:13:20" in read(azure, f"Bearer {expired}").json()["error"]["message"]
    missing = read(azure, None)
    assert missing.status_code == 401
    assert missing.json()["error"] == {
        "code": "AuthenticationFailed",
        "message": "Authentication failed. The 'Authorization' header is missing.",
    }
    assert missing.headers["WWW-Authenticate"].endswith(
        "error_description=\"The authentication failed because of missing 'Authorization' header.\""
    )
    # Nothing is told to who has no token, neither what is there nor what is wrong with a request.
    for path in ("/", "/subscriptions", "/subscriptions/x", "/_local-azure/faults"):
        assert azure.get(path).json()["error"]["code"] == "AuthenticationFailed", path
    assert azure.put("/_local-azure/faults/foundry1", json={"down": True}).status_code == 401


def test_tokens_outlive_a_restart(tmp_path):
    for _ in range(2):
        with server.running(tmp_path, server.Options(port=0)) as endpoint:
            tokens = Tokens(bytes.fromhex(Secrets.of(tmp_path).signing_key))
            headers = {"Authorization": f"Bearer {tokens.issue(PRINCIPAL_ID, ARM)}"}
            url = f"{endpoint}{SUBSCRIPTION}?api-version=2022-12-01"
            assert httpx.get(url, headers=headers, trust_env=False).status_code == 200
    kept = tmp_path / "identity.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    first = json.loads(kept.read_text("utf-8"))
    assert len(set(first.values())) == 3
    kept.write_text('{"signing_key": "x"}', "utf-8")
    with pytest.raises(LocalAzureError, match=r"identity\.json cannot be read .* delete it"):
        Secrets.of(tmp_path)
    kept.unlink()
    assert Secrets.of(tmp_path).client_secret != first["client_secret"]


def test_the_roles_of_a_region_are_roles_that_can_be_assigned():
    assert set(ROLES) > set(INFERENCE)
    assert "acdd72a7-3385-48ef-bd42-f606fba81ae7" not in INFERENCE  # Reader
