"""The form of a rule, and what checks have in common."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from local_azure.resource_manager.request import Request
from local_azure.resource_manager.soft_delete import record_of, restores

Violations = Iterator[Mapping[str, object]]

READ = frozenset({"GET", "HEAD", "POST"})
PUT = frozenset({"PUT", "PATCH"})
WRITE = PUT | {"DELETE"}
FIND = READ | {"PATCH"}
DELETE = frozenset({"DELETE"})
POST = frozenset({"POST"})
ANY: frozenset[str] = frozenset()
VALIDATION = "ValidationError"
APIM_CHILDREN = "Microsoft.ApiManagement/service/"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of Azure.

    It holds for requests with one of `methods` (none: every method) on resources of a type in `of`
    (none: every type); an entry of `of` that ends in `/` stands for all types that begin so.
    `target` is the property a ValidationError is about; one that is `alone` has no details.
    """

    check: Callable[[Request], Violations]
    methods: frozenset[str] = PUT
    of: tuple[str, ...] = ()
    status: int = 400
    code: str = VALIDATION
    message: str
    target: str = ""
    alone: bool = False
    source: str

    @property
    def is_assumed(self) -> bool:
        """Whether anything of it is not confirmed."""
        return "?" in self.source

    @property
    def wording_is_assumed(self) -> bool:
        """Whether the message is not Azure's: nobody should read it by a program."""
        guessed = self.source.partition("?")[2].partition(";")[0].strip()
        return self.is_assumed and (not guessed or "wording" in guessed)

    def applies(self, method: str, type_name: str) -> bool:
        """Tell whether the rule has a say in such a request."""
        if self.methods and method not in self.methods:
            return False
        return not self.of or any(
            type_name.startswith(entry) if entry.endswith("/") else type_name == entry
            for entry in self.of
        )


def is_guid(text: str) -> bool:
    """Tell whether a text is a GUID in the form Azure writes it, in any case."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def nothing_to_restore(request: Request) -> Violations:
    """Check that a PUT with `restore` finds what to restore."""
    if restores(request) and not record_of(request):
        yield {}
