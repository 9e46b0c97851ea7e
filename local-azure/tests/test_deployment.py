"""What `preview`, `up` and `destroy` do with a program, against a Resource Manager of our own."""

import json
import re
import stat
import threading
from pathlib import Path

import arm_server
import pytest
from fake_arm import FakeArm, error, serving
from stack_project import BACKENDS, GROUP, POOL, SERVICE, StackProject, steps

from local_azure import deployment
from local_azure.deployment.provider import ResourceManager, UncertainError
from local_azure.deployment.state import StateError
from local_azure.deployment.values import UNKNOWN
from local_azure.identity import CLIENT_ID, PRINCIPAL_ID
from local_azure.local import outputs_file

BACKEND = "azure-native:apimanagement:Backend"


@pytest.fixture
def arm():
    with serving(FakeArm()) as arm:
        yield arm


@pytest.fixture
def project(tmp_path, arm) -> StackProject:
    return StackProject(tmp_path, arm.url)


def pool_of(arm):
    return arm.bodies[f"{BACKENDS}/pool".lower()]["properties"]["pool"]["services"]


def test_a_preview_of_a_new_stack_sends_no_request_and_keeps_unknowns_unknown(tmp_path):
    project = StackProject(tmp_path, endpoint="")
    project.program(
        """
        import pulumi
        from pulumi_azure_native import cognitiveservices
        account = cognitiveservices.Account(
            "a", account_name="a", resource_group_name="rg", location="uksouth", kind="OpenAI",
            properties={"custom_sub_domain_name": "a-x"},
        )
        def told(endpoint):
            raise RuntimeError("a preview cannot know the endpoint")
        account.properties.apply(lambda properties: told(properties.endpoint))
        cognitiveservices.Deployment(
            "d", deployment_name="d", account_name=account.name, resource_group_name="rg",
        )
        pulumi.export("id", account.id)
        pulumi.export("location", account.location)
        """
    )
    document = project.preview()
    deployment = document["steps"][-1]
    assert deployment["newState"]["inputs"] == {
        "accountName": UNKNOWN,
        "deploymentName": "d",
        "resourceGroupName": "rg",
    }
    assert document["changeSummary"] == {"create": 3}
    assert not project.state.exists()


def test_up_creates_in_the_order_of_dependencies_and_reads_before_it_creates(project, arm):
    project.up()
    puts = [entry.split()[1] for entry in arm.log if entry.startswith("PUT")]
    assert puts[:2] == [GROUP, SERVICE]
    assert set(puts[2:4]) == {f"{BACKENDS}/foundry1", f"{BACKENDS}/foundry2"}
    assert puts[4:] == [f"{BACKENDS}/pool"]
    for path in puts:
        assert arm.log.index(f"GET {path} 404") < arm.log.index(f"PUT {path} 201")
    assert [member["id"] for member in pool_of(arm)] == [
        f"{BACKENDS}/foundry1",
        f"{BACKENDS}/foundry2",
    ]
    assert project.outputs == {"gateway": "https://apim.azure-api.net", "pool": f"{BACKENDS}/pool"}


def test_up_twice_changes_nothing_and_sends_nothing(project, arm):
    project.up()
    arm.log.clear()
    before = project.checkpoint
    result = project.up()
    assert arm.log == []
    assert "6 unchanged" in result.text
    assert project.checkpoint == before


def test_one_changed_property_updates_one_resource(project, arm):
    project.up()
    project.config(weight=100)
    preview = project.preview()
    arm.log.clear()
    result = project.up()
    assert arm.writes == [f"PUT {BACKENDS}/pool 200"]
    assert [member["weight"] for member in pool_of(arm)] == [100, 100]
    assert "~ pool.services[0].weight: 1 => 100" in result.text
    assert "~ 1 updated\n    5 unchanged" in result.text
    ops = steps(preview)
    assert ops.pop(f"{BACKEND}::pool") == "update"
    assert set(ops.values()) == {"same"}
    (update,) = (step for step in preview["steps"] if step["op"] == "update")
    assert update["diffReasons"] == ["pool"]
    assert update["detailedDiff"] == {
        f"pool.services[{index}].weight": {"kind": "update", "inputDiff": True}
        for index in range(2)
    }


def test_a_preview_writes_nothing(project, arm):
    project.up()
    checkpoint = project.checkpoint
    project.config(weight=5, names=["foundry1"])
    arm.log.clear()
    project.preview()
    assert arm.writes == []
    assert project.checkpoint == checkpoint


def test_what_the_program_no_longer_declares_is_deleted_after_what_needs_it(project, arm):
    project.config(names=["foundry1", "foundry2", "foundry3"])
    project.up()
    project.config(names=["foundry1", "foundry2"])
    assert steps(project.preview())[f"{BACKEND}::foundry3"] == "delete"
    arm.log.clear()
    result = project.up()
    # The pool lets go of the backend first: Azure would refuse to delete a member.
    assert arm.writes == [f"PUT {BACKENDS}/pool 200", f"DELETE {BACKENDS}/foundry3 200"]
    assert "- 1 deleted" in result.text


def test_destroy_deletes_everything_in_reverse_order(project, arm):
    project.up()
    arm.log.clear()
    result = project.run("destroy")
    assert result.code == 0
    deleted = [entry.split()[1] for entry in arm.writes]
    assert deleted[0] == f"{BACKENDS}/pool"
    assert set(deleted[1:3]) == {f"{BACKENDS}/foundry1", f"{BACKENDS}/foundry2"}
    assert deleted[3:] == [SERVICE, GROUP]
    assert arm.bodies == {}
    assert project.files == []
    assert "- 6 deleted" in result.text


