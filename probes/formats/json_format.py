"""The report as JSON, for pipelines; `probes/report.schema.json` describes it."""

import json
import math
from typing import Any, Final

from probes.report import VERSION, Report

SCHEMA_VERSION: Final = 1
"""Grows when a reader of an older report could misread a newer one."""


def document(report: Report) -> dict[str, Any]:
    """Return the report as JSON values; shares are fractions of 1, times are seconds."""
    tally = report.tally
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "distribution-probe", "version": VERSION},
        "started": report.started.isoformat(timespec="milliseconds"),
        "duration": round(report.duration, 3),
        "verdict": report.verdict,
        "reasons": list(report.reasons),
        "next_step": report.next_step,
        "spread": report.spread,
        "expected": report.expectation.routing,
        "source": {
            "name": report.source.name,
            "gateway": report.outputs.gateway_url,
            "resource_manager": report.source.resource_manager if report.reading else None,
        },
        "criteria": [
            {"name": c.name, "passed": c.passed, "required": c.required, "detail": c.detail}
            for c in report.criteria
        ],
        "requests": {
            "total": len(tally.answers),
            "at_most": report.max_requests,
            "retried": tally.retried,
            **{
                outcome: tally.outcomes[outcome]
                for outcome in ("answered", "throttled", "failed", "denied", "unattributed")
            },
        },
        "tokens": tally.tokens,
        "by_backend": {b.id: _backend(report, b.id, b.region) for b in report.outputs.backends},
        "pool": _pool(report),
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


def render(report: Report) -> str:
    return json.dumps(document(report), indent=2, ensure_ascii=False) + "\n"


def _backend(report: Report, name: str, region: str) -> dict[str, Any]:
    refusals = report.tally.refusals[name]
    return {
        "region": region,
        "count": report.tally.answered[name],
        "share": round(report.share(name), 4),
        "expected_share": round(report.plan.shares[name], 4),
        **{outcome: refusals[outcome] for outcome in ("throttled", "failed", "denied")},
        "failed_attempts": report.tally.failed_attempts[name].total(),
        "latency": report.latency(name),
    }


def _pool(report: Report) -> dict[str, Any] | None:
    reading = report.reading
    if reading is None:
        return None
    return {
        "id": report.outputs.pool.id,
        "status": reading.status,
        "unread": reading.unread or None,
        "members": [
            {"name": m.name, "priority": _number(m.priority), "weight": _number(m.weight)}
            for m in reading.pool.members
        ],
    }


def _number(value: int | str) -> int | None:
    return value if isinstance(value, int) else None
