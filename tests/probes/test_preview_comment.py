"""The comment on a preview: what it says first, what it never guesses, and how it is posted."""

import copy
import json
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest
from fake_github import GitHub
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from components.traffic import SECRET, UNKNOWN
from probes import preview_comment
from probes.formats.markdown_text import escape
from probes.preview.comment import LIMIT, MARKER, render

PREVIEWS = Path(__file__).with_name("previews")
TOKEN = "ghs_never-shown"


def step(members, *, before=None, op="update", name="pool"):
    def state(values):
        services = [
            {"id": f"/x/backends/{each[0]}", "priority": each[1], "weight": each[2]}
            for each in values
        ]
        kind = "azure-native:apimanagement/v20240501:Backend"
        return {"type": kind, "inputs": {"type": "Pool", "pool": {"services": services}}}

    return {
        "op": op,
        "urn": f"urn:pulumi:dev::p::azure-native:apimanagement:Backend::{name}",
        "newState": state(members) if members is not None else None,
        "oldState": state(before) if before is not None else None,
    }


def preview(*steps, **more):
    return {"steps": list(steps), "changeSummary": {"update": len(steps)}, **more}


ROUND = [("foundry1", 1, 1), ("foundry2", 1, 1), ("foundry3", 1, 1)]
INCIDENT = [("foundry1", 1, 100), ("foundry2", 2, 50), ("foundry3", 2, 50)]


def unwatched(document):
    """A preview whose config wants no alarm: these are of a pool alone, or older than alarms."""
    if not isinstance(document, dict) or not isinstance(document.get("config", {}), dict):
        return document
    return {**document, "config": {"openai-gateway:monitoring": "", **document.get("config", {})}}


def recorded(name):
    return json.loads((PREVIEWS / f"{name}.json").read_text("utf-8"))


@pytest.fixture
def comment(tmp_path, capsys):
    def run(document, *flags):
        path = tmp_path / "preview.json"
        text = document if isinstance(document, str) else json.dumps(unwatched(document))
        path.write_text(text, "utf-8")
        code = preview_comment.main([str(path), *flags])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run


def plain(text: str) -> str:
    """The text without its escapes."""
    return text.replace("\\", "").replace("&#58;&#8203;", ":")


def first(text: str) -> str:
    """The first line that a reader sees."""
    return text.splitlines()[1]


