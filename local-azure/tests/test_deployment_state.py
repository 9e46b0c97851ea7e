import json
import os
import re
import signal
import stat
import threading

import pytest
from fake_arm import FakeArm, serving
from stack_project import BACKENDS, SERVICE, StackProject

from local_azure import deployment
from local_azure.deployment.state import Checkpoint, ResourceState, StackState, StateError


@pytest.fixture
def arm():
    with serving(FakeArm()) as arm:
        yield arm


@pytest.fixture
def project(tmp_path, arm) -> StackProject:
    return StackProject(tmp_path, arm.url)


def test_the_state_is_private(project):
    project.up()
    path = project.state / "stacks" / "dev.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_each_request_is_written_down_before_it_is_sent(project, arm):
    pending: dict[str, list[str]] = {}

    def look(method, path):
        if method != "GET":
            pending[f"{method} {path}"] = [
                f"{entry['kind']} {entry['resource']['id']}"
                for entry in project.checkpoint["pending"]
            ]

    arm.intercept = look
    project.up()
    assert f"creating {SERVICE}" in pending[f"PUT {SERVICE}"]
    project.config(weight=2)
    project.up()
    assert pending[f"PUT {BACKENDS}/pool"] == [f"updating {BACKENDS}/pool"]
    project.run("destroy")
    assert f"deleting {BACKENDS}/foundry1" in pending[f"DELETE {BACKENDS}/foundry1"]


def test_the_second_run_on_a_stack_says_who_holds_it(project, arm, capsys):
    held, done = threading.Event(), threading.Event()

    def hold(method, path):
        if method == "PUT":
            held.set()
            assert done.wait(10)

    arm.intercept = hold
    codes: list[int] = []
    first = threading.Thread(target=lambda: codes.append(project.run("up").code))
    first.start()
    assert held.wait(10)
    try:
        for operation in ("up", "destroy"):
            assert project.run(operation).code == 1
            message = capsys.readouterr().err
            assert re.fullmatch(
                rf"error: stack dev is held by `up` \(pid {os.getpid()}, since \d\d:\d\d:\d\d\):"
                r" wait for it to end, then run the command again\n",
                message,
            )
        assert project.run("preview").code == 0  # a preview takes no lock
    finally:
        done.set()
        first.join()
    assert codes == [0]
    project.up()


def test_ctrl_c_saves_what_was_reached_and_up_goes_on_from_there(project, arm):
    def interrupt(method, path):
        if method == "PUT" and path == SERVICE:
            os.kill(os.getpid(), signal.SIGINT)

    arm.intercept = interrupt
    before = signal.getsignal(signal.SIGINT)
    result = project.run("up")
    assert result.code == 130
    assert result.text == (
        "Updating (dev):\n"
        "error: interrupted; what was reached is saved, and `up` goes on from there\n"
    )
    assert signal.getsignal(signal.SIGINT) is before
    assert f"{BACKENDS}/pool".lower() not in arm.bodies
    arm.intercept = lambda *_: None
    arm.log.clear()
    project.up()
    assert f"PUT {SERVICE} 201" not in arm.log


def test_an_interrupted_creation_is_adopted_when_it_is_there_and_made_when_it_is_not(project, arm):
    project.up()
    path = project.state / "stacks" / "dev.json"
    document = json.loads(path.read_text())
    by_id = {entry["id"]: entry for entry in document["resources"]}
    lost = [f"{BACKENDS}/foundry1", f"{BACKENDS}/foundry2"]
    document["resources"] = [entry for entry in document["resources"] if entry["id"] not in lost]
    document["pending"] = [{"kind": "creating", "resource": by_id[name]} for name in lost]
    path.write_text(json.dumps(document))
    del arm.bodies[lost[1].lower()]
    arm.log.clear()
    result = project.up()
    assert arm.writes == [f"PUT {lost[1]} 201"]
    assert "An earlier run was cut off; this one brings to an end:" in result.text
    assert project.checkpoint["pending"] == []


def test_an_interrupted_creation_that_is_no_longer_wanted_is_undone(project, arm):
    project.up()
    path = project.state / "stacks" / "dev.json"
    document = json.loads(path.read_text())
    extra = dict(
        document["resources"][-1],
        id=f"{BACKENDS}/extra",
        urn="urn:pulumi:dev::gateway::azure-native:apimanagement:Backend::extra",
    )
    arm.bodies[extra["id"].lower()] = arm.stored(extra["id"], {}, None)
    document["pending"] = [{"kind": "creating", "resource": extra}]
    path.write_text(json.dumps(document))
    arm.log.clear()
    project.up()
    assert arm.writes == [f"DELETE {BACKENDS}/extra 200"]
    assert project.checkpoint["pending"] == []


