"""The report as JSON, for pipelines; `probes/report.schema.json` describes it."""

import json
import math
from dataclasses import asdict
from typing import Any, Final, get_args

from components.contract import ModelPool
from probes.control_plane import FoundPool
from probes.report import Report
from probes.tally import Outcome

VERSION: Final = "0.1.0"  # the probe's version, that of the project (pyproject.toml)
SCHEMA_VERSION: Final = 1  # grows when a reader of an older report could misread a newer one


def render(report: Report) -> str:
    """Return the report as JSON; shares are fractions of 1, times are seconds."""
    tally, reading = report.tally, report.reading
    found = zip(report.outputs.pools, reading.pools, strict=True) if reading else ()
    pools = [_pool(*each) for each in found]
    document = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "distribution-probe", "version": VERSION},
        "started": report.started.isoformat(timespec="milliseconds"),
        "duration": round(report.duration, 3),
        "verdict": report.verdict,
        "reasons": list(report.reasons),
        "next_step": report.next_step,
        "spread": report.spread,
        "expected": report.expectation.routing,
        "deployment": report.outputs.deployment,
        "source": {
            "name": report.source.name,
            "gateway": report.outputs.gateway_url,
            "resource_manager": report.source.resource_manager if reading else None,
            "log": report.window or None,
        },
        "criteria": [asdict(criterion) for criterion in report.criteria],
        "requests": {
            "total": tally.requests,
            "at_most": report.max_requests,
            "retried": tally.retried,
            **{outcome: tally.outcomes[outcome] for outcome in get_args(Outcome)},
        },
        "tokens": report.tokens,
        "conversations": [{**asdict(each), "held": each.held} for each in report.conversations],
        "by_backend": {
            name: {
                "region": region,
                "count": tally.answered[name],
                "share": round(report.share(name), 4),
                "expected_share": round(report.plan.shares[name], 4),
                **{each: tally.refusals[name][each] for each in ("throttled", "failed", "denied")},
                "failed_attempts": tally.failed_attempts[name].total(),
                "latency": report.latency(name),
            }
            for name, region in report.outputs.regions.items()
        },
        "by_hour": _hours(report),
        "pool": pools[0] if pools else None,
        "further_pools": pools[1:],
        "policy": _policy(report),
        "evidence": [
            {
                "backend": trial.backend,
                "suspicion": trial.suspicion,
                "degraded": report.is_degraded(trial),
                # The log likelihood ratio is minus infinity once silence is refuted.
                "value": value if math.isfinite(value := trial.evidence(hits, total)) else None,
                "condemns_at": trial.condemns_at,
                "clears_at": trial.clears_at,
            }
            for trial, hits, total in report.plan.counted(report.counts)
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _hours(report: Report) -> dict[str, Any] | None:
    if not report.hours:
        return None
    return {
        "hours": [
            {"begin": hour.begin.isoformat(), "answered": dict(hour.answered)}
            for hour in report.hours.each
        ],
        "silent_since": {each.backend: each.since.isoformat() for each in report.hours.silences},
    }


def _pool(reference: ModelPool[str], found: FoundPool) -> dict[str, Any]:
    return {
        "deployment": reference.deployment,
        "id": reference.id,
        "status": found.status,
        "unread": found.unread or None,
        "members": [
            {"name": m.name, "priority": _number(m.priority), "weight": _number(m.weight)}
            for m in found.pool.members
        ],
    }


def _policy(report: Report) -> dict[str, Any] | None:
    declared, found = report.outputs.policy, report.reading and report.reading.policy
    if not declared or not found:
        return None
    return {
        "id": declared.id,
        "status": found.status,
        "unread": found.unread or None,
        "declared": declared.digest,
        "live": found.digest or None,
    }


def _number(value: int | str) -> int | None:
    return value if isinstance(value, int) else None
