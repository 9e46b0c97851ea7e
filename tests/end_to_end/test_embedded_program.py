"""The embedded deployment sees what Pulumi's own mocks see: the same resources, the same inputs.

It loads the SDKs on demand and leaves out what only other engines ask for; this is the proof that
the program does not notice.
"""

import json

from recording import ROOT, unwrap

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def known_alike(embedded, recorded):
    """Equal wherever the preview knows the value; text that holds an unknown is unknown."""
    if embedded == UNKNOWN:
        return recorded is not None
    if isinstance(embedded, dict) and isinstance(recorded, dict):
        return embedded.keys() == recorded.keys() and all(
            known_alike(embedded[key], recorded[key]) for key in embedded
        )
    if isinstance(embedded, list) and isinstance(recorded, list):
        return len(embedded) == len(recorded) and all(map(known_alike, embedded, recorded))
    return embedded == recorded


def test_the_embedded_preview_declares_what_the_mocks_record(shell, declare_dev):
    result = shell.local_azure("preview", "--stack", "dev", "--json")
    assert result.returncode == 0, result.stdout + result.stderr
    preview = json.loads(result.stdout)
    # The mocks keep the parent's type alone in a URN, the engine every ancestor's: type and name.
    embedded = {
        (step["newState"]["type"], step["urn"].rpartition("::")[2]): step["newState"]
        for step in preview["steps"]
    }
    recorded = {(each.type, each.name): each for each in declare_dev.resources}
    assert set(embedded) == set(recorded)
    assert len(embedded) == len(preview["steps"]) == len(declare_dev.resources) == 73
    for resource, state in embedded.items():
        if state["custom"]:
            inputs = unwrap(recorded[resource].inputs)
            assert known_alike(state.get("inputs", {}), inputs), (resource, state, inputs)


def test_a_first_preview_of_the_incident_keeps_unknowns_and_names_the_region_that_gets_it_all(
    shell,
):
    incident = ("--config-file", "Pulumi.incident.yaml")
    text = shell.local_azure("preview", "--json", "--show-sames", *incident).stdout
    preview = json.loads(text)
    (pool,) = [
        step["newState"]["inputs"]
        for step in preview["steps"]
        if step["urn"].endswith("Backend::inference-backend-pool")
    ]
    assert [each["id"] for each in pool["pool"]["services"]] == [UNKNOWN] * 3
    assert [each["weight"] for each in pool["pool"]["services"]] == [100, 50, 50]
    assert preview["changeSummary"] == {"create": 73}
    assert "Expected traffic: UK South 100.0 %" in preview["diagnostics"][0]["message"]

    comment = shell.run("probes/preview_comment.py", "-", "--expect", "round-robin", text=text)
    assert comment.returncode == 1, comment.stderr
    assert comment.stdout.splitlines()[1] == "### ❌ 100 % of traffic to UK South"
    assert "73 to create" in comment.stdout


def test_a_mistyped_location_is_looked_up_at_the_local_azure_without_a_server(shell, tmp_path):
    stack = tmp_path / "mistyped.yaml"
    stack.write_text((ROOT / "Pulumi.dev.yaml").read_text().replace("uksouth", "uksouh"))
    preview = shell.local_azure("preview", "--config-file", str(stack))
    assert preview.returncode == 1, preview.stdout + preview.stderr
    assert preview.stdout.endswith("no such Azure location; did you mean uksouth?\n")
