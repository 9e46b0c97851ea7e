"""What each command of `local-azure` does; each imports what it needs, and no more."""

# ruff: noqa: PLC0415 - a preview must not pay for the server's imports

import argparse
import json
import os
import shlex
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from local_azure.local import (
    HTTPS_PORT_OFFSET,
    LocalAzureError,
    access_token,
    find_server,
    state_folder,
)

if TYPE_CHECKING:
    import httpx

    from local_azure.deployment.display import Operation
    from local_azure.gateway.refusals import Refusal
    from local_azure.resource_manager.rules.rule import Rule
    from local_azure.server import LocalAzure


def serve(options: argparse.Namespace) -> int:
    """Run the local Azure until Ctrl-C or SIGTERM."""
    import asyncio
    import signal

    from local_azure import server

    def ready(azure: "LocalAzure") -> None:
        print(f"Local Azure: Resource Manager at {azure.endpoint}, state in {state}.", flush=True)
        print(f"Every host name by TLS at {azure.https_endpoint}.", flush=True)
        if options.listen:
            print(f"Listening at {options.listen} too, with the token in {token_file}.", flush=True)
        print("Ctrl-C stops it; what is deployed stays.", flush=True)

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await server.serve(
            state,
            server.Options(
                port=options.port,
                https_port=_https_port(options),
                gateway_instances=options.gateway_instances,
                provisioning_seconds=options.provisioning,
                propagation_seconds=options.propagation,
                latency={place: seconds for place, seconds in options.latency if place},
                default_latency=next((s for place, s in options.latency if not place), 0.0),
                providers=True,
                listen=options.listen,
                access_token=access_token(token_file) if options.listen else None,
            ),
            ready=ready,
            stop=stop,
        )

    state = state_folder(options.state)
    token_file = Path(options.access_token_file or state / "access-token")
    if options.request_log:
        _log_requests(options.request_log)
    asyncio.run(run())
    return 0


def _https_port(options: argparse.Namespace) -> int:
    if options.https_port is not None:
        return int(options.https_port)
    beside = int(options.port) + HTTPS_PORT_OFFSET
    return beside if options.port and beside < 65_536 else 0


def _log_requests(path: str) -> None:
    """Resource Manager's requests, as Azure's activity log has them; no bodies, so no keys."""
    import logging

    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise LocalAzureError(f"--request-log {path}: {error.strerror}") from None
    requests = logging.getLogger("local_azure.requests")
    requests.addHandler(handler)
    requests.setLevel(logging.INFO)
    requests.propagate = False


# One line a variable, for a shell's `eval`: with a value, and without one to forget it.
SHELLS: Mapping[str, tuple[Callable[[str, str], str], Callable[[str], str]]] = {
    "bash": (lambda name, value: f"export {name}={shlex.quote(value)}", "unset {}".format),
    "fish": (lambda name, value: f"set -gx {name} {shlex.quote(value)};", "set -e {};".format),
    "powershell": (
        lambda name, value: "$env:{} = '{}'".format(name, value.replace("'", "''")),
        "Remove-Item -ErrorAction SilentlyContinue Env:{}".format,
    ),
}


def env(options: argparse.Namespace) -> int:
    """Print lines for the shell's `eval` that point tools at the local Azure, or take it back."""
    from local_azure import environment

    state = state_folder(options.state)
    export, forget = SHELLS[options.shell]
    if options.unset:
        for name, before in environment.to_take_back(state).items():
            print(export(name, before) if before else forget(name))
        return 0
    if find_server(state) is None:
        # What evaluates this goes on: the Pulumi CLI would deploy to wherever it is signed in.
        print(export("PULUMI_BACKEND_URL", environment.NOWHERE))
        raise LocalAzureError(f"no local Azure runs on {state}; start it: local-azure serve")
    for name, value in environment.to_set(state, stack=options.stack).items():
        print(export(name, value))
    return 0


def preview(options: argparse.Namespace) -> int:
    """Show what `up` would change; no lock, no change, and mostly no request."""
    return _deploy(
        "preview",
        options,
        as_json=options.json,
        show_sames=options.show_sames,
        policy_pack=options.policy_pack,
        refresh=options.refresh,
        expect_no_changes=options.expect_no_changes,
    )


def up(options: argparse.Namespace) -> int:
    """Deploy a program."""
    return _deploy(
        "up",
        options,
        policy_pack=options.policy_pack,
        refresh=options.refresh,
        expect_no_changes=options.expect_no_changes,
    )


def destroy(options: argparse.Namespace) -> int:
    """Delete what the stack deployed."""
    return _deploy("destroy", options)


def _deploy(
    operation: "Operation",
    options: argparse.Namespace,
    *,
    as_json: bool = False,
    show_sames: bool = False,
    policy_pack: str | None = None,
    refresh: bool = False,
    expect_no_changes: bool = False,
) -> int:
    from local_azure import deployment

    state = state_folder(options.state)
    with ExitStack() as until_done:
        return deployment.run(
            operation,
            project_dir=Path(options.cwd),
            stack=options.stack,
            config_file=Path(options.config_file) if options.config_file else None,
            state_dir=state,
            arm_endpoint=_endpoint(state, until_done),
            json=as_json,
            show_sames=show_sames,
            policy_pack=Path(policy_pack) if policy_pack else None,
            ignore_protect=options.ignore_protect,
            refresh=refresh,
            expect_no_changes=expect_no_changes,
            listening=find_server(state) is not None,
        )