def test_what_is_gone_already_counts_as_deleted(project, arm):
    project.up()
    arm.bodies.clear()
    assert project.run("destroy").code == 0
    assert project.files == []


def test_azures_not_found_counts_as_deleted(project, arm):
    project.up()
    not_found = 404, error("ResourceNotFound", "It was not found.")
    arm.intercept = lambda method, path: not_found if method == "DELETE" else None
    assert project.run("destroy").code == 0
    assert project.files == []


REPLACED = """
import pulumi
from pulumi_azure_native import cognitiveservices
config = pulumi.Config()
account = cognitiveservices.Account(
    "a", account_name="a", resource_group_name="rg", location=config.get("location") or "uksouth",
    kind="OpenAI", properties={"custom_sub_domain_name": "a-x"},
)
deployment = cognitiveservices.Deployment(
    "d", deployment_name="d", account_name=account.name, resource_group_name="rg",
)
"""


def test_a_replaced_resource_takes_its_parts_with_it_and_they_come_back(project, arm):
    project.program(REPLACED)
    project.up()
    project.config(location="eastus")
    preview = project.preview()
    arm.log.clear()
    result = project.up()
    account = f"{GROUP}/providers/Microsoft.CognitiveServices/accounts/a"
    assert arm.writes == [
        f"DELETE {account}/deployments/d 200",
        f"DELETE {account} 200",
        f"PUT {account} 201",
        f"PUT {account}/deployments/d 201",
    ]
    assert '~ location: "uksouth" => "eastus"  forces replacement' in result.text
    assert "+- 2 replaced" in result.text
    (step,) = (step for step in preview["steps"] if step["urn"].endswith("::a"))
    assert step["op"] == "replace"
    assert step["replaceReasons"] == ["location"]
    assert step["detailedDiff"]["location"] == {"kind": "update-replace", "inputDiff": True}
    assert steps(preview)["azure-native:cognitiveservices:Deployment::d"] == "replace"


RANDOM = """
import pulumi
from pulumi_random import RandomString, RandomUuid
length = pulumi.Config().get_int("length") or 8
text = RandomString(
    "s", length=length, upper=False, special=True, override_special="-", min_numeric=2,
    min_special=1,
)
uuid = RandomUuid("u", keepers={"text": text.result})
pulumi.export("text", text.result)
pulumi.export("uuid", uuid.result)
"""


def test_random_values_are_drawn_once_and_again_when_an_input_changes(tmp_path):
    project = StackProject(tmp_path, endpoint="", program=RANDOM)
    project.up()
    first = project.outputs
    assert re.fullmatch(r"[a-z0-9-]{8}", first["text"])
    assert sum(map(str.isdigit, first["text"])) >= 2
    assert "-" in first["text"]
    assert len(first["uuid"]) == 36
    project.up()
    assert project.outputs == first
    project.config(length=9)
    assert set(steps(project.preview()).values()) == {"same", "replace"}
    project.up()
    assert len(project.outputs["text"]) == 9
    assert project.outputs["uuid"] != first["uuid"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("length=3, min_numeric=4", "length 3: must be an integer of at least 4"),
        (
            "length=3, upper=False, lower=False, special=False, numeric=False",
            "one of lower, numeric, special and upper must be true",
        ),
    ],
)
def test_a_random_string_that_cannot_be_is_refused(tmp_path, arguments, message):
    project = StackProject(tmp_path, endpoint="")
    project.program(f"import pulumi_random as r\nr.RandomString('s', {arguments})")
    result = project.run("preview")
    assert result.code == 1
    assert f"error: random:index/randomString:RandomString s: {message}" in result.text


def test_refused_by_azure_is_one_line_and_the_rest_is_not_begun(project, arm):
    details = [{"code": "ValidationError", "target": "url", "message": "Url is bad."}]
    refusal = 400, error("ValidationError", "One field is incorrect:", details=details)
    arm.intercept = lambda method, path: (
        refusal if method == "PUT" and path.endswith("/foundry2") else None
    )
    result = project.run("up")
    assert result.code == 1
    assert (
        "  error: azure-native:apimanagement:Backend foundry2: 400 ValidationError:"
        " One field is incorrect:; url: Url is bad.\n"
    ) in result.text
    assert "Traceback" not in result.text
    assert f"{BACKENDS}/pool".lower() not in arm.bodies
    assert "create failed" in result.text
    # What was done is known, and `up` goes on from there.
    arm.intercept = lambda *_: None
    arm.log.clear()
    project.up()
    assert {entry.split()[1] for entry in arm.writes} <= {
        f"{BACKENDS}/{name}" for name in ("foundry1", "foundry2", "pool")
    }
    assert project.checkpoint["pending"] == []


def test_a_failed_run_deletes_nothing(project, arm):
    project.config(names=["foundry1", "foundry2", "foundry3"])
    project.up()
    project.config(names=["foundry1", "foundry2"])
    arm.intercept = lambda method, path: (500, error("Oops", "No.")) if method == "PUT" else None
    assert project.run("up").code == 1
    assert f"{BACKENDS}/foundry3".lower() in arm.bodies


