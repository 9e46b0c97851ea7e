"""Policies as a team writes them: deployed to Resource Manager, asked through the gateway."""

import httpx
import pytest
from arm_server import (
    ACCOUNT,
    API,
    BACKEND,
    DEPLOYMENT,
    FRAGMENT,
    GROUP,
    IDENTITY,
    KEY,
    LEAST,
    NAMED_VALUE,
    OPENAI_USER,
    OPERATION_POLICY,
    POLICY,
    SERVICE,
    SERVICE_POLICY,
    version_of,
)

from local_azure import server
from local_azure.identity import authorization

CHAT = f"{API}/operations/chat"
OPERATION = {
    "properties": {
        "displayName": "Chat",
        "method": "POST",
        "urlTemplate": "/deployments/{deployment-id}/chat/completions",
        "templateParameters": [{"name": "deployment-id", "type": "string", "required": True}],
    }
}
SIGNED_IN = """<fragment>
  <authentication-managed-identity resource="https://cognitiveservices.azure.com"
    client-id="{{gateway-client}}" output-token-variable-name="token" />
  <set-header name="Authorization" exists-action="override">
    <value>@($"Bearer {(string)context.Variables["token"]}")</value>
  </set-header>
</fragment>"""
API_POLICY = """<policies>
  <inbound>
    <base />
    <set-backend-service backend-id="foundry1" />
    <include-fragment fragment-id="signed-in" />
    <llm-token-limit counter-key="@(context.Subscription.Id)" tokens-per-minute="{{tokens}}"
      estimate-prompt-tokens="true" remaining-tokens-header-name="x-remaining-tokens" />
    <llm-emit-token-metric><dimension name="Subscription ID" /></llm-emit-token-metric>
  </inbound>
  <backend>
    <retry condition="@(context.Response.StatusCode == 429)" count="1" interval="0">
      <forward-request buffer-request-body="true" />
    </retry>
  </backend>
  <outbound><base /></outbound>
  <on-error><base /></on-error>
</policies>"""
SERVICE_WIDE = """<policies>
  <inbound><set-variable name="asked" value="@(context.Request.Body.As<JObject>(true))" /></inbound>
  <backend><forward-request /></backend>
  <outbound>
    <set-header name="x-words" exists-action="override"><value>@{
      var words = 0;
      foreach (var message in (JArray)((JObject)context.Variables["asked"])["messages"])
      {
          words += message["content"].ToString().Split(' ').Length;
      }
      return words;
    }</value></set-header>
  </outbound>
  <on-error />
</policies>"""
CHAT_POLICY = """<policies>
  <inbound>
    <base />
    <choose>
      <when condition="@(context.Request.MatchedParameters["deployment-id"] != "chat")">
        <return-response>
          <set-status code="404" reason="Not Found" />
          <set-body>@(new JObject(new JProperty("error", "no such model")).ToString())</set-body>
        </return-response>
      </when>
    </choose>
  </inbound>
  <backend><base /></backend>
  <outbound><base /></outbound>
  <on-error><base /></on-error>
</policies>"""


