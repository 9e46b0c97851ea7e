"""The variables that point tools at the local Azure, and those that take it back."""

import os
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path

from local_azure import identity
from local_azure.local import (
    HOST,
    STATE_VARIABLE,
    SUBSCRIPTION_ID,
    TENANT_ID,
    authority_certificate,
    find_server,
    outputs_file,
    write_private,
)

# Where clients look for the roots that they trust: OpenSSL with all that builds on it, such as
# Python, httpx and Go; requests, and so azure-core and the Azure CLI; curl, before the first; Node.
TRUST_VARIABLES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
)
# What a user may have set for all of Azure or the internet comes back with --unset: it is kept in
# a variable of this prefix meanwhile.
BEFORE = "LOCAL_AZURE_BEFORE_"
# A backend that is not there: all that the Pulumi CLI says of it is its name, and at once.
NOWHERE = "file:///no local Azure runs/start it: local-azure serve"


# Where the Pulumi CLI keeps stacks, by which token, and where it keeps that one.
_LOGIN = ("PULUMI_BACKEND_URL", "PULUMI_ACCESS_TOKEN", "PULUMI_CREDENTIALS_PATH")


def to_set(state: Path, *, stack: str) -> dict[str, str]:
    """Return the variables that point tools at the running server on this folder, and a stack.

    A backend that the user has chosen is left as it is.
    """
    variables = _variables(state, stack)
    own = _restorable(state)
    if authority_certificate(state).exists():
        _write_roots(state)
    before = {f"{BEFORE}{name}": value for name, value in _users(own, state)}
    return {name: value for name, value in (variables | own | before).items() if value}


def to_take_back(state: Path) -> dict[str, str | None]:
    """Return each variable with what it was before; None forgets it."""
    taken: dict[str, str | None] = dict.fromkeys(_variables(state, ""))
    own = _restorable(state)
    users = dict(_users(own, state))
    for name in own:
        kept = os.environ.get(f"{BEFORE}{name}")
        if name not in users:
            taken[name] = kept
        if kept:
            taken[f"{BEFORE}{name}"] = None
    return taken


def _variables(state: Path, stack: str) -> dict[str, str]:
    running = find_server(state)
    endpoint = running.endpoint if running else ""
    https = running.https_endpoint if running else ""
    variables = {
        "ARM_ENDPOINT": endpoint,
        "ARM_SUBSCRIPTION_ID": SUBSCRIPTION_ID,
        "ARM_TENANT_ID": TENANT_ID,
        "ARM_CLIENT_ID": identity.CLIENT_ID,
        "ARM_CLIENT_SECRET": identity.Secrets.of(state).client_secret,
        STATE_VARIABLE: str(state),
        "LOCAL_AZURE_HTTPS": https,
        # azure-identity: whom ClientSecretCredential asks, and what DefaultAzureCredential finds.
        "AZURE_AUTHORITY_HOST": https,
        **identity.variables(state, endpoint),
        # What the probe reads; there once `up` has deployed the stack.
        "PROBE_OUTPUTS": str(outputs_file(state, stack)),
        # What the Azure CLI asks of the internet else.
        "AZURE_CORE_INSTANCE_DISCOVERY": "false",
        "AZURE_CORE_COLLECT_TELEMETRY": "false",
        **pulumi_variables(state),
    }
    for name in _LOGIN if _has_own_backend() else ():
        del variables[name]
    return variables


def pulumi_variables(state: Path) -> dict[str, str]:
    """Return the variables by which the plain Pulumi CLI deploys to the server on this folder.

    Its stacks are kept there as well, and so is its login: that of the user is left alone.
    """
    running = find_server(state)
    ports = running.providers if running else {}
    return {
        "PULUMI_DEBUG_PROVIDERS": ",".join(f"{name}:{port}" for name, port in ports.items()),
        "PULUMI_BACKEND_URL": running.endpoint if running else "",
        "PULUMI_ACCESS_TOKEN": identity.Secrets.of(state).pulumi_access_token,
        "PULUMI_CREDENTIALS_PATH": str(state / "pulumi"),
        # No page shows an update, and `stack rm` leaves the repository's own file alone.
        "PULUMI_OPTION_SUPPRESS_PERMALINK": "true",
        "PULUMI_OPTION_PRESERVE_CONFIG": "true",
        # What is asked of the internet else: newer versions, and plug-ins that are here already.
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }


def _has_own_backend() -> bool:
    """Whether the user has chosen where the Pulumi CLI keeps its stacks."""
    backend = os.environ.get("PULUMI_BACKEND_URL", NOWHERE)
    return backend != NOWHERE and not backend.startswith(f"http://{HOST}:")


def _restorable(state: Path) -> dict[str, str]:
    """Return the variables whose former values come back; those of trust once there is any."""
    trust = TRUST_VARIABLES if authority_certificate(state).exists() else ()
    pulumi = pulumi_variables(state)
    return {
        **dict.fromkeys(trust, str(_roots(state))),
        "AZURE_CONFIG_DIR": str(state / "az"),
        **({} if _has_own_backend() else {name: pulumi[name] for name in _LOGIN[1:]}),
    }


def _users(own: Mapping[str, str], state: Path) -> Iterator[tuple[str, str]]:
    """Give those variables that have a value of the user's, not one of a local Azure's."""
    folders = (state, Path(os.environ.get(STATE_VARIABLE) or state))
    for name in own:
        value = os.environ.get(name, "")
        is_ours = value.startswith(identity.ACCESS_TOKEN_PREFIX) or any(
            Path(value).is_relative_to(folder) for folder in folders
        )
        if value and not is_ours:
            yield name, value


def _roots(state: Path) -> Path:
    return state / "trusted-roots.pem"


def _write_roots(state: Path) -> None:
    """Write all that is trusted: what the machine and the user trust, and the local Azure."""
    users = {os.environ.get(f"{BEFORE}{name}", "") for name in TRUST_VARIABLES}
    users |= {value for _, value in _users(dict.fromkeys(TRUST_VARIABLES, ""), state)}
    paths = [Path(_machine_roots()), *map(Path, sorted(users)), authority_certificate(state)]
    trusted = dict.fromkeys(path.read_text(encoding="utf-8") for path in paths if path.is_file())
    write_private(_roots(state), "\n".join(trusted))


def _machine_roots() -> str:
    system = ssl.get_default_verify_paths().openssl_cafile
    if os.path.isfile(system):  # noqa: PTH113 - a path as OpenSSL has it
        return system
    import certifi  # noqa: PLC0415 - httpx brings it

    return certifi.where()
