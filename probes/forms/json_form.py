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
        "expected": "round-robin" if report.round_robin else report.stack.routing,
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
        "by_backend": {b.name: _backend(report, b.name, b.region) for b in report.stack.backends},
        "pool": _pool(report),
        "evidence": [
            {
                "backend": trial.backend,
                "suspicion": trial.suspicion,
                # The log likelihood ratio is minus infinity once silence is refuted.
                "value": value if math.isfinite(value := trial.evidence(hits, total)) else None,
                "condemns_at": trial.condemns_at,
                "clears_at": trial.clears_at,
            }
            for trial, hits, total in report.plan.counts(tally.answered, tally.refused)
        ],
    }


def render(report: Report, *, one_line: bool = False) -> str:
    """Return the report as text, indented, or as one line of a stream."""
    indent = None if one_line else 2
    return json.dumps(document(report), indent=indent, ensure_ascii=False) + "\n"


def _backend(report: Report, name: str, region: str) -> dict[str, Any]:
    refusals = report.tally.refusals[name]
    return {
        "region": region,
        "count": report.tally.answered[name],
        "share": round(report.share(name), 4),
        "expected_share": round(report.plan.shares[name], 4),
        **{outcome: refusals[outcome] for outcome in ("throttled", "failed", "denied")},
        "latency": report.latency(name),
    }


def _pool(report: Report) -> dict[str, Any] | None:
    pool = report.pool
    if pool is None:
        return None
    return {
        "id": report.stack.pool_id,
        "status": pool.status,
        "unread": pool.unread or None,
        "members": [
            {"name": m.name, "priority": m.priority, "weight": m.weight} for m in pool.members
        ],
    }
