"""One unit of a service: its own rotations and circuit breakers; units do not synchronise."""

from collections.abc import Callable
from typing import Final

from local_azure.gateway.balancer import Rotation
from local_azure.gateway.breaker import Breaker
from local_azure.gateway.cache import Cache
from local_azure.gateway.configuration import Backend, Configuration, Pool
from local_azure.gateway.limits import Limits
from local_azure.identity import Tokens

TOKEN_SECONDS: Final = 3600.0
# A policy may work out the resource from the request: more than these are not kept.
_MAX_TOKENS: Final = 100


class Instance:
    """One unit of the service: its own rotations, circuit breakers and counters.

    The `cache` is the one that the units of a service share.
    """

    def __init__(self, clock: Callable[[], float], cache: Cache | None = None) -> None:
        self._clock = clock
        self.cache = cache or Cache(clock)
        self._rotations: dict[str, Rotation] = {}
        self._breakers: dict[str, Breaker] = {}
        self.limits = Limits(clock)
        self._tokens: dict[tuple[str, str], tuple[str, float]] = {}

    def breaker(self, backend: Backend) -> Breaker | None:
        """Return the breaker of a backend; a changed rule starts from zero."""
        if backend.rule is None:
            return None
        breaker = self._breakers.get(backend.name)
        # What is deployed is read once, so that an unchanged rule is mostly the same object.
        if breaker is None or (breaker.rule is not backend.rule and breaker.rule != backend.rule):
            breaker = self._breakers[backend.name] = Breaker(backend.rule, clock=self._clock)
        return breaker

    def token(self, tokens: Tokens, principal_id: str, resource: str, client_id: str = "") -> str:
        """Return a token of an identity; one is used again for half its lifetime."""
        key = principal_id, resource
        token, until = self._tokens.get(key, ("", 0.0))
        now = self._clock()
        if not token or now >= until:
            if len(self._tokens) >= _MAX_TOKENS:
                self._tokens.clear()
            token = tokens.issue(principal_id, resource, TOKEN_SECONDS, client_id=client_id)
            self._tokens[key] = token, now + TOKEN_SECONDS / 2
        return token

    def pick(
        self, target: Backend | Pool, backends: Configuration, session: str = ""
    ) -> Backend | None:
        """Return the backend that gets the next request; None while all are tripped.

        The member of a `session` gets it while it is not tripped.
        """
        if isinstance(target, Backend):
            return None if self._is_tripped(target) else target

        def is_out(name: str) -> bool:
            member = backends.backend(name)
            return not isinstance(member, Backend) or self._is_tripped(member)

        for each in target.members if session else ():
            if target.session(each.name) == session and not is_out(each.name):
                owner = backends.backend(each.name)
                return owner if isinstance(owner, Backend) else None
        rotation = self._rotations.get(target.name)
        if rotation is None or rotation.declared != target.members:
            rotation = self._rotations[target.name] = Rotation(target.members)
        name = rotation.pick(is_out)
        member = backends.backend(name) if name is not None else None
        return member if isinstance(member, Backend) else None

    def _is_tripped(self, backend: Backend) -> bool:
        breaker = self.breaker(backend)
        return breaker is not None and breaker.tripped
