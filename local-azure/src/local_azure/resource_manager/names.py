"""Names that are one of a kind in all of Azure, and who has them: also who was soft deleted."""

from local_azure.resource_manager import resource_types as types
from local_azure.store import Resource, View


def subdomain_of(account: Resource) -> str:
    """Return the custom subdomain of an account in lower case; empty when it has none."""
    return str(account.body["properties"].get("customSubDomainName") or "").lower()


def accounts_of_subdomain(view: View, subdomain: str) -> list[Resource]:
    """Return the accounts, also soft-deleted ones, that have a subdomain."""
    kept = [
        account
        for record in view.list(types.DELETED_ACCOUNT)
        for account in view.kept_by(record.id)
        if account.type == types.ACCOUNT
    ]
    accounts = [*view.list(types.ACCOUNT), *kept]
    return [account for account in accounts if subdomain_of(account) == subdomain.lower()]


def services_of_name(view: View, name: str) -> list[Resource]:
    """Return the services that have a name, and the records of soft-deleted ones."""
    return [
        resource
        for kind in (types.SERVICE, types.DELETED_SERVICE)
        for resource in view.list(kind)
        if resource.body["name"].lower() == name.lower()
    ]