def _endpoint(state: Path, until_done: ExitStack) -> Callable[[], str]:
    """Return Resource Manager: the running server, else one of our own from the first request on.

    Its address is in the environment at once, where the program looks for it.
    """
    running = find_server(state)
    held = until_done.enter_context(socket.socket())
    if running is None:
        held.bind(("127.0.0.1", 0))
    port = held.getsockname()[1]
    address = running.endpoint if running else f"http://127.0.0.1:{port}"
    os.environ["ARM_ENDPOINT"] = address

    def endpoint() -> str:
        if running is None and held.fileno() >= 0:
            from local_azure import server

            held.close()  # kept from others until now
            until_done.enter_context(server.running(state, server.Options(port=port)))
        return address

    return endpoint


def unprotect(options: argparse.Namespace) -> int:
    """Take the protection off all resources of a stack, as `pulumi state unprotect --all` does."""
    from local_azure import deployment

    count = deployment.unprotect(state_folder(options.state), options.stack)
    print(f"{count} resource{'' if count == 1 else 's'} of stack {options.stack} unprotected")
    return 0


def output(options: argparse.Namespace) -> int:
    """Print a stack's outputs as JSON."""
    from local_azure import deployment

    state = state_folder(options.state)
    outputs = deployment.outputs(state, options.stack, show_secrets=options.show_secrets)
    print(json.dumps(outputs, indent=2))
    if find_server(state) is None:
        print(
            "note: no local Azure runs: nothing answers at these addresses; start it:"
            " local-azure serve",
            file=sys.stderr,
        )
    return 0


def token(options: argparse.Namespace) -> int:
    """Print a token for a resource, as `az account get-access-token` gets one."""
    from local_azure.identity import signing_in

    print(signing_in(state_folder(options.state))(options.resource))
    return 0


def rules(options: argparse.Namespace) -> int:
    """List what is refused, known from where: by rules of Resource Manager, and in policies."""
    from local_azure.gateway.refusals import refusals
    from local_azure.resource_manager.rules import STAGES

    listed: list[tuple[str, Rule | Refusal]] = []
    for rule in (rule for stage in STAGES for rule in stage):
        methods = ", ".join(sorted(rule.methods)) or "every method"
        what = f"{rule.status} {rule.code} | {methods} | {', '.join(rule.of) or 'every type'}"
        listed.append((f"{what}\n    {rule.message.replace(chr(13) + chr(10), ' ')}", rule))
    count = len(listed)
    listed += [(f"policy | {each.of}\n    {each.why}", each) for each in refusals()]
    assumed = sum(each.is_assumed for _, each in listed)
    for text, each in listed:
        if each.is_assumed or not options.assumed:
            print(f"{text}\n    {'assumed: ' if each.is_assumed else ''}{each.source}")
    print(
        f"{count} rules and {len(listed) - count} of policies, {assumed} of them assumed in part:"
        " what follows the ? of a source."
    )
    return 0


def alerts(options: argparse.Namespace) -> int:
    """List the alerts of the running server, after a step of its clock."""
    from local_azure import durations
    from local_azure.monitor.app import PATH

    state, endpoint = _running(options)
    step = options.step
    if step and not step.startswith("P"):
        try:
            step = f"PT{durations.of_pulumi(step):.0f}S"
        except ValueError as error:
            raise LocalAzureError(f"--in: {error}") from None
    with _client(state) as client:
        url = f"{endpoint}{PATH}"
        answer = client.post(url, json={"in": step}) if step else client.get(url)
    if answer.is_error:
        raise LocalAzureError(answer.json()["error"]["message"])
    found = answer.json()
    if options.json:
        print(json.dumps(found, indent=2))
        return 0
    for alert in found["alerts"]:
        when = alert["resolved"] or alert["fired"]
        its = {**alert["dimensions"], alert["measured"]: f"{alert['measure']:g}"}
        said = "; ".join(f"{name}: {value}" for name, value in its.items())
        print(f"{alert['state']:8} {when}  {alert['rule']}  {said}")
    for rule, why in found["errors"].items():
        print(f"not evaluated: {rule}: {why}")
    if not found["alerts"]:
        print(f"no alert has fired by {found['now']}")
    return 0


def _running(options: argparse.Namespace) -> tuple[Path, str]:
    """Return the state folder and endpoint of the running server. Raises LocalAzureError."""
    state = state_folder(options.state)
    running = find_server(state)
    if running is None:
        raise LocalAzureError("no local Azure runs here; start it: local-azure serve")
    return state, running.endpoint


def _client(state: Path) -> "httpx.Client":
    import httpx

    from local_azure.identity import authorization

    return httpx.Client(trust_env=False, timeout=60, headers=authorization(state))


def fault(options: argparse.Namespace) -> int:
    """Set, clear or list the faults of the running server."""
    state, endpoint = _running(options)
    wanted = {
        "status": options.status,
        "retry_after": options.retry_after,
        "closed": options.closed or None,
        "down": options.down or None,
        "latency": options.latency,
        "reset": options.reset or None,
    }
    body = {name: value for name, value in wanted.items() if value is not None}
    if body and options.region is None:
        raise LocalAzureError("name the region that fails, such as foundry2")
    if body and options.clear:
        raise LocalAzureError("--clear heals; it goes with no other fault")
    url = f"{endpoint}/_local-azure/faults"
    with _client(state) as client:
        if options.clear:
            answer = client.delete(f"{url}/{options.region}" if options.region else url)
        elif body:
            answer = client.put(f"{url}/{options.region}", json=body)
        else:
            answer = client.get(url)
    if answer.is_error:
        raise LocalAzureError(answer.json()["error"]["message"])
    print(json.dumps(answer.json() if answer.content else {}, indent=2))
    return 0