@pytest.mark.parametrize(
    ("file", "code", "said"),
    [
        ("first-deploy", 0, "Round robin, 33\\.3 % of traffic to each region"),
        ("no-changes-show-sames", 0, "Round robin, 33\\.3 % of traffic to each region"),
        ("pool-update", 0, "Round robin, 33\\.3 % of traffic to each region"),
        ("policy-violation", 3, "The preview failed: where traffic would go cannot be told"),
        ("program-error", 3, "The preview failed: where traffic would go cannot be told"),
        ("secret-weight", 3, "Where traffic would go cannot be told"),
        ("first", 0, "✅ Round robin, 33\\.3 % of traffic to each region"),
        ("same", 0, "✅ Round robin, 33\\.3 % of traffic to each region"),
        ("fourth", 0, "✅ Round robin, 25\\.0 % of traffic to each region"),
        ("policy", 0, "✅ Round robin, 33\\.3 % of traffic to each region"),
        ("refresh", 0, "✅ Round robin, 33\\.3 % of traffic to each region"),
        (
            "drift",
            0,
            "⚠️ Changed in Azure: inference\\-backend\\-pool \\(Backend\\); then: Round robin",
        ),
        ("gone", 0, "(Deployment\\); then: Round robin, 33\\.3 % of traffic to each region"),
        ("incident", 0, "⚠️ 100 % of traffic to UK South \\(declared: routing is priority\\)"),
        ("incident-accepted", 0, "✅ 100 % of traffic to UK South \\(declared: routing is prior"),
        ("refused", 1, "❌ Refused: UK South 50\\.0 %, East US 0\\.0 %, Norway East 50\\.0 %"),
        ("location-typo", 3, "❔ The preview failed: where traffic would go cannot be told"),
        ("three", 3, "❔ The preview failed: where traffic would go cannot be told"),
        ("wrong-type", 3, "❔ The preview failed: where traffic would go cannot be told"),
        ("moved", 1, "❌ Refused, as protected: foundry2 \\(East US\\) would be replaced"),
        (
            "moved-allowed",
            0,
            "⚠️ Downtime: foundry2 \\(East US\\) would be replaced; then: Round robin",
        ),
        (
            "removed",
            1,
            "❌ Refused, as protected: foundry2 \\(East US\\) would be deleted",
        ),
        (
            "service-replaced",
            1,
            "❌ Downtime: API Management service apim\\-l2tmzebd, foundry1 ",
        ),
        ("unchecked-typo", 1, "Unbalanced traffic: foundry1: is in uksoth: there is no such Az"),
    ],
)
def test_the_engines_own_previews(comment, file, code, said):
    found, text, _ = comment(recorded(file))
    assert text.startswith(f"{MARKER}\n### ")
    assert said in first(text)
    assert found == code


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (
            "three",
            [
                '- openai-gateway:routing is "random": write one of round-robin, weighted, ',
                "- openai-gateway:regions[0].priorty is 1, but there is no such key: did you mean ",
                "- openai-gateway:regions[1].weight is 0: Azure does not document weight 0; write ",
            ],
        ),
        (
            "wrong-type",
            ['- openai-gateway:regions is {"a": 1}: list 2 to 30 regions, each with a name and a'],
        ),
        ("location-typo", ["there is no such Azure location; did you mean uksouth?"]),
        (
            "drift",
            [
                "- Changed in Azure: inference-backend-pool (Backend): description, pool.",
                "services[1].priority, pool.services[2].priority, traffic: UK South 100.0 %, East",
                "- `pulumi up --refresh` puts it right, as the deployment of a merge runs it; ",
                "| region | priority / weight declared | share | live | share | after | share | |",
                "| East US | 1 / 1 | 33.3 % | 2 / 1 | 0.0 % | 1 / 1 | 33.3 % |",
            ],
        ),
        (
            "gone",
            ["- Changed in Azure: foundry2 (Account): gone, and would be made anew once purged"],
        ),
        ("fourth", ["| Sweden Central | - | - | 1 / 1 | 25.0 % |"]),
        (
            "moved",
            [
                "**foundry2 (East US) would go down until a new account answers: minutes, and ",
                "The name foundry2-l2tmzebd stays taken for 48 hours (soft delete)",
                "\nTo allow it, write in the stack's config, and deploy that before this change:\n",
                "\nopenai-gateway:protect: {except: [foundry2]}\n",
                "| France Central, was East US | 1 / 1 |",
            ],
        ),
        ("moved-allowed", ["**foundry2 (East US) would go down until "]),
        ("removed", ["would go down for good. The name foundry2-l2tmzebd stays taken for 48 h"]),
        (
            "service-replaced",
            ["would go down for all regions until the new service is there: minutes on BasicV2."],
        ),
        ("unchecked-typo", ["| uksoth, was UK South | 1 / 1 |"]),
        ("policy", ["2 line(s) of a policy", '-      <when condition="true">']),
    ],
)
def test_what_the_engine_s_previews_are_explained_by(comment, file, said):
    _, text, _ = comment((PREVIEWS / f"{file}.json").read_text("utf-8"))
    lines = plain(text)
    for each in said:
        assert lines.count(each) == 1, each
    assert "unhandled error" not in lines


def test_no_line_of_an_error_is_lost_however_many_there_are(comment):
    lines = [f"openai-gateway:regions[{n}].weight is wrong" for n in range(30)]
    said = [{"severity": "error", "message": "error: " + "\n".join(lines)}]
    code, text, _ = comment(preview(diagnostics=said))
    assert code == 3
    assert all(line in plain(text) for line in lines)
    assert plain(text).count(lines[29]) == 1


def test_what_goes_down_is_the_first_line_after_the_verdict(comment):
    for file in ("moved", "moved-allowed", "removed", "service-replaced", "unchecked-typo"):
        _, text, _ = comment((PREVIEWS / f"{file}.json").read_text("utf-8"))
        assert "would go down" in text.splitlines()[3]


def test_a_loss_is_allowed_by_name_alone(comment):
    document = json.loads((PREVIEWS / "moved-allowed.json").read_text("utf-8"))
    for protect in ("true", "false", '{"except": ["foundry1"]}', '{"except": "foundry2"}', "x"):
        document["config"]["openai-gateway:protect"] = protect
        code, text, _ = comment(document)
        names = "foundry1, foundry2" if "foundry1" in protect else "foundry2"
        assert (code, f"protect: {{except: [{names}]}}\n" in text) == (1, True)


