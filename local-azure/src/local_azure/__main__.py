"""`local-azure`: the command line; the work is in `commands.py`."""

import argparse
import ipaddress
import os
import re
import sys
from collections.abc import Callable

from local_azure.local import DEFAULT_PORT, HTTPS_PORT_OFFSET, STATE_VARIABLE, LocalAzureError

EXIT_CODES = (
    "exit codes: 0 done, 1 failed, 2 wrong usage, 7 changes that were not expected, 130 Ctrl-C"
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = _parser().parse_args(arguments)
    from local_azure import commands  # noqa: PLC0415 - --help needs none of it

    command: Callable[[argparse.Namespace], int] = getattr(commands, options.command)
    try:
        code = command(options)
        sys.stdout.flush()
    except LocalAzureError as error:
        sys.stdout.flush()
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader went away; nothing is left to tell it
        return 1
    except OSError as error:
        if error.filename is not None:
            raise
        # Standard output: a disk that is full. Python would try to write the rest at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"error: standard output: {error.strerror}", file=sys.stderr)
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="local-azure",
        description="A local Azure: Resource Manager, API Management gateway and"
        " Azure OpenAI regions on loopback. A development tool; it spends nothing.",
        epilog=EXIT_CODES,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = _command(commands, "serve", "run the local Azure until Ctrl-C")
    serve.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, help="of Resource Manager; 0: any free port"
    )
    serve.add_argument(
        "--https-port",
        type=_port,
        metavar="PORT",
        help=f"of every host name over TLS (default: {DEFAULT_PORT + HTTPS_PORT_OFFSET}, as far"
        " from --port; any free one with --port 0)",
    )
    serve.add_argument(
        "--gateway-instances",
        type=_instances,
        default=1,
        metavar="N",
        help="units of the gateway, each with a rotation and breakers of its own (1 to 64)",
    )
    serve.add_argument(
        "--latency",
        type=_latency,
        action="append",
        default=[],
        metavar="[LOCATION=]SECONDS",
        help="time a region takes to answer, such as 0.8 or uksouth=0.75; may be repeated",
    )
    serve.add_argument(
        "--provisioning",
        type=_seconds,
        default=0.2,
        metavar="SECONDS",
        help="time a long-running operation takes (default: %(default)s)",
    )

    serve.add_argument(
        "--propagation",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="time until a region knows a new role assignment or deployment (default: 0; in Azure"
        " up to 30 minutes)",
    )

    serve.add_argument(
        "--request-log", metavar="FILE", help="add a JSON line for each request at Resource Manager"
    )

    serve.add_argument(
        "--listen",
        type=_address,
        metavar="ADDRESS",
        help="an address of this machine besides loopback, where a token is asked for",
    )
    serve.add_argument(
        "--access-token-file",
        metavar="FILE",
        help="holds the token, or is given one (default: access-token in the state folder)",
    )

    environment = _command(commands, "env", "print the variables that point tools at it")
    environment.add_argument(
        "--shell", choices=("bash", "fish", "powershell"), default="bash", help="default: bash"
    )
    environment.add_argument("--unset", action="store_true", help="forget the variables instead")
    _stack(environment, "whose outputs PROBE_OUTPUTS names")

    for name, text in (
        ("preview", "show what `up` would change, and where traffic would go"),
        ("up", "deploy a Pulumi program to it"),
        ("destroy", "delete what a stack deployed"),
    ):
        deploy = _command(commands, name, text)
        _stack(deploy)
        deploy.add_argument(
            "-C", "--cwd", metavar="FOLDER", default=".", help="of the program (default: this one)"
        )
        deploy.add_argument("--config-file", metavar="FILE", help="in place of Pulumi.<stack>.yaml")
        deploy.add_argument(
            "--ignore-protect", action="store_true", help="delete or replace what is protected, too"
        )
        if name != "destroy":
            deploy.add_argument(
                "--refresh", action="store_true", help="look first what was changed in Azure"
            )
            deploy.add_argument("--policy-pack", metavar="FOLDER", help="judge it by these rules")
            deploy.add_argument(
                "--expect-no-changes", action="store_true", help="exit 7 if there are any"
            )
            deploy.add_argument(
                "--diff", action="store_true", help="each property that changes, as is always shown"
            )
        for flag in ("--yes", "--skip-preview", "--non-interactive"):
            if flag == "--non-interactive" or name != "preview":
                deploy.add_argument(
                    flag, action="store_true", help="as with `pulumi`: nothing is asked here"
                )
        if name == "preview":
            deploy.add_argument("--json", action="store_true", help="as `pulumi preview --json`")
            deploy.add_argument(
                "--show-sames", action="store_true", help="unchanged resources as well"
            )

    unprotect = _command(
        commands, "unprotect", "take the protection off a stack's resources, until the next `up`"
    )
    _stack(unprotect)

    output = _command(commands, "output", "print a stack's outputs as JSON, for the probe")
    _stack(output)
    output.add_argument(
        "--show-secrets", action="store_true", help="the subscription key in plain text"
    )

    token = _command(commands, "token", "print a token of the service principal, for curl")
    token.add_argument(
        "--resource",
        metavar="URL",
        default="https://management.azure.com",
        help="what it opens (default: %(default)s)",
    )

    rules = _command(commands, "rules", "list the rules of Azure that it enforces, with sources")
    rules.add_argument("--assumed", action="store_true", help="those that are not confirmed")

    _faults(commands)
    _alerts(commands)
    return parser


