"""`--api responses`: new ones are spread, and what continues one stays where it is."""

import asyncio
import json
import signal
from collections.abc import Callable

import pytest
from fake_gateway import REGIONS, Reply, completion, refusal
from test_formats import VALID

PATH = "/inference/openai/v1/responses"


def made(identity: str, backend: int, **headers: str) -> Reply:
    body = {"id": identity, "object": "response", "usage": {"total_tokens": 30}}
    return Reply(body=json.dumps(body).encode(), headers={**completion(backend).headers, **headers})


class Regions:
    """Three regions behind a gateway; `follow` answers a turn that continues one of a region."""

    def __init__(self, gateway) -> None:
        self.gateway = gateway
        self.owner: dict[str, int] = {}
        self.deleted: set[str] = set()
        self.follow: Callable[[int], Reply | int] = lambda owner: owner
        gateway.answer = self.answer

    def answer(self, number: int) -> Reply:
        seen = self.gateway.requests[number]
        if seen.method == "DELETE":
            self.deleted.add(seen.path.rpartition("/")[2])
            return Reply(body=b'{"deleted": true}')
        owner = self.owner.get(json.loads(seen.body).get("previous_response_id"))
        reply = (number % 3 + 1) if owner is None else self.follow(owner)
        if isinstance(reply, Reply):
            return reply
        identity = f"resp_{number}"
        self.owner[identity] = reply
        return made(identity, reply, **({"x-backend-steps": "1"} if owner else {}))


@pytest.fixture
def regions(gateway) -> Regions:
    return Regions(gateway)


def lost(backend: int) -> Reply:
    message = "Previous response with id 'resp_1' not found."
    return refusal(400, message, backend)


def test_three_turns_stay_in_each_region_and_nothing_is_left_behind(
    gateway, probe, regions, tmp_path
):
    report = tmp_path / "report.json"
    result = probe("--api", "responses", "--json", str(report))
    assert result.code == 0, result.out
    for _, region in REGIONS:
        assert f"    ✓ {region}: all there, 0 asked in vain" in result.out
    assert "✓ conversations hold: 3 of 3 had 3 turns in the region they began in" in result.out
    asked = [seen for seen in gateway.requests if seen.method == "POST"]
    assert {seen.path for seen in asked} == {PATH}
    bodies = [json.loads(seen.body) for seen in asked]
    assert {body["model"] for body in bodies} == {"chat"}
    assert sum("previous_response_id" in body for body in bodies) == 6
    assert regions.deleted == {*regions.owner}
    document = json.loads(report.read_text())
    VALID.validate(document)
    assert [each["held"] for each in document["conversations"]] == [True] * 3
    # What continues one is no evidence of how new ones are spread.
    assert document["requests"]["total"] == len(bodies) - 6
    assert document["tokens"] == 30 * len(bodies)


def test_steps_in_vain_are_counted_and_no_fault(probe, regions):
    def follow(owner):
        if owner != 2:
            return owner
        tried = "foundry1-abc.openai.azure.com 400, foundry3-abc.openai.azure.com 404"
        return made("resp_second", 2, **{"x-backend-tried": tried})

    regions.owner["resp_second"] = 2
    regions.follow = follow
    result = probe("--api", "responses")
    assert result.code == 0, result.out
    assert "    ✓ East US: all there, 4 asked in vain" in result.out
    assert "tried again elsewhere" not in result.out


@pytest.mark.parametrize(
    ("follow", "told"),
    [
        (lost, "turn 2 ended with 400 Previous response with id 'resp_1' not found."),
        (lambda owner: refusal(404, "Not there", owner), "turn 2 ended with 404 Not there"),
        (lambda owner: owner % 3 + 1, "turn 2 was answered by foundry2"),
        (lambda _: refusal(413, "Too large"), "turn 2 ended with 413 Too large"),
    ],
)
def test_a_conversation_that_is_lost_is_not_balanced(probe, regions, follow, told):
    regions.follow = follow
    result = probe("--api", "responses")
    assert result.code == 1
    assert f"    ✗ UK South: {told}" in result.out
    assert "not balanced: a conversation of UK South is lost: " in result.verdict
    assert "`pulumi up --refresh` puts it back" in result.verdict


@pytest.mark.parametrize(
    ("follow", "told"),
    [
        (lambda _: refusal(503, "No region can answer now."), "503 No region can answer now."),
        (lambda _: refusal(429, "Throttled", **{"Retry-After": "1"}), "429 Throttled"),
        (lambda owner: refusal(401, "Denied", owner), "401 Denied"),
        (lambda _: Reply(raw=b""), "no connection"),
        (lambda _: Reply(body=b"OK"), "200, but the answer is not JSON"),
    ],
)
def test_a_conversation_that_is_not_answered_is_inconclusive(probe, regions, follow, told):
    regions.follow = follow
    result = probe("--api", "responses")
    assert result.code == 3, result.out
    assert "whether a conversation of UK South holds is not known: " in result.verdict
    assert told in result.verdict
    assert "? conversations hold: 0 of 3" in result.out


def test_what_ctrl_c_leaves_of_conversations_is_not_known(probe, regions, monkeypatch):
    async def interrupted(*_):
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(60)

    monkeypatch.setattr("probes.traffic_run.hold", interrupted)
    result = probe("--api", "responses")
    assert result.code == 130
    assert result.verdict.startswith("inconclusive: ")
    assert "whether a conversation of" in result.verdict
    assert "the run was interrupted" in result.verdict


def test_what_is_made_is_deleted_where_a_conversation_is_lost_too(probe, regions):
    regions.follow = lost
    probe("--api", "responses")
    assert regions.deleted == {*regions.owner}


def test_an_id_that_is_none_is_not_continued(gateway, probe):
    gateway.answer = lambda n: made("resp_1/../../files", n % 3 + 1)
    result = probe("--api", "responses")
    assert result.code == 0
    assert "Conversations" not in result.out
    assert {seen.path for seen in gateway.requests} == {PATH}


def test_other_apis_continue_nothing(gateway, probe):
    assert probe().code == 0
    assert probe("--api", "chat").code == 0
    assert probe("--api", "models").code == 0
    paths = {seen.path.removeprefix("/inference/openai/v1") for seen in gateway.requests}
    assert paths == {"/chat/completions", "/models"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("--zero-tokens", "--api", "responses"),
            "--zero-tokens lists the models; leave out --api",
        ),
        (("--from-logs", "1h", "--api", "chat"), "--api is for requests; --from-logs sends none"),
        (("--api", "files"), "argument --api: invalid choice: 'files'"),
    ],
)
def test_wrong_usage_is_told(probe, capsys, arguments, told):
    with pytest.raises(SystemExit) as ended:
        probe(*arguments)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