def test_a_live_pool_is_shown_only_where_a_refresh_found_another(comment):
    _, text, _ = comment((PREVIEWS / "refresh.json").read_text("utf-8"))
    assert "live" not in text
    assert text.count("| UK South |") == 1


def test_a_policy_cannot_leave_its_block(comment):
    kind = "azure-native:apimanagement:ApiPolicy"
    states = [{"type": kind, "inputs": {"value": value}} for value in ("a\n```\nb", "a\n````\nc")]
    change = {"op": "update", "urn": "urn::it", "oldState": states[0], "newState": states[1]}
    _, text, _ = comment(preview(step(ROUND), change))
    (fence,) = (each for each in MARKDOWN.parse(text) if each.type == "fence")
    assert fence.content == "@@ -1,3 +1,3 @@\n a\n-```\n-b\n+````\n+c\n"
    assert fence.info == "diff"


def test_the_engine_s_words_are_told_of_a_program_that_failed(comment):
    _, text, _ = comment((PREVIEWS / "program-error.json").read_text("utf-8"))
    assert "RuntimeError: boom" in text


def test_a_secret_weight_is_named_and_not_guessed(comment):
    code, text, _ = comment(preview(step([("foundry1", 1, SECRET), ("foundry2", 1, 1)])))
    assert code == 3
    assert "- weight of foundry1 is secret" in text
    code, text, _ = comment(preview(step([("foundry1", UNKNOWN, 1), ("foundry2", 1, 1)])))
    assert code == 3
    assert "- priority of foundry1 is not known yet" in text


def test_an_absent_weight_is_no_unknown_one(comment):
    code, text, _ = comment(preview(step([("foundry1", UNKNOWN, 1), ("foundry2", 1, None)])))
    assert code == 1
    assert first(text) == "### ❌ Not as declared: foundry2 has no weight"
    assert "- priority of foundry1 is not known yet" in text


def test_the_incident_is_the_first_line_and_the_table_shows_before_and_after(comment):
    code, text, _ = comment(preview(step(INCIDENT, before=ROUND)))
    assert code == 1
    assert first(text) == "### ❌ 100 % of traffic to foundry1"
    assert f"| foundry1 | 1 / 1 | 33.3 % | 1 / 100 | 100.0 % | `{'█' * 20}` |" in text
    assert f"| foundry2 | 1 / 1 | 33.3 % | 2 / 50 | 0.0 % | `{'░' * 20}` |" in text


def test_what_the_stack_declares_is_no_mistake_unless_round_robin_is_expected(comment):
    declared = preview(step(INCIDENT), config={"openai-gateway:routing": "priority"})
    code, text, _ = comment(declared)
    assert code == 0
    assert first(text) == "### ⚠️ 100 % of traffic to foundry1 \\(declared: routing is priority\\)"
    assert comment(declared, "--expect", "round-robin")[0] == 1


def test_a_region_without_traffic_is_green_only_when_it_is_accepted_by_name(comment):
    config = {"openai-gateway:routing": "priority"}
    text = comment(preview(step(INCIDENT), config=config))[1]
    assert "- foundry2 and foundry3 would get nothing as long as all is well" in text
    assert "\nTo accept that, write in the stack's config:\n```yaml\n" in text
    assert "\nopenai-gateway:acceptStarved: [foundry2, foundry3]\n" in text  # to be copied
    config["openai-gateway:acceptStarved"] = '["foundry2"]'
    assert (
        "acceptStarved: [foundry2, foundry3]\n"
        in comment(preview(step(INCIDENT), config=config))[1]
    )
    config["openai-gateway:acceptStarved"] = ["foundry2", "foundry3"]
    code, text, _ = comment(preview(step(INCIDENT), config=config))
    assert (code, first(text)[:6]) == (0, "### ✅ ")


def test_weighted_is_declared_while_the_priorities_are_equal(comment):
    weighted = {"config": {"openai-gateway:routing": "weighted"}}
    assert comment(preview(step([("a", 1, 3), ("b", 1, 1)]), **weighted))[0] == 0
    assert comment(preview(step([("a", 1, 3), ("b", 2, 1)]), **weighted))[0] == 1