def test_an_interrupted_update_is_made_again_even_to_what_the_state_says(project, arm):
    """Azure may have what the interrupted run wanted: only a request makes sure."""
    project.up()
    path = project.state / "stacks" / "dev.json"
    document = json.loads(path.read_text())
    pool = next(e for e in document["resources"] if e["id"] == f"{BACKENDS}/pool")
    document["pending"] = [{"kind": "updating", "resource": pool}]
    path.write_text(json.dumps(document))
    arm.bodies[f"{BACKENDS}/pool".lower()]["properties"]["pool"] = {"services": []}
    arm.log.clear()
    project.up()
    assert arm.writes == [f"PUT {BACKENDS}/pool 200"]
    assert len(arm.bodies[f"{BACKENDS}/pool".lower()]["properties"]["pool"]["services"]) == 2


def test_an_interrupted_deletion_of_what_is_wanted_again_is_finished_first(project, arm):
    project.up()
    path = project.state / "stacks" / "dev.json"
    document = json.loads(path.read_text())
    pool = next(e for e in document["resources"] if e["id"] == f"{BACKENDS}/pool")
    document["pending"] = [{"kind": "deleting", "resource": pool}]
    path.write_text(json.dumps(document))
    arm.log.clear()
    project.up()
    assert arm.writes == [f"DELETE {BACKENDS}/pool 200", f"PUT {BACKENDS}/pool 201"]


def test_a_refusal_after_an_interruption_leaves_the_question_open(project, arm):
    project.up()
    path = project.state / "stacks" / "dev.json"
    document = json.loads(path.read_text())
    pool = next(e for e in document["resources"] if e["id"] == f"{BACKENDS}/pool")
    document["pending"] = [{"kind": "updating", "resource": pool}]
    path.write_text(json.dumps(document))
    arm.intercept = lambda method, path: (400, {"error": {}}) if method == "PUT" else None
    assert project.run("up").code == 1
    arm.intercept = lambda *_: None
    arm.log.clear()
    project.up()
    assert arm.writes == [f"PUT {BACKENDS}/pool 200"]


def test_an_answer_that_tells_nothing_leaves_the_question_open(project, arm):
    """After a 500 Azure may have the new weight: going back to the old one takes a request."""
    project.up()
    project.config(weight=2)
    arm.intercept = lambda method, path: (500, {"error": {}}) if method == "PUT" else None
    assert project.run("up").code == 1
    arm.intercept = lambda *_: None
    project.config()
    arm.log.clear()
    project.up()
    assert arm.writes == [f"PUT {BACKENDS}/pool 200"]
    arm.log.clear()
    project.up()
    assert arm.writes == []


@pytest.mark.parametrize("text", ["{", "{}", '{"version": 1, "resources": [{}], "pending": []}'])
def test_a_broken_checkpoint_is_named_and_left_alone(project, arm, capsys, text):
    path = project.state / "stacks" / "dev.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert project.run("up").code == 1
    assert f"error: {path} is no checkpoint" in capsys.readouterr().err
    assert path.read_text() == text
    assert arm.log == []


def test_a_checkpoint_of_another_version_is_refused(project, capsys):
    path = project.state / "stacks" / "dev.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"version": 99}')
    assert project.run("up").code == 1
    assert "is of version 99, not 1" in capsys.readouterr().err


def test_outputs_hide_secrets_unless_asked_for(tmp_path):
    project = StackProject(tmp_path, endpoint="")
    project.program(
        "import pulumi\n"
        "pulumi.export('open', [1, {'a': None}])\n"
        "pulumi.export('key', pulumi.Output.secret('hush'))\n"
    )
    project.up()
    assert deployment.outputs(project.state, "dev")["key"] == "[secret]"
    shown = deployment.outputs(project.state, "dev", show_secrets=True)
    assert shown["key"] == "hush"
    assert shown["open"] == [1, {"a": None}]


def test_outputs_of_a_stack_that_was_never_deployed_say_what_to_do(tmp_path):
    with pytest.raises(StateError, match=r"run `local-azure up --stack dev`"):
        deployment.outputs(tmp_path, "dev")


def test_a_stack_name_is_no_path(tmp_path):
    with pytest.raises(StateError, match=r"stack name '\.\./x'"):
        StackState(tmp_path, "../x")


def test_a_checkpoint_is_whole_at_every_moment(tmp_path, monkeypatch):
    """Written beside and renamed: what fails in between leaves the old one."""
    path = tmp_path / "dev.json"
    state = ResourceState(urn="urn:a", type="t", custom=True, id="1")
    Checkpoint(path).commit(state)
    before = path.read_text()

    def fail(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        Checkpoint(path, [state]).remove("urn:a")
    assert path.read_text() == before