def _faults(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    fault = _command(commands, "fault", "make a region fail, or list what fails")
    fault.add_argument("region", nargs="?", help="a backend or account, such as foundry2")
    fault.add_argument("--status", type=int, metavar="CODE", help="answer with this status")
    fault.add_argument(
        "--retry-after", type=int, metavar="SECONDS", help="Retry-After of that answer"
    )
    fault.add_argument("--closed", action="store_true", help="refuse connections: close its port")
    fault.add_argument("--down", action="store_true", help="close each connection at once")
    fault.add_argument("--latency", type=_seconds, metavar="SECONDS", help="answer that much later")
    fault.add_argument("--reset", action="store_true", help="cut the answer in the middle")
    fault.add_argument("--clear", action="store_true", help="heal the region, or all of them")


def _alerts(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    alerts = _command(commands, "alerts", "list the alerts that fired, by the clock of the logs")
    alerts.add_argument(
        "--in",
        dest="step",
        metavar="DURATION",
        help="move that clock forward first, by 1h or PT1H: rules are evaluated when due",
    )
    alerts.add_argument("--json", action="store_true", help="all that is known of them")


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text, epilog=EXIT_CODES)
    parser.add_argument(
        "--state",
        metavar="FOLDER",
        help=f"state folder (default: ${STATE_VARIABLE}, else .local-azure)",
    )
    return parser


def _stack(parser: argparse.ArgumentParser, text: str = "") -> None:
    parser.add_argument(
        "-s",
        "--stack",
        default="dev",
        type=_stack_name,
        help=f"{text} (default: %(default)s)".lstrip(),
    )


def _stack_name(text: str) -> str:
    # Pulumi's own rule; the name becomes a file name.
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", text) or text in {".", ".."}:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no stack name: letters, digits, hyphen, underscore and period"
        )
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to 65535")
    return int(text)


def _address(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no IP address") from None
    if address.is_unspecified:
        raise argparse.ArgumentTypeError(f"{text!r} is every network; name one address")
    if address.is_loopback:
        raise argparse.ArgumentTypeError(f"{text!r} is loopback, where it listens anyway")
    return text


def _instances(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is not in 1 to 64")
    return int(text)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)(ms|s)?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: 0.8, 2s or 750ms")
    return float(match[1]) / (1000 if match[2] == "ms" else 1)


def _latency(text: str) -> tuple[str, float]:
    location, _, value = text.rpartition("=")
    return location, _seconds(value)


if __name__ == "__main__":
    sys.exit(main())