def test_unequal_weights_name_every_share(comment):
    code, text, _ = comment(preview(step([("a", 1, 2), ("b", 1, 1), ("c", 1, 1)])))
    assert code == 1
    assert "Unequal traffic: a 50\\.0 %, b 25\\.0 %, c 25\\.0 %" in first(text)


def test_a_region_s_name_comes_from_its_account(comment):
    account = {
        "op": "same",
        "urn": "urn:pulumi:dev::p::azure-native:cognitiveservices:Account::foundry1",
        "newState": {
            "type": "azure-native:cognitiveservices:Account",
            "inputs": {"location": "uksouth"},
        },
    }
    assert "100 % of traffic to UK South" in comment(preview(account, step(INCIDENT)))[1]


REGIONS = [
    {"name": "foundry3", "location": "norwayeast", "priority": 2, "weight": 50},
    {"name": "foundry1", "location": "uksouth", "weight": 100},
    {"name": "foundry2", "location": "East US", "priority": 2, "weight": 50},
]


EMBED = "inference-backend-pool-embed"
MODELS = json.dumps([{"name": "chat"}, {"name": "embed"}])


def test_ids_that_are_unknown_are_named_by_the_config(comment):
    pool = step(INCIDENT)
    for service in pool["newState"]["inputs"]["pool"]["services"]:
        service["id"] = UNKNOWN
    config = {"openai-gateway:regions": json.dumps(REGIONS)}
    code, text, _ = comment(preview(pool, config=config))
    assert (code, first(text)) == (1, "### ❌ 100 % of traffic to UK South")
    assert "| East US | - | - | 2 / 50 |" in text
    assert "100 % of traffic to member 1" in first(comment(preview(pool))[1])
    # Numbers that are not the config's are nobody's.
    config["openai-gateway:regions"] = [{**each, "priority": 1} for each in REGIONS]
    assert "100 % of traffic to member 1" in first(comment(preview(pool, config=config))[1])


def test_the_pool_of_each_model_is_judged_by_its_own_members_and_shown_by_region(comment):
    def both(members):
        pools = [step(ROUND, name="inference-backend-pool"), step(members, name=EMBED)]
        for pool in pools:
            name = pool["urn"].rpartition(":")[2]
            pool["newState"]["inputs"]["backendId"] = name
        return preview(*pools, config=config)

    regions = [{**each, "priority": 1, "weight": 1} for each in REGIONS]
    config = {"openai-gateway:regions": regions, "openai-gateway:models": MODELS}
    own = [(f"{name}-embed", priority, weight) for name, priority, weight in ROUND]
    code, text, _ = comment(both(own))
    assert code == 0
    assert plain(first(text)) == "### ✅ Round robin, 33.3 % of traffic to each region"
    assert text.count("| UK South | - | - | 1 / 1 |") == 2
    code, text, _ = comment(both([*own[:2], ROUND[2]]))
    assert code == 1
    assert "- foundry3 is not in the pool; add foundry3 to it" in text
    code, text, _ = comment(both([own[0], *((name, 2, 1) for name, *_ in own[1:])]))
    assert (code, first(text)) == (1, "### ❌ 100 % of traffic to UK South")


def test_a_pool_that_is_not_the_declared_one_is_unbalanced_and_ids_ignore_case(comment):
    config = {"openai-gateway:regions": [{**each, "priority": 1, "weight": 1} for each in REGIONS]}
    assert comment(preview(step([(n.upper(), 1, 1) for n, *_ in ROUND]), config=config))[0] == 0
    code, text, _ = comment(preview(step([(n, 7, 9) for n, *_ in ROUND]), config=config))
    assert code == 1
    assert first(text) == "### ❌ Not as declared: foundry1 has priority 7, declared is 1"
    code, text, _ = comment(preview(step(ROUND[:2]), config=config))
    assert code == 1
    assert "- foundry3 is not in the pool; add foundry3 to it" in text


def test_a_pool_that_goes_away_is_unbalanced_and_no_pool_cannot_be_told(comment):
    code, text, _ = comment(preview(step(None, before=ROUND, op="delete")))
    assert (code, "would be gone" in first(text)) == (1, True)
    assert comment(preview(step([])))[0] == 1
    other = {"op": "create", "urn": "a::b", "newState": {"type": "x:y:Z"}}
    code, text, _ = comment(preview(other))
    assert (code, "has no pool" in first(text)) == (3, True)