def test_a_program_that_fails_deletes_nothing_and_says_nothing_of_protection(project, arm):
    project.program(options("protect=True"))
    project.up()
    arm.log.clear()
    project.program("import pulumi\nraise pulumi.RunError('no')")
    result = project.run("up")
    assert arm.log == []
    assert "protected" not in result.text


PUBLISHED = (
    POOL
    + """
pulumi.export("weight", weight)
pulumi.export("key", pulumi.Output.secret(f"key-{weight}"))
"""
)


def test_outputs_are_those_of_the_last_up_that_succeeded_whole(project, arm):
    published = outputs_file(project.state, "dev")
    project.program(PUBLISHED)
    arm.intercept = lambda method, path: (
        (400, error("No", "No.")) if method == "PUT" and path.endswith("/pool") else None
    )
    assert project.run("up").code == 1
    assert project.outputs == {}
    assert not published.exists()
    arm.intercept = lambda *_: None
    project.up()
    first = project.outputs
    assert (first["weight"], first["key"]) == (1, "key-1")
    assert json.loads(published.read_text()) == first
    assert stat.S_IMODE(published.stat().st_mode) == 0o600
    project.config(weight=2)
    arm.intercept = lambda method, path: (400, error("No", "No.")) if method == "PUT" else None
    assert project.run("up").code == 1
    assert project.outputs == json.loads(published.read_text()) == first
    project.preview()
    arm.intercept = lambda *_: None
    project.up()
    assert (
        json.loads(published.read_text())
        == project.outputs
        == {**first, "weight": 2, "key": "key-2"}
    )


def test_a_destroyed_stack_leaves_no_file_behind(project, arm):
    project.up()
    arm.intercept = lambda method, path: (400, error("No", "No.")) if method == "DELETE" else None
    assert project.run("destroy").code == 1
    assert outputs_file(project.state, "dev").exists()
    arm.intercept = lambda *_: None
    assert project.run("destroy").code == 0
    assert project.files == []
    with pytest.raises(StateError, match="stack dev is not deployed here"):
        project.outputs  # noqa: B018
    assert project.run("destroy").code == 0
    project.up()


def test_up_shows_no_address_where_nobody_listens(project):
    text = project.up(listening=False).text
    assert "https://" not in text
    assert "No local Azure runs" in text
    assert "local-azure serve" in text


def test_a_soft_deleted_name_tells_the_remedy(project, arm):
    arm.intercept = lambda method, path: (
        (409, error("ServiceAlreadyExistsInSoftDeletedState", "It was deleted."))
        if method == "PUT" and path == SERVICE
        else None
    )
    result = project.run("up")
    assert (
        "409 ServiceAlreadyExistsInSoftDeletedState: It was deleted.; a deleted resource keeps its"
        " name for 48 hours: purge it, or choose another name"
    ) in result.text


def test_what_exists_outside_the_stack_is_not_taken_over(project, arm):
    arm.bodies[SERVICE.lower()] = arm.stored(SERVICE, {}, None)
    result = project.run("up")
    assert result.code == 1
    assert f"cannot create already existing resource '{SERVICE}'" in result.text
    assert arm.writes == [f"PUT {GROUP} 201"]


def test_a_busy_azure_is_asked_again(project, arm):
    answers = iter([(409, error("RequestConflict", "Another operation is under way."))] * 3)
    arm.intercept = lambda method, path: (
        next(answers, None) if method == "PUT" and path.endswith("/foundry1") else None
    )
    project.up()
    assert [entry for entry in arm.writes if "/foundry1 " in entry] == [
        *[f"PUT {BACKENDS}/foundry1 409"] * 3,
        f"PUT {BACKENDS}/foundry1 201",
    ]


def test_another_conflict_is_final(project, arm):
    arm.intercept = lambda method, path: (
        (409, error("CustomDomainInUse", "Taken.")) if method == "PUT" else None
    )
    assert project.run("up").code == 1
    assert arm.writes == [f"PUT {GROUP} 409"]


def test_a_slow_creation_is_waited_for(project, arm):
    arm.provisioning_seconds = 0.1
    project.up()
    states = [
        resource["outputs"]["provisioningState"]
        for resource in project.checkpoint["resources"]
        if resource["type"].endswith("ApiManagementService")
    ]
    assert states == ["Succeeded"]
    first_backend = next(i for i, entry in enumerate(arm.log) if f"PUT {BACKENDS}" in entry)
    assert arm.log[:first_backend].count(f"GET {SERVICE} 200") > 1


def test_an_operation_that_azure_runs_by_itself_is_followed_to_its_end(project, arm):
    polls = iter(["InProgress", "InProgress", "Succeeded"])

    def answer(method, path):
        if method == "DELETE" and path == SERVICE:
            location = f"{arm.url}/operations/1?api-version=1"
            return 202, {"headers": {"Azure-AsyncOperation": location, "Retry-After": "0"}}
        if path == "/operations/1":
            return 200, {"status": next(polls)}
        return None

    project.up()
    arm.intercept = answer
    arm.log.clear()
    assert project.run("destroy").code == 0
    assert arm.log.count("GET /operations/1 200") == 3
    group_deleted = arm.log.index(f"DELETE {GROUP} 200")
    assert max(i for i, entry in enumerate(arm.log) if "/operations/1" in entry) < group_deleted


