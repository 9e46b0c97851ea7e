"""Reads how many requests each region answered from the gateway's logs: nothing is sent to it."""

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NoReturn

from components import queries
from components.contract import Outputs
from components.resource_manager import (
    ResourceManager,
    ResourceManagerError,
    at,
    is_loopback,
    token_for,
)
from probes.evidence import Plan
from probes.exit_codes import InputError, UnreachableError
from probes.hours import Hour, Hours
from probes.tally import Tally

WINDOWS: Final = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
_CLOUD: Final = ("/metadata/endpoints", "2023-11-01")  # of Resource Manager: path, api-version
_REMEDIES: Final = {
    401: "the token is refused; sign in to the right tenant with `az login`",
    403: "this identity may not read it; give it the role Log Analytics Reader",
    404: "there is no such workspace; is it still there? `pulumi up --refresh` makes it again",
}
_LOST: Final = (AttributeError, IndexError, KeyError, TypeError, ValueError)  # of another form
_NO_TABLE: Final = (
    "it has no table of the gateway's requests yet; after a first deployment and a first request "
    "that may take up to 2 hours"
)


class Logs:
    """The log of a stack's gateway: `tally` and `hours` of a window that ends now.

    Each asks once, for up to `limit` seconds; `manager` is the Resource Manager that says where
    logs are read in its cloud. Raises InputError for a stack without logs, and UnreachableError
    for logs that cannot be read.
    """

    def __init__(self, outputs: Outputs[str], manager: str, limit: float) -> None:
        if not outputs.workspace:
            raise InputError(
                "--from-logs: the stack's outputs have no `workspace`: its gateway logs nowhere; "
                "set openai-gateway:monitoring and run `pulumi up`"
            )
        self._outputs, self._limit = outputs, limit
        self._customer_id = outputs.workspace.customer_id
        self._name = f"the logs in {outputs.workspace.id.rpartition('/')[2]}"
        try:
            cloud = ResourceManager(endpoint=manager, limit=limit).get(*_CLOUD)
        except ResourceManagerError as error:
            self._fail(f"where they are is not known: {error}")
        self._endpoint = str(at(cloud, "logAnalyticsResourceId") or "").rstrip("/")
        if not self._endpoint.startswith("https://") and not is_loopback(self._endpoint):
            self._fail(f"{manager} names no https URL to read them at")

    def tally(self, plan: Plan, window: timedelta) -> Tally:
        tally = Tally(plan.shares)
        with self._reading():
            for row in self._rows("counts", window):
                seconds = row["Seconds"]
                tally.count(
                    row["Backend"],
                    answered=int(row["Requests"]),
                    throttled=int(row["Throttled"]),
                    failed=int(row["Failed"]),
                    retried=int(row["Retried"]),
                    # KQL's average of nothing is no number.
                    average=seconds if math.isfinite(float(seconds or math.nan)) else None,
                )
        return tally

    def hours(self, plan: Plan, window: timedelta) -> Hours:
        answered: dict[datetime, dict[str, int]] = {}
        refused: dict[datetime, dict[str, int]] = {}
        with self._reading():
            for row in self._rows("counts_by_hour", window):
                begin = row["Hour"].astimezone(UTC)
                for counts in (answered, refused):
                    counts.setdefault(begin, dict.fromkeys(plan.shares, 0))
                answered[begin][row["Backend"]] += int(row["Requests"])
                refused[begin][row["Backend"]] += int(row["Throttled"]) + int(row["Failed"])
        begins = sorted(answered)
        each = [Hour(begin=h, answered=answered[h], refused=refused[h]) for h in begins]
        return Hours(plan=plan, each=tuple(each))

    def _rows(self, query: str, window: timedelta) -> list[dict[str, Any]]:
        from azure.core.pipeline.transport import RequestsTransport  # noqa: PLC0415 - slow to load
        from azure.monitor.query import LogsQueryClient, LogsQueryPartialResult  # noqa: PLC0415

        outputs, here = self._outputs, is_loopback(self._endpoint)
        text = queries.fill(
            query,
            service=outputs.pool.id.rpartition("/backends/")[0],
            backends=outputs.backends,
        )
        transport = RequestsTransport(
            connection_timeout=self._limit,
            read_timeout=self._limit,
            connection_verify=os.environ.get("SSL_CERT_FILE") or True,
            use_env_settings=not here,  # a proxy is no way to this machine
        )
        client = LogsQueryClient(
            _Credential(), endpoint=self._endpoint, transport=transport, retry_total=0
        )
        with client:
            found = client.query_workspace(
                self._customer_id, text, timespan=window, enforce_https=not here
            )
        if isinstance(found, LogsQueryPartialResult):
            self._fail(f"only a part of the answer came: {found.partial_error}; try again later")
        (table,) = found.tables
        return [dict(zip(table.columns, row, strict=True)) for row in table.rows]

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Raise what goes wrong as UnreachableError, in a line that names the remedy."""
        try:
            from azure.core.exceptions import AzureError, HttpResponseError  # noqa: PLC0415
        except ImportError:
            self._fail("azure-monitor-query is missing; `pip install azure-monitor-query`")
        try:
            yield
        except ResourceManagerError as error:
            self._fail(str(error))
        except HttpResponseError as error:
            # What is wrong with a query stands two levels down, which the message leaves out.
            told = error.response.text() if error.response else ""
            if "Failed to resolve table" in told:
                self._fail(_NO_TABLE)
            code = at(getattr(error.model, "__dict__", None), "code") or error.reason
            remedy = _REMEDIES.get(error.status_code or 0, "try again later")
            self._fail(f"{error.status_code} {code}: {remedy}")
        except AzureError as error:
            self._fail(f"{self._endpoint} does not answer: {error}")
        except _LOST:
            self._fail(f"{self._endpoint} answers with no table of counts")

    def _fail(self, problem: str) -> NoReturn:
        told = " ".join(self._outputs.redact(problem)[:400].split())
        raise UnreachableError(f"{self._name}: {told}") from None


class _Credential:
    """Signs in as the rest of the probe does; a token is asked for when a query needs one."""

    def get_token(self, *scopes: str, **_options: object) -> Any:
        from azure.core.credentials import AccessToken  # noqa: PLC0415

        return AccessToken(token_for(scopes[0].removesuffix("/.default")), int(time.time()) + 3600)
