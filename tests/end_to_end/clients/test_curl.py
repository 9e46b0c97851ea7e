"""`curl` with the real addresses, told by `--connect-to` where they are."""

import json
import shutil
import subprocess

import pytest

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on PATH"),
]


def curl(azure, *arguments, expected=0):
    there = ("--connect-to", f"::127.0.0.1:{azure.port}")
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--noproxy", "*", *there, *arguments],
        env={**azure.shell.environment, **azure.variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout


def chat(azure, **more):
    url = f"https://{azure.service}.azure-api.net/inference/openai/deployments/chat"
    body = {"messages": [{"role": "user", "content": "Where are you?"}], **more}
    return (
        f"{url}/chat/completions?api-version={azure.outputs['api_version']}",
        *("--header", f"api-key: {azure.outputs['subscription_key']}"),
        *("--json", json.dumps(body)),
    )


def test_a_completion_and_who_gave_it(azure):
    headers, _, body = curl(azure, "--include", *chat(azure)).partition("\n\n")
    assert headers.startswith("HTTP/1.1 200")
    assert ".openai.azure.com" in headers.lower().split("x-backend-host: ")[1].splitlines()[0]
    assert json.loads(body)["choices"][0]["message"]["content"]


def test_a_stream(azure):
    events = curl(azure, "--no-buffer", *chat(azure, stream=True)).split("\n\n")
    assert events[-2] == "data: [DONE]"
    assert sum(event.startswith("data: {") for event in events) > 3


def test_a_token_and_what_it_opens(azure):
    form = {
        "grant_type": "client_credentials",
        "client_id": azure.variables["ARM_CLIENT_ID"],
        "client_secret": azure.variables["ARM_CLIENT_SECRET"],
        "scope": "https://management.azure.com/.default",
    }
    data = [word for name, value in form.items() for word in ("--data", f"{name}={value}")]
    tenant = azure.variables["ARM_TENANT_ID"]
    url = f"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"
    token = json.loads(curl(azure, url, *data))["access_token"]
    pool = f"https://management.azure.com{azure.outputs['pool']['id']}?api-version=2024-05-01"
    read = curl(azure, pool, "--header", f"Authorization: Bearer {token}")
    assert len(json.loads(read)["properties"]["pool"]["services"]) == 3


def test_without_a_token_it_is_401_and_the_command_token_gives_one(azure):
    groups = "https://management.azure.com/subscriptions?api-version=2022-12-01"
    assert json.loads(curl(azure, groups))["error"]["code"] == "AuthenticationFailed"
    token = azure.shell.local_azure("token").stdout.strip()
    read = curl(azure, groups, "--header", f"Authorization: Bearer {token}")
    assert [each["displayName"] for each in json.loads(read)["value"]] == ["Local Azure"]


def test_a_name_that_nobody_has_is_refused(azure):
    assert curl(azure, "https://example.com/", expected=35) == ""