def test_a_failed_operation_is_an_error_and_the_next_run_tries_again(project, arm):
    def answer(method, path):
        if method == "PUT" and path == SERVICE:
            arm.bodies[SERVICE.lower()] = {**arm.stored(SERVICE, {}, None), "failed": True}
            headers = {"Azure-AsyncOperation": f"{arm.url}/operations/1?api-version=1"}
            return 201, {"headers": headers}
        if path == "/operations/1":
            return 200, {"status": "Failed", **error("InternalError", "No capacity.")}
        return None

    arm.intercept = answer
    result = project.run("up")
    assert result.code == 1
    assert "ApiManagementService apim: Failed InternalError: No capacity." in result.text
    arm.intercept = lambda *_: None
    project.up()
    assert project.checkpoint["pending"] == []
    assert arm.bodies[SERVICE.lower()]["properties"]["publisherName"] == "A"


def test_an_unreachable_resource_manager_is_one_line_with_the_remedy(tmp_path):
    project = StackProject(tmp_path, "http://127.0.0.1:9")
    result = project.run("up")
    assert result.code == 1
    (line,) = (line for line in result.text.splitlines() if "error:" in line)
    assert line.startswith("  error: Resource Manager at http://127.0.0.1:9 does not answer")
    assert line.endswith("start it with `local-azure serve`")


def test_a_misspelt_property_is_an_error_of_the_preview_at_every_place(tmp_path):
    project = StackProject(tmp_path, endpoint="")
    project.program(POOL.replace('"priority": 1', '"prioirty": 1'))
    result = project.run("preview")
    assert result.code == 1
    assert (
        "error: azure-native:apimanagement:Backend pool: unexpected property"
        " 'pool.services[0].prioirty': did you mean 'priority'?; unexpected property"
        " 'pool.services[1].prioirty': did you mean 'priority'?"
    ) in result.text


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (
            (
                "from pulumi_azure_native import storage\n"
                "storage.StorageAccount('s', resource_group_name='rg', kind='x', sku={'name': 'y'})"
            ),
            "resource type 'azure-native:storage:StorageAccount' is not known to the local Azure",
        ),
        (
            (
                "from pulumi_azure_native import authorization\n"
                "import pulumi\n"
                "pulumi.export('x', authorization.get_role_definition_output('a', 'b'))"
            ),
            "function 'azure-native:authorization:getRoleDefinition' is not known",
        ),
        (
            "from pulumi_random import RandomUuid\nRandomUuid('a')\nRandomUuid('a')",
            (
                "Duplicate resource URN 'urn:pulumi:dev::gateway::random:index/randomUuid:"
                "RandomUuid::a'; try giving it a unique name"
            ),
        ),
        (
            (
                "import pulumi\nfrom pulumi_random import RandomUuid\n"
                "RandomUuid('a', opts=pulumi.ResourceOptions(import_='x'))"
            ),
            "RandomUuid a: option import_ is not supported by the embedded deployment",
        ),
        (
            (
                "import pulumi\nfrom pulumi_random import RandomUuid\n"
                "RandomUuid('a', opts=pulumi.ResourceOptions(deleted_with=RandomUuid('b')))"
            ),
            "RandomUuid a: option deleted_with is not supported by the embedded deployment",
        ),
        (
            (
                "import pulumi\nfrom pulumi_random import RandomUuid\n"
                "RandomUuid('a', opts=pulumi.ResourceOptions(delete_before_replace=False))"
            ),
            "RandomUuid a: option delete_before_replace=False is not supported",
        ),
        (
            "import pulumi_random as r\nr.Provider('p')",
            "pulumi:providers:random p: an explicit provider is not supported",
        ),
        (
            ("import pulumi\npulumi.runtime.register_resource_transform(lambda args: None)"),
            "a stack transform is not supported by the embedded deployment",
        ),
        (
            "import pulumi\nfrom pulumi_random import RandomUuid\nRandomUuid.get('a', 'id')",
            "random:index/randomUuid:RandomUuid a: `get` is not supported",
        ),
    ],
)
def test_what_is_not_built_is_refused_by_name(tmp_path, program, message):
    project = StackProject(tmp_path, endpoint="", program=program)
    result = project.run("preview")
    assert result.code == 1
    assert message in result.text
    assert "Traceback" not in result.text


def test_a_run_error_of_the_program_is_its_message_alone(tmp_path):
    project = StackProject(tmp_path, endpoint="")
    project.program("import pulumi\nraise pulumi.RunError('gateway:weight: 0 is too low')")
    result = project.run("up")
    assert result.code == 1
    assert "\n  error: gateway:weight: 0 is too low\n" in result.text
    assert "Traceback" not in result.text
    assert "create" not in result.text
    assert not (project.state / "stacks" / "dev.json").exists()


def test_an_exception_of_the_program_shows_the_programs_own_lines(tmp_path):
    project = StackProject(tmp_path, endpoint="")
    project.program("def fail():\n    raise KeyError('boom')\n\nfail()\n")
    result = project.run("up")
    assert result.code == 1
    assert "Program failed with an unhandled exception" in result.text
    assert "KeyError: 'boom'" in result.text
    assert "in fail" in result.text
    assert "runpy" not in result.text


def test_an_exception_inside_an_apply_fails_the_run(project, arm):
    project.program(
        """
        import pulumi
        from pulumi_random import RandomUuid
        RandomUuid("a").result.apply(lambda value: 1 / 0)
        """
    )
    result = project.run("up")
    assert result.code == 1
    assert "ZeroDivisionError" in result.text


