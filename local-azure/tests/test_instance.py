from local_azure.gateway.instance import TOKEN_SECONDS, Instance
from local_azure.identity import Tokens


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_identity_s_token_is_used_again_and_replaced_long_before_it_expires():
    clock = Clock()
    tokens = Tokens(b"secret", clock=clock)
    unit = Instance(clock)
    first = unit.token(tokens, "gateway", "https://a.example")
    clock.now = TOKEN_SECONDS / 2 - 1
    assert unit.token(tokens, "gateway", "https://a.example") == first
    clock.now = TOKEN_SECONDS / 2
    second = unit.token(tokens, "gateway", "https://a.example")
    assert second != first
    assert tokens.principal(second, "https://a.example") == "gateway"


def test_each_identity_and_each_resource_has_a_token_of_its_own():
    unit = Instance(Clock())
    tokens = Tokens(b"secret", clock=Clock())
    unit.token(tokens, "gateway", "https://a.example")
    other = unit.token(tokens, "gateway", "https://b.example")
    assert tokens.principal(other, "https://b.example") == "gateway"
    assert (
        tokens.principal(unit.token(tokens, "new", "https://a.example"), "https://a.example")
        == "new"
    )


def test_resources_without_end_do_not_fill_the_memory():
    issued = []

    class Counting(Tokens):
        def issue(self, principal_id, audience, lifetime=3600.0, **more):
            issued.append(audience)
            return super().issue(principal_id, audience, lifetime, **more)

    unit, tokens = Instance(Clock()), Counting(b"secret", clock=Clock())
    for number in range(1000):
        unit.token(tokens, "gateway", f"https://{number}.example")
    unit.token(tokens, "gateway", "https://0.example")
    assert issued.count("https://0.example") == 2, "every token of a thousand was kept"