def backend(name, **inputs):
    kind = "azure-native:apimanagement:Backend"
    rules = {"circuitBreaker": {"rules": [{"name": "breaker"}]}}
    state = {"type": kind, "inputs": {"backendId": name, **rules, **inputs}}
    return {"op": "same", "urn": f"urn:pulumi:dev::p::{kind}::{name}", "newState": state}


BACKENDS = [backend(name) for name, *_ in ROUND]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (ROUND[:2], "has 2 of 3 regions: traffic would be foundry1 50.0 %, foundry2 50.0 %"),
        ([("a", 1, 1), ("a", 1, 1)], "100 % of traffic to a"),
        ([*ROUND[:2], ("foundry1", 1, 1)], "Unequal traffic: foundry1 66.7 %, foundry2 33.3 %"),
        ([*ROUND[:2], ("foundry9", 1, 1)], "foundry9 is no backend of this stack"),
    ],
)
def test_equal_numbers_are_no_balance_when_a_region_gets_nothing(comment, members, said):
    code, text, _ = comment(preview(*BACKENDS, step(members)))
    assert code == 1
    assert said in first(text).replace("\\", "")


def test_members_that_are_called_alike_have_rows_of_their_own(comment):
    text = comment(preview(step([("a", 1, 1), ("a", 1, 1), ("b", 1, 1)])))[1]
    assert len([line for line in text.splitlines() if line.startswith("| a | - | - | 1 / 1")]) == 2


def test_a_broken_rule_is_listed_once_and_traffic_is_still_judged(comment):
    keyless = backend("foundry1", circuitBreaker={"rules": []})
    message = "backends-have-a-breaker: foundry1: has no circuit breaker, and keeps its traffic"
    message += " when it fails; declare one rule"
    said = [{"severity": "error", "message": f"error: [mandatory] {message}\n"}]
    code, text, _ = comment(preview(keyless, *BACKENDS[1:], step(ROUND), diagnostics=said))
    assert code == 0
    assert first(text).startswith("### ⚠️ Round robin")
    assert "**Policy violations**" in text
    assert text.replace("\\", "").replace("&#58;&#8203;", ":").count("has no circuit breaker") == 1
    # What the engine does not explain is not explained away.
    failed = [{"severity": "error", "message": "error: preview failed\n"}]
    assert comment(preview(*BACKENDS, step(ROUND), diagnostics=failed))[0] == 3
    assert comment(preview(keyless, *BACKENDS[1:], step(ROUND), diagnostics=failed))[0] == 0


def test_a_preview_that_is_not_whole_breaks_no_rule(comment):
    document = preview(backend("foundry1", circuitBreaker=None), step(ROUND))
    assert "**Policy violations**" in comment(document)[1]
    document["changeSummary"] = {"same": 6, "update": 1}
    assert "**Policy violations**" not in comment(document)[1]


@pytest.mark.parametrize(
    ("pool", "said"),
    [
        (UNKNOWN, "the members are not known yet"),
        ({"services": SECRET}, "the members are secret"),
        (
            {"services": [UNKNOWN, {"id": "a", "priority": 1, "weight": 1}]},
            "weight of member 1 is not known",
        ),
    ],
)
def test_members_that_are_not_told_are_not_guessed(comment, pool, said):
    document = preview(step(ROUND))
    document["steps"][0]["newState"]["inputs"]["pool"] = pool
    code, text, _ = comment(document)
    assert code == 3
    assert said in text.replace("\\", "")


SERVICE = "apimanagement:ApiManagementService"


def added(kind, **inputs):
    return {
        "op": "create",
        "urn": "urn::it",
        "newState": {"type": f"azure-native:{kind}", "inputs": {"location": "uksouth", **inputs}},
    }