def test_messages_and_prints_of_the_program_are_shown(tmp_path):
    project = StackProject(tmp_path, endpoint="")
    project.program(
        "import pulumi\npulumi.log.info('told')\npulumi.log.warn('careful')\nprint('printed')"
    )
    result = project.run("preview")
    assert "\nDiagnostics:\n  told\n  warning: careful\n  printed\n" in result.text
    assert project.preview()["diagnostics"] == [
        {"message": "told\n", "severity": "info"},
        {"message": "warning: careful\n", "severity": "warning"},
        {"message": "printed\n", "severity": "info"},
    ]


SECRETS = """
import pulumi
from pulumi_azure_native import apimanagement
key = pulumi.Output.secret(pulumi.Config().get("key") or "hush-1")
backend = apimanagement.Backend(
    "b", backend_id="b", resource_group_name="rg", service_name="apim", url="https://x",
    protocol="http", description=key,
    opts=pulumi.ResourceOptions(additional_secret_outputs=["url"]),
)
keys = apimanagement.list_subscription_secrets_output(
    resource_group_name="rg", service_name="apim", sid=backend.name)
pulumi.export("key", pulumi.Output.secret(keys.primary_key))
pulumi.export("echo", backend.description)
pulumi.export("url", backend.url)
"""


def test_secrets_are_sent_in_the_clear_and_never_shown(project, arm):
    project.program(SECRETS)
    shown = project.up().text
    assert arm.bodies[f"{BACKENDS}/b".lower()]["properties"]["description"] == "hush-1"
    assert project.outputs == {"key": "the-primary-key", "echo": "hush-1", "url": "https://x"}
    project.config(key="hush-2")
    shown += project.run("preview").text + project.run("preview", json=True).text
    shown += project.up().text + project.run("preview", json=True, show_sames=True).text
    assert "hush" not in shown.replace('"gateway:key": "hush-2"', "")
    assert "the-primary-key" not in shown
    assert "~ description: [secret] => [secret]" in shown
    assert "[secret]" in shown
    assert set(deployment.outputs(project.state, "dev").values()) == {"[secret]"}


def test_becoming_secret_alone_changes_nothing(project, arm):
    project.program(SECRETS.replace("pulumi.Output.secret(pulumi.Config", "(pulumi.Config"))
    project.up()
    project.program(SECRETS)
    arm.log.clear()
    project.up()
    assert arm.writes == ["POST " + f"{SERVICE}/subscriptions/b/listSecrets 200"]
    assert "hush" not in project.run("preview", json=True, show_sames=True).text


def options(text: str) -> str:
    return f"""
import pulumi
from pulumi_azure_native import apimanagement
config = pulumi.Config()
if config.get_bool("there") is not False:
    apimanagement.Backend(
        "b", backend_id=config.get("name") or "b", resource_group_name="rg", service_name="apim",
        title=config.get("title"), url=config.get("url") or "https://x", protocol="http",
        opts=pulumi.ResourceOptions({text}),
    )
"""


def test_ignored_changes_are_ignored(project, arm):
    project.program(options("ignore_changes=['url', 'title']"))
    project.config(url="https://first")
    project.up()
    project.config(url="https://second", title="new")
    arm.log.clear()
    assert "2 unchanged" in project.up().text
    assert arm.writes == []


URN = "urn:pulumi:dev::gateway::azure-native:apimanagement:Backend::b"
# In the words of the engine: pulumi, pkg/resource/deploy/step_generator.go and step.go.
NOT_REPLACED = (
    f'unable to replace resource "{URN}"\nas it is currently marked for protection. To unprotect'
    " the resource, remove the `protect` flag from the resource in your Pulumi program and run"
    " `pulumi up`"
)
NOT_DELETED = (
    f'resource "{URN}" cannot be deleted\nbecause it is protected. To unprotect the resource,'
    " either remove the `protect` flag from the resource in your Pulumi program and run `pulumi"
    " up`, or use the command:\n`local-azure unprotect --stack dev`"
)


def refused(project, operation: str, **options) -> tuple[dict, dict]:
    """A preview, or a run, that protection stops: its JSON and what is said of the resource."""
    result = project.run(operation, json=True, show_sames=True, **options)
    assert result.code == 1
    (said,) = [each for each in result.json["diagnostics"] if each["severity"] == "error"]
    return result.json, said


@pytest.mark.parametrize(
    ("config", "op", "message"),
    [
        ({"name": "other"}, "replace", f"error: {NOT_REPLACED}\n"),
        ({"there": False}, "delete", f"error: Preview failed: {NOT_DELETED}\n"),
    ],
)
def test_what_is_protected_is_neither_replaced_nor_deleted(project, arm, config, op, message):
    project.program(options("protect=True"))
    project.up()
    arm.log.clear()
    project.config(**config)
    preview, said = refused(project, "preview")
    assert said == {"urn": URN, "message": message, "severity": "error"}
    assert steps(preview) == {"pulumi:pulumi:Stack::gateway-dev": "same", f"{BACKEND}::b": op}
    state = next(each for each in preview["steps"] if each["urn"] == URN)
    assert state["oldState"]["protect"] is True
    run, said = refused(project, "up")
    assert said["message"] == message.replace("Preview failed: ", "")
    assert run["changeSummary"] == {"same": 1}
    assert arm.writes == []
    project.up(ignore_protect=True)
    assert f"DELETE {BACKENDS}/b 200" in arm.writes