class Team:
    """A local Azure, as the team's pipeline and its clients use it."""

    def __init__(self, endpoint: str, client: httpx.Client, signed_in: dict[str, str]) -> None:
        self.endpoint = endpoint
        self.client = client
        self.signed_in = signed_in

    def request(self, method: str, path: str, body=None) -> httpx.Response:
        return self.client.request(
            method,
            self.endpoint + path,
            json=body,
            params={"api-version": version_of(path)},
            headers=self.signed_in,
        )

    def put(self, path: str, body=None, **properties) -> httpx.Response:
        answer = self.request("PUT", path, body or {"properties": properties})
        assert answer.status_code in (200, 201), answer.text
        return answer

    def refused(self, method: str, path: str, **properties) -> dict:
        answer = self.request(method, path, {"properties": properties})
        assert answer.status_code == 400, answer.text
        return answer.json()["error"]

    def ask(self, text: str = "How are you", deployment: str = "chat") -> httpx.Response:
        service = self.request("GET", SERVICE).json()
        keys = self.request("POST", f"{KEY}/listSecrets").json()
        return self.client.post(
            f"{service['properties']['gatewayUrl']}/inference/deployments/{deployment}"
            "/chat/completions?api-version=2024-10-21",
            headers={"Ocp-Apim-Subscription-Key": keys["primaryKey"]},
            json={"messages": [{"role": "user", "content": text}]},
        )


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    options = server.Options(port=0, provisioning_seconds=0)
    state = tmp_path_factory.mktemp("azure")
    with (
        server.running(state, options) as endpoint,
        httpx.Client(trust_env=False) as client,
    ):
        team = Team(endpoint, client, authorization(state))
        for path in (GROUP, IDENTITY, ACCOUNT, DEPLOYMENT):
            team.put(path, LEAST[path])
        identity = team.request("GET", IDENTITY).json()["properties"]
        assigned = {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}}
        team.put(SERVICE, {**LEAST[SERVICE], "identity": assigned})
        for path in (BACKEND, API, KEY):
            team.put(path, LEAST[path])
        team.put(CHAT, OPERATION)
        role = f"{ACCOUNT}/providers/Microsoft.Authorization/roleAssignments/{IDENTITY_GUID}"
        team.put(role, roleDefinitionId=OPENAI_USER, principalId=identity["principalId"])
        client_id = identity["clientId"]
        team.put(NAMED_VALUE, displayName="gateway-client", value=client_id, secret=True)
        team.put(f"{NAMED_VALUE}2", displayName="tokens", value="100000")
        team.put(FRAGMENT, value=SIGNED_IN, format="rawxml")
        team.put(SERVICE_POLICY, value=SERVICE_WIDE, format="rawxml")
        team.put(POLICY, value=API_POLICY, format="rawxml")
        team.put(OPERATION_POLICY, value=CHAT_POLICY, format="rawxml")
        yield team


IDENTITY_GUID = "0d5f9a56-1d3b-4c63-9d5e-111111111111"


def test_a_request_goes_through_all_of_it(team):
    answer = team.ask("one two three")
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-words"] == "3"
    used = answer.json()["usage"]["total_tokens"]
    assert int(answer.headers["x-remaining-tokens"]) <= 100_000 - used
    answer = team.ask(deployment="another")
    assert (answer.status_code, answer.json()) == (404, {"error": "no such model"})


def test_a_changed_named_value_counts_from_the_next_request_on(team):
    team.put(f"{NAMED_VALUE}2", displayName="tokens", value="1")
    answer = team.ask()
    assert answer.status_code == 429
    assert answer.json()["message"].startswith("Token limit is exceeded.")
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    team.put(f"{NAMED_VALUE}2", displayName="tokens", value="100000")
    assert team.ask().status_code == 200


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("{{unknown}}", "set-body", "Cannot find a property 'unknown'"),
        ("@(context.Foo)", "set-body", "context has no 'Foo' in the local Azure"),
        ("@{ var a = 1; }", "set-body", "not all code paths return a value"),
    ],
)
def test_what_is_wrong_is_refused_by_the_compiler_that_runs_it(team, text, target, message):
    value = f"<policies>\n<inbound>\n<set-body>{text}</set-body></inbound></policies>"
    error = team.refused("PUT", POLICY, value=value, format="rawxml")
    (detail,) = error["details"]
    assert detail["target"] == target
    assert message in detail["message"]
    assert detail["message"].endswith("(line 3)")


def test_what_a_policy_needs_can_neither_be_broken_nor_deleted(team):
    error = team.refused("PUT", f"{NAMED_VALUE}2", displayName="tokens", value="many")
    message = error["details"][0]["message"]
    assert "would break '/apis/inference/policies/policy', line 6" in message
    assert "'tokens-per-minute': 'many' is no number from 1 to 2147483647" in message
    for path in (FRAGMENT, NAMED_VALUE):
        assert "is used by the following entities" in team.refused("DELETE", path)["message"]
    assert team.ask().status_code == 200