@pytest.mark.parametrize(
    ("kind", "sku", "said"),
    [
        (SERVICE, {"name": "BasicV2", "capacity": 2}, "2 × BasicV2, [API Management prices](https"),
        (SERVICE, UNKNOWN, "1 × unknown tier, [API Management prices](https"),
        ("cognitiveservices:Deployment", {"name": "x"}, "by the tokens used, nothing while idle"),
        ("compute:VirtualMachine", UNKNOWN, None),
        ("apimanagement:Api", None, None),
    ],
)
def test_what_is_added_and_costs_has_the_page_that_says_it_and_no_number(comment, kind, sku, said):
    text = plain(comment(preview(step(ROUND), added(kind, sku=sku)))[1])
    assert (f"\n- it: {said}" in text) == (said is not None)
    assert "\n- what else is added: [price calculator](https" in text
    assert "$" not in text
    same = {**added(kind, sku=sku), "op": "same"}
    assert "**Costs of what is added**" not in comment(preview(step(ROUND), same))[1]


ANYTHING = st.recursive(
    st.sampled_from([None, True, SECRET, UNKNOWN, 1e999, -1, 1.5, "x", 10**30]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=3,
)


@given(ANYTHING, st.integers(0, 1_000))
def test_a_preview_of_any_shape_ends_in_a_comment(value, place):
    document = preview(
        *copy.deepcopy(BACKENDS),
        step(ROUND, before=INCIDENT),
        diagnostics=[{"severity": "error", "message": "error: no"}],
        config={"openai-gateway:routing": "weighted"},
    )
    places = []

    def walk(container):
        for key in container if isinstance(container, dict) else range(len(container)):
            places.append((container, key))
            if isinstance(container[key], dict | list):
                walk(container[key])

    walk(document)
    container, key = places[place % len(places)]
    container[key] = value
    found, verdict = preview_comment._judged(json.dumps(document), round_robin=False)
    assert render(found, verdict).startswith(MARKER)
    assert verdict.code in (0, 1, 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "nothing: it is empty"),
        ("error: no stack selected", "no JSON: it begins with 'error: no stack selected'"),
        ("[]", "JSON, but no preview"),
        ("{}", "JSON, but no preview"),
        ("[" * 100_000, "no JSON"),
        ('{"steps": [], "changeSummary": {}}', "The preview is empty"),
        ('{"steps": []}', "--show-sames"),
        ('{"diagnostics": [{"message": "error: no plugin\\n"}]}', "- no plugin"),
    ],
)
def test_what_is_no_preview_is_said_as_such(comment, text, said):
    code, out, _ = comment(text)
    assert code == 3
    assert said in out.replace("\\", "")


def test_an_empty_preview_quotes_what_the_cli_printed_and_no_secret(comment, tmp_path, monkeypatch):
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "never-shown")
    log = tmp_path / "preview.log"
    log.write_text(
        "warning: stale\nerror: validating stack config: openai-gateway:regions\n  must be a list\n"
        "passphrase never-shown, https://user:never-seen@example/x?sig=never%2Fseen&a=1\n"
    )
    code, text, _ = comment("", "--log", str(log))
    assert code == 3
    lines = plain(text).splitlines()
    assert "- validating stack config: openai-gateway:regions" in lines
    assert "- must be a list" in lines
    assert "- passphrase [secret], https://[secret]example/x?[secret]&amp;a=1" in unescape_most(
        lines
    )
    assert "never" not in text
    assert "stale" not in text
    assert comment("", "--log", str(tmp_path / "none"))[0] == 2


def unescape_most(lines):
    return [line.replace("&#38;", "&amp;").replace("\u200b", "") for line in lines]


def test_run_quotes_what_the_cli_prints_on_standard_error(comment, tmp_path, monkeypatch, capsys):
    cli = tmp_path / "pulumi"
    cli.write_text("#!/bin/sh\necho 'error: no stack selected' >&2\nexit 255\n")
    cli.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert preview_comment.main(["--run"]) == 3
    assert "- no stack selected" in capsys.readouterr().out


def test_a_full_disk_is_one_line(tmp_path):
    file = tmp_path / "preview.json"
    file.write_text(json.dumps(preview(step(ROUND))))
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, preview_comment.__file__, str(file)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "error: output cannot be written: no space left on device\n",
    )


def test_wrong_usage_is_exit_2(capsys, comment):
    wrong = (["x", "--pull-request", number] for number in ("0", "-1", "x"))
    for arguments in ([], ["--run", "x"], ["x", "--expect", "all"], *wrong):
        with pytest.raises(SystemExit) as caught:
            preview_comment.main(arguments)
        assert caught.value.code == 2
    assert preview_comment.main(["/nowhere/preview.json"]) == 2
    assert "/nowhere/preview.json: no such file or directory" in capsys.readouterr().err