def test_a_destruction_stops_at_what_is_protected_and_below_as_with_the_engine(project, arm):
    project.program(PROTECTED_SERVICE)
    project.up()
    arm.log.clear()
    result = project.run("destroy")
    assert result.code == 1
    assert result.text.count("cannot be deleted") == 1
    # What hangs on it is gone, what it hangs on is there.
    assert sorted(arm.writes) == sorted(
        f"DELETE {each} 200" for each in (f"{BACKENDS}/b", "/".join([*GROUP.split("/")[:-1], "x"]))
    )
    assert project.run("destroy").code == 1
    with pytest.raises(StateError, match="stack prod is not deployed here"):
        deployment.unprotect(project.state, "prod")
    assert deployment.unprotect(project.state, "dev") == 1
    assert deployment.unprotect(project.state, "dev") == 0
    assert project.run("destroy").code == 0
    assert arm.bodies == {}


PROTECTED_SERVICE = """
import pulumi
from pulumi_azure_native import apimanagement, resources
resources.ResourceGroup("x", resource_group_name="x", location="uksouth")
group = resources.ResourceGroup("rg", resource_group_name="rg", location="uksouth")
location = pulumi.Config().get("location") or "uksouth"
service = apimanagement.ApiManagementService(
    "apim", service_name="apim", resource_group_name=group.name, location=location,
    publisher_email="a@example.com", publisher_name="A", sku={"name": "BasicV2", "capacity": 1},
    opts=pulumi.ResourceOptions(protect=True),
)
apimanagement.Backend(
    "b", backend_id="b", url="https://x", protocol="http",
    resource_group_name=group.name, service_name=service.name,
    opts=pulumi.ResourceOptions(protect=True) if location == "westus" else None,
)
"""


def test_what_is_protected_keeps_what_it_is_part_of_from_being_replaced(project, arm):
    project.program(PROTECTED_SERVICE)
    project.config(location="westus")
    project.up()
    arm.log.clear()
    project.program(PROTECTED_SERVICE.replace("protect=True", "protect=False"))
    project.config(location="eastus")
    _, said = refused(project, "up")
    assert said["message"].startswith(
        f'error: unable to replace resource "{URN}" as part of replacing "urn:pulumi:dev::gateway'
        '::azure-native:apimanagement:ApiManagementService::apim" as it is currently marked for'
    )
    assert arm.writes == []


def test_a_location_that_is_ignored_is_kept(project, arm):
    project.program(PROTECTED_SERVICE.replace("protect=True", 'ignore_changes=["location"]'))
    project.up()
    arm.log.clear()
    project.config(location="eastus")
    assert set(steps(project.preview()).values()) == {"same"}
    project.up()
    assert arm.writes == []


def test_what_is_to_be_retained_leaves_the_stack_but_not_azure(project, arm):
    project.program(options("retain_on_delete=True"))
    project.up()
    arm.log.clear()
    assert project.run("destroy").code == 0
    assert arm.writes == []
    assert f"{BACKENDS}/b".lower() in arm.bodies


def test_replace_on_changes_replaces(project, arm):
    project.program(options("replace_on_changes=['url']"))
    project.up()
    project.config(url="https://y")
    arm.log.clear()
    project.up()
    assert arm.writes == [f"DELETE {BACKENDS}/b 200", f"PUT {BACKENDS}/b 201"]


def test_a_timeout_of_the_program_ends_the_waiting(project, arm):
    project.program(options("custom_timeouts=pulumi.CustomTimeouts(create='0.05s')"))
    arm.slow_types, arm.provisioning_seconds = ("/backends/",), 60.0
    result = project.run("up")
    assert result.code == 1
    assert "Backend b: timed out waiting for provisioning state Creating" in result.text


ALIASES = """
import pulumi
from pulumi_azure_native import apimanagement

class Group(pulumi.ComponentResource):
    def __init__(self, type, name, **options):
        super().__init__(f"test:index:{type}", name, None, pulumi.ResourceOptions(**options))

def backend(name, **options):
    apimanagement.Backend(
        name, backend_id="b", resource_group_name="rg", service_name="apim",
        opts=pulumi.ResourceOptions(**options))
"""
MOVES = {
    "as it was": 'backend("old")',
    "renamed and moved": """
group = Group("Group", "group")
backend("new", parent=group,
    aliases=[pulumi.Alias(name="old", parent=pulumi.ROOT_STACK_RESOURCE)])
""",
    # Its parent goes by another name: the child follows without an alias of its own.
    "of another parent": """
team = Group("Team", "team", aliases=[pulumi.Alias(type_="test:index:Group", name="group")])
backend("new", parent=team)
""",
    "renamed by its whole urn": """
backend("last", aliases=["urn:pulumi:dev::gateway::test:index:Team$"
    "azure-native:apimanagement:Backend::new"])
""",
}


def test_an_alias_keeps_what_the_program_calls_differently(project, arm):
    puts = []
    for declared in MOVES.values():
        project.program(ALIASES + declared)
        arm.log.clear()
        project.up()
        puts.append(arm.writes)
    assert puts == [[f"PUT {BACKENDS}/b 201"], [], [], []]


