"""The measurement of conversations, in small: `make conversations` is the whole of it."""

import asyncio

import pytest

from benchmarks.conversations.__main__ import held
from benchmarks.conversations.clients import Conversation, Turn


def turn(number, status=200, region="foundry1", *, remembers=True) -> Turn:
    return Turn(
        number=number,
        status=status,
        region=region,
        seconds=0.1,
        steps=1,
        retry_after="",
        body="",
        remembers=remembers,
    )


@pytest.mark.parametrize(
    ("second", "broken"),
    [
        (turn(2), False),
        (turn(2, region="foundry2"), True),
        (turn(2, status=503, region=""), True),
        (turn(2, remembers=False), True),
    ],
)
def test_a_conversation_is_broken_when_a_turn_is_not_answered_where_it_began(second, broken):
    conversation = Conversation(stream=False, region="foundry1", turns=[turn(1), second])
    assert conversation.broken is broken


@pytest.mark.thorough
def test_conversations_hold_on_two_units_and_through_two_faults():
    faults: list[str] = []
    head, *rows = asyncio.run(held(40, (2,), faults))
    assert faults == []
    for row in rows:
        told = dict(zip(head, row, strict=True))
        assert (told["conversations"], told["broken"]) == ("40", "0")
        assert "went on later" in told["one region closed"]
        assert "told to wait" in told["one region throttled"]