def test_a_long_comment_is_cut_between_lines_and_stays_whole_markdown(comment):
    changes = [
        {"op": "create", "urn": f"urn::{'n' * 300}{index}", "newState": {"type": "a:b:C"}}
        for index in range(2_000)
    ]
    code, text, _ = comment(preview(step(ROUND), *changes))
    assert code == 0
    assert len(text) <= LIMIT
    assert text.count("<details>") == text.count("</details>") == 1
    assert re.search(r"\*Left out, .*: \d+ lines of the changes\.\*\n$", text)
    assert all(line.endswith("|") for line in text.splitlines() if line.startswith("| + "))


def test_the_longest_of_reasons_leaves_a_comment_that_github_takes(comment):
    members = [("@" * 400 + str(n), n, n) for n in range(2, 100)]
    said = [{"severity": "error", "message": "@#:x" * 5_000} for _ in range(100)]
    code, text, _ = comment(preview(step(members), diagnostics=said))
    assert code == 1
    assert len(text) <= LIMIT
    assert len(text.encode()) < 65_536


HOSTILE = st.text(alphabet=st.sampled_from("ab|`<>&@#[](){}*_!\\\n\r\u202e~-.$1:/ "), max_size=30)
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@given(HOSTILE)
def test_no_name_leaves_its_cell(name):
    """Rendered, it is one cell with the very text, but for the spaces that part mentions."""
    html = MARKDOWN.render(f"| a | b |\n|---|---|\n| {escape(name)} | end |\n")
    (row,) = re.findall(r"<tbody>\s*<tr>(.*?)</tr>", html, re.DOTALL)
    cells = re.findall(r"<td>(.*?)</td>", row, re.DOTALL)
    assert len(cells) == 2
    assert "<" not in cells[0]
    shown = unescape(cells[0])
    # GitHub reads what is left: nothing that it would link, mention or draw is in one piece.
    assert not re.search(r"[@#:](?=[^\s\u200b])", shown)
    plain = re.sub(r"[\n\r\u202e]+", " ", name).strip()
    assert shown.replace("\u200b", "").strip() == plain


@settings(max_examples=50)
@given(HOSTILE, HOSTILE)
def test_a_comment_keeps_its_structure_whatever_the_names_contain(name, message):
    pool = step([(name, 1, 100), (f"{name}2", 2, 50)], before=ROUND, name=f"pool{name}")
    said = [
        {"severity": severity, "message": f"{severity}: {message}"}
        for severity in ("warning", "error")
    ]
    document = json.dumps(preview(pool, backend(f"b{name}"), diagnostics=said))
    text = render(*preview_comment._judged(document, round_robin=False))
    tokens = [
        token
        for each in MARKDOWN.parse(text)
        for token in (each, *(each.children or ()))
        if token.type not in ("text", "softbreak", "text_special")
    ]
    html = [each.content.strip() for each in tokens if each.type.startswith("html")]
    assert all(
        re.fullmatch(r"<!-- .* -->|<details><summary>\d+ [a-z()]+</summary>|</details>|<br>", each)
        for each in html
    )
    assert not {"link_open", "image", "fence", "code_block", "blockquote_open", "hr"} & {
        each.type for each in tokens
    }
    assert [each.tag for each in tokens if each.type == "heading_open"] == ["h3"]


@pytest.fixture
def github(monkeypatch):
    github = GitHub()
    for name, value in {
        "GITHUB_API_URL": github.url,
        "GITHUB_REPOSITORY": "team/gateway",
        "GITHUB_TOKEN": TOKEN,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GITHUB_EVENT_PATH", raising=False)
    monkeypatch.setattr("probes.github.PAUSE", 0.001)
    yield github
    github.close()


def test_a_second_run_changes_its_own_comment_on_whichever_page_it_is(github, comment):
    code, _, err = comment(preview(step(INCIDENT)), "--post", "--pull-request", "7")
    assert code == 1
    assert err == "comment: https://example/99\n"
    assert comment(preview(step(ROUND)), "--post", "--pull-request", "7")[0] == 0
    own = [each["body"] for each in github.comments if each["body"].startswith(MARKER)]
    assert len(own) == 1
    assert "Round robin" in own[0]
    assert {authorization for *_, authorization in github.seen} == {f"Bearer {TOKEN}"}


def test_the_pull_request_is_the_event_s(github, comment, tmp_path, monkeypatch):
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 12}}), "utf-8")
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(event))
    comment(preview(step(ROUND)), "--post")
    assert "/repos/team/gateway/issues/12/comments" in github.seen[-1][1]