def test_the_type_aliases_of_the_sdk_find_what_another_version_deployed(project, arm):
    project.program(ALIASES + 'backend("new", parent=Group("Group", "group"))\n')
    project.up()
    path = project.state / "stacks" / "dev.json"
    text = path.read_text().replace(
        "azure-native:apimanagement:Backend::", "azure-native:apimanagement/v20220801:Backend::"
    )
    path.write_text(text)
    arm.log.clear()
    project.up()
    assert arm.writes == []
    assert "v20220801" not in path.read_text()


def test_an_invoke_that_fails_is_one_line(project, arm):
    project.program(SECRETS)
    arm.intercept = lambda method, path: (
        (404, error("ResourceNotFound", "No such subscription.")) if method == "POST" else None
    )
    result = project.run("up")
    assert result.code == 1
    assert (
        "error: azure-native:apimanagement:listSubscriptionSecrets: 404 ResourceNotFound:"
        " No such subscription.\n"
    ) in result.text
    assert "Traceback" not in result.text


LOOKUP = """
import pulumi
from pulumi_azure_native import apimanagement
try:
    found = apimanagement.get_api_management_service("rg", "apim")
    print(found.name, found.id, found.sku.name, found.gateway_url)
except Exception as error:
    print("not there:", error)
"""


def test_a_lookup_is_a_get_and_what_it_does_not_find_is_the_programs_to_deal_with(project, arm):
    project.program(LOOKUP)
    assert (
        "not there: invoke of azure-native:apimanagement:getApiManagementService failed: 404"
        in (project.run("preview").text)
    )
    body = {"sku": {"name": "Basic"}, "properties": {"gatewayUrl": "https://x"}}
    there = {"id": SERVICE, "name": "apim", **body}
    arm.intercept = lambda method, path: (200, there) if method == "GET" else None
    assert f"apim {SERVICE} Basic https://x" in project.run("preview").text


def test_a_deployed_stacks_preview_reads_what_the_program_asks_for(project, arm):
    project.program(SECRETS)
    project.up()
    arm.log.clear()
    project.preview()
    assert arm.log == [f"POST {SERVICE}/subscriptions/b/listSecrets 200"]


def test_the_program_runs_in_its_folder_and_imports_its_own_modules(tmp_path):
    project = StackProject(tmp_path, endpoint="")
    (project.folder / "own_module_of_this_test.py").write_text("VALUE = 'imported'")
    (project.folder / "beside.txt").write_text("read")
    project.program(
        """
        import pathlib, pulumi, own_module_of_this_test
        pulumi.export("read", pathlib.Path("beside.txt").read_text())
        pulumi.export("imported", own_module_of_this_test.VALUE)
        """
    )
    project.up()
    assert project.outputs == {"imported": "imported", "read": "read"}


PACK = """
from pulumi_policy import *

def breaker(args, report):
    if args.resource_type.endswith(":Backend") and "pool" not in args.props:
        if "circuitBreaker" not in args.props:
            report(f"{args.name}: has no circuit breaker")
        if args.props["url"] == "https://unknown":
            report("reading an unknown url is an error of the pack's")

def small(args, report):
    pools = [each for each in args.resources if each.name == "pool"]
    for pool in pools:
        count = len(pool.props["pool"]["services"])
        report(f"{pool.name}: has {count} members, for {len(pool.dependencies)}", pool.urn)

PolicyPack(
    name="of-a-test",
    policies=[
        ResourceValidationPolicy(
            name="breaker", description="Backends have one.", validate=breaker,
            enforcement_level=EnforcementLevel.MANDATORY,
        ),
        StackValidationPolicy(name="small", description="Pools are small.", validate=small),
    ],
)
"""


@pytest.fixture
def pack(tmp_path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "PulumiPolicy.yaml").write_text("runtime: python\n")
    (folder / "__main__.py").write_text(PACK)
    return folder


def test_the_pack_at_a_path_judges_a_preview_by_its_own_rules(tmp_path, pack):
    project = StackProject(tmp_path, endpoint="")
    result = project.run("preview", policy_pack=pack)
    assert result.code == 1
    for backend in ("foundry1", "foundry2"):
        assert f"error: [mandatory] breaker: {backend}: has no circuit breaker" in result.text
    # An advisory rule is a warning; a stack's rule sees what depends on what.
    assert "warning: [advisory] small: pool: has 2 members, for 4" in result.text
    (pack / "__main__.py").write_text(PACK.replace("MANDATORY", "ADVISORY"))
    document = project.run("preview", policy_pack=pack, json=True)
    assert document.code == 0
    (said,) = [each for each in document.json["diagnostics"] if "small" in each["message"]]
    assert said["urn"].endswith("Backend::pool")
    assert project.run("preview").code == 0


def test_a_value_that_is_unknown_is_so_to_the_pack(tmp_path, pack):
    project = StackProject(tmp_path, endpoint="")
    program = POOL.replace("url=f", "url=group.id.apply(str) if name == 'foundry1' else f")
    project.program(program)
    result = project.run("preview", policy_pack=pack)
    assert "[advisory] breaker: can't run policy 'breaker' from policy pack" in result.text
    assert "foundry2: has no circuit breaker" in result.text


