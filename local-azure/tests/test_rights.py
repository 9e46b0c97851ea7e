"""What each application of the directory may do at Resource Manager."""

import httpx
import pytest
from arm_server import (
    ACCOUNT,
    API,
    GROUP,
    KEY,
    LEAST,
    POLICY,
    SERVICE,
    SUBSCRIPTION,
    TOKEN_SECRET,
    serving,
)

from local_azure.identity import APPLICATIONS, RESOURCE_MANAGER, Tokens

BY_ROLE = {each.role: each for each in APPLICATIONS.values()}
CONTRIBUTOR = "312a565d-c81f-4fd8-895a-4e21e48d571c"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("arm")) as arm:
        arm.deploy(GROUP, SERVICE, ACCOUNT, API, KEY)
        yield arm


@pytest.fixture
def ask(server):
    arm = server
    tokens = Tokens(TOKEN_SECRET, clock=arm.clock)

    def ask(role: str, method: str, path: str, **more) -> httpx.Response:
        client_id = BY_ROLE[role].client_id
        token = tokens.of_application(RESOURCE_MANAGER, client_id=client_id)
        return arm.request(method, path, headers={"Authorization": f"Bearer {token}"}, **more)

    return ask


@pytest.mark.parametrize(
    ("role", "method", "path", "status"),
    [
        ("Owner", "POST", f"{KEY}/listSecrets", 200),
        ("Reader", "GET", KEY, 200),
        ("Reader", "GET", f"{SERVICE}/backends", 200),
        ("Reader", "GET", ACCOUNT, 200),
        ("Reader", "GET", POLICY, 404),
        ("Reader", "POST", f"{KEY}/listSecrets", 403),
        ("Reader", "POST", f"{ACCOUNT}/listKeys", 403),
        ("Reader", "PUT", GROUP, 403),
        ("Reader", "DELETE", ACCOUNT, 403),
        ("API Management Service Reader Role", "GET", KEY, 200),
        ("API Management Service Reader Role", "GET", SERVICE, 200),
        ("API Management Service Reader Role", "GET", GROUP, 200),
        ("API Management Service Reader Role", "GET", ACCOUNT, 403),
        ("API Management Service Reader Role", "POST", f"{KEY}/listSecrets", 403),
    ],
)
def test_a_role_lets_do_what_it_names(ask, role, method, path, status):
    body = {"json": LEAST[path]} if method == "PUT" else {}
    assert ask(role, method, path, **body).status_code == status


def test_a_refusal_names_who_what_and_where(ask):
    reader = BY_ROLE["Reader"]
    answer = ask("Reader", "POST", f"{KEY}/listSecrets")
    assert answer.json()["error"] == {
        "code": "AuthorizationFailed",
        "message": f"The client '{reader.client_id}' with object id '{reader.principal_id}' does"
        " not have authorization to perform action"
        " 'Microsoft.ApiManagement/service/subscriptions/listSecrets/action' over scope"
        f" '{KEY}' or the scope is invalid. If access was recently granted, please refresh your"
        " credentials.",
    }


def test_an_assigned_role_holds_at_its_scope_and_below(ask):
    role = f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{CONTRIBUTOR}"
    assignment = (
        f"{SERVICE}/providers/Microsoft.Authorization/roleAssignments"
        "/11111111-2222-3333-4444-555555555555"
    )
    body = {
        "roleDefinitionId": role,
        "principalId": BY_ROLE["Reader"].principal_id,
        "principalType": "ServicePrincipal",
    }
    assert ask("Reader", "PUT", assignment, json={"properties": body}).status_code == 403
    assert ask("Owner", "PUT", assignment, json={"properties": body}).status_code == 201
    assert ask("Reader", "POST", f"{KEY}/listSecrets").status_code == 200
    assert ask("Reader", "POST", f"{ACCOUNT}/listKeys").status_code == 403
    assert ask("Owner", "DELETE", assignment).status_code == 200
    assert ask("Reader", "POST", f"{KEY}/listSecrets").status_code == 403


def test_who_has_no_role_is_refused(server):
    token = Tokens(TOKEN_SECRET, clock=server.clock).issue("nobody", RESOURCE_MANAGER)
    answer = server.get(GROUP, headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["error"]["code"] == "AuthorizationFailed"