def test_a_busy_github_is_asked_again_and_a_refusal_is_one_line(github, comment):
    github.failures = [503, 502]
    assert comment(preview(step(ROUND)), "--post", "--pull-request", "7")[0] == 0
    github.failures = [403]
    code, _, err = comment(preview(step(ROUND)), "--post", "--pull-request", "7")
    assert code == 2
    assert "GitHub answers 403 to GET /repos/team/gateway/issues/7/comments: no" in err
    assert TOKEN not in err
    assert err.count("\n") == 1


def test_a_marker_that_someone_else_wrote_is_left_alone(github, comment):
    someone = {"login": "someone", "type": "User"}
    github.comments.append({"id": 5, "body": f"{MARKER}\nAll is well", "user": someone})
    comment(preview(step(INCIDENT)), "--post", "--pull-request", "7")
    comment(preview(step(INCIDENT)), "--post", "--pull-request", "7")
    marked = [each["body"] for each in github.comments if each["body"].startswith(MARKER)]
    assert marked[0] == f"{MARKER}\nAll is well"
    assert len(marked) == 2
    # With a token of a person's own, it is that person's.
    github.login = "someone"
    comment(preview(step(ROUND)), "--post", "--pull-request", "7")
    assert "Round robin" in github.comments[4]["body"]


def test_a_comment_whose_answer_was_lost_is_not_written_twice(github, comment):
    github.lost = ["POST"]
    assert comment(preview(step(ROUND)), "--post", "--pull-request", "7")[0] == 0
    assert len([each for each in github.comments if each["body"].startswith(MARKER)]) == 1


def test_retry_after_is_waited_for_unless_it_asks_too_much(github, comment, monkeypatch):
    slept = []
    monkeypatch.setattr("probes.github.time.sleep", slept.append)
    github.failures = [(403, 7), (429, 3), 500]
    assert comment(preview(step(ROUND)), "--post", "--pull-request", "7")[0] == 0
    assert slept[:2] == [7, 3]
    assert slept[2] < 1
    github.failures = [(429, 3_600)]
    code, _, err = comment(preview(step(ROUND)), "--post", "--pull-request", "7")
    assert (code, len(slept)) == (2, 3)
    assert "GitHub answers 429" in err
    github.failures = [500] * 10
    assert comment(preview(step(ROUND)), "--post", "--pull-request", "7")[0] == 2
    assert len(github.failures) == 6


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("GITHUB_REPOSITORY=team/../x", "write owner/name"),
        ("GITHUB_API_URL=ftp://a", "write an http(s) address"),
        ("GITHUB_API_URL=http://a:port", "answers something else than GitHub would"),
        (f"GITHUB_TOKEN={TOKEN}\n", "has characters that no token has"),
    ],
)
def test_settings_that_cannot_be_are_one_line(github, comment, monkeypatch, setting, said):
    variable, _, value = setting.partition("=")
    monkeypatch.setenv(variable, value)
    code, out, err = comment(preview(step(ROUND)), "--post", "--pull-request", "7")
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
    assert TOKEN not in out + err


def test_an_answer_that_is_not_github_s_is_one_line(github, comment):
    github.comments = ["no comment"]
    code, _, err = comment(preview(step(ROUND)), "--post", "--pull-request", "7")
    assert code == 2
    assert err == f"error: {github.url} answers something else than GitHub would\n"


def test_posting_without_what_it_needs_says_so(comment, monkeypatch):
    for name in ("GITHUB_TOKEN", "GITHUB_REPOSITORY", "GITHUB_EVENT_PATH"):
        monkeypatch.delenv(name, raising=False)
    code, _, err = comment(preview(step(ROUND)), "--post")
    assert code == 2
    assert err == "error: --post: GITHUB_TOKEN and GITHUB_REPOSITORY must be set\n"