def test_up_with_a_policy_pack_changes_nothing_when_a_rule_is_broken(project, arm, pack):
    stopped = project.run("up", policy_pack=pack)
    assert stopped.code == 1
    assert "[mandatory] breaker: foundry1" in stopped.text
    assert arm.bodies == {}
    project.program(POOL.replace("protocol=", 'circuit_breaker={"rules": []}, protocol='))
    deployed = project.run("up", policy_pack=pack)
    assert deployed.code == 0, deployed.text
    assert len(pool_of(arm)) == 2


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (None, "has no PulumiPolicy.yaml"),
        ("import nothing_of_this_name", "does not start: ModuleNotFoundError: No module named"),
        ("print('hello')", "does not start: it ended before it listened"),
        (
            PACK.replace("if args.resource_type", "1 / 0\n    if args.resource_type"),
            "division by zero",
        ),
    ],
)
def test_a_policy_pack_that_cannot_be_run_is_one_line(tmp_path, capsys, pack, program, said):
    project = StackProject(tmp_path, endpoint="")
    if program is None:
        (pack / "PulumiPolicy.yaml").unlink()
    else:
        (pack / "__main__.py").write_text(program)
    assert project.run("preview", policy_pack=pack).code == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def drift(arm, **changed) -> None:
    """What one can do to the pool's first member in the portal."""
    pool_of(arm)[0].update(changed)


def test_what_was_changed_in_azure_is_seen_by_a_refresh_and_put_back(project, arm):
    project.up()
    declared = [dict(each) for each in pool_of(arm)]
    before = steps(project.preview(refresh=True))
    assert before == steps(project.preview())
    drift(arm, weight=9, priority=2)
    assert "6 unchanged" in project.up().text  # as with the engine: state and program agree
    assert pool_of(arm)[0]["weight"] == 9

    preview = project.preview(refresh=True)
    refreshed = [each for each in preview["steps"] if each["op"] == "refresh"]
    assert preview["steps"][: len(refreshed)] == refreshed
    assert len(refreshed) == 6
    assert all(each["oldState"] == each["newState"] for each in refreshed)
    assert preview["changeSummary"] == {"same": 5, "update": 1}
    (update,) = [each for each in preview["steps"] if each["op"] == "update"]
    assert update["detailedDiff"] == {
        "pool.services[0].priority": {"inputDiff": True, "kind": "update"},
        "pool.services[0].weight": {"inputDiff": True, "kind": "update"},
    }
    assert update["oldState"]["inputs"]["pool"]["services"][0]["weight"] == 9
    assert "~ pool.services[0].weight: 9 => 1" in project.up(refresh=True).text
    assert pool_of(arm) == declared
    assert "6 unchanged" in project.up(refresh=True).text


def test_what_was_deleted_in_azure_is_made_again_by_a_refresh(project, arm):
    project.up()
    for gone in ("pool", "foundry1"):
        del arm.bodies[f"{BACKENDS}/{gone}".lower()]
    preview = project.preview(refresh=True)
    assert preview["changeSummary"] == {"same": 4, "create": 2}
    assert "2 created" in project.up(refresh=True).text
    assert len(pool_of(arm)) == 2


def test_a_refresh_that_fails_stops_the_run(project, arm):
    project.up()
    arm.log.clear()
    arm.intercept = lambda method, path: (500, error("No", "No.")) if "/pool" in path else None
    project.config(weight=3)
    for operation in ("preview", "up"):
        result = project.run(operation, refresh=True)
        assert result.code == 1
        assert "pool: 500 No: No." in result.text
    assert arm.writes == []


def test_a_refresh_keeps_secrets_secret(project):
    project.program(
        """
        import pulumi
        from pulumi_azure_native import apimanagement
        apimanagement.Backend(
            "b", backend_id="b", resource_group_name="rg", service_name="apim", protocol="http",
            url=pulumi.Output.secret("https://x"), title="t",
            opts=pulumi.ResourceOptions(additional_secret_outputs=["title"]),
        )
        """
    )
    project.up()
    before = project.checkpoint
    project.up(refresh=True)
    assert project.checkpoint == before
    assert "https://x" not in json.dumps(project.preview(refresh=True))


def test_the_program_is_told_who_is_signed_in_and_gets_a_token_that_azure_takes(tmp_path):
    with arm_server.serving(tmp_path) as arm:
        project = StackProject(tmp_path, str(arm.client.base_url))
        project.program(
            """
            import pulumi
            from pulumi_azure_native import authorization
            pulumi.export("who", authorization.get_client_config_output())
            pulumi.export("token", pulumi.Output.secret(authorization.get_client_token().token))
            """
        )
        project.up(token=arm_server.token)
        headers = {"Authorization": f"Bearer {project.outputs['token']}"}
        assert arm.get(arm_server.SUBSCRIPTION, headers=headers).status_code == 200
    assert project.outputs["who"] == {
        "clientId": CLIENT_ID,
        "objectId": PRINCIPAL_ID,
        "subscriptionId": "00000000-0000-0000-0000-000000000000",
        "tenantId": "00000000-0000-0000-0000-000000000001",
    }


def test_no_wait_for_azure_is_longer_than_the_time_that_is_left(arm):
    waits = []

    class Stop(threading.Event):
        def wait(self, timeout=None):
            waits.append(timeout)
            return False

    now = iter([0.0, 0.0, 0.4, 1.0])
    azure = ResourceManager(
        lambda: arm.url, token=str, subscription_id="0", stop=Stop(), clock=lambda: next(now)
    )
    pause = azure._wait(60.0, 1.0, "it")
    with pytest.raises(UncertainError, match="timed out waiting for it"):
        azure._wait(60.0 + pause, 1.0, "it")
    assert waits == [1.0, 0.6]
