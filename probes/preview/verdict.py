"""What the comment says first, and the exit code that goes with it."""

from dataclasses import dataclass
from fractions import Fraction

from components.traffic import percent
from probes.preview.model import Pool, Preview

BALANCED, UNBALANCED, CANNOT_TELL = 0, 1, 3


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The sentence, its reasons, and the exit code: 0 as wanted, 1 unbalanced, 3 cannot tell."""

    code: int
    sentence: str
    reasons: tuple[str, ...] = ()


def judge(preview: Preview) -> Verdict:
    """Judge the pool that there would be."""
    if preview.errors:
        verdict = _pools(preview) if preview.after else None
        if verdict and verdict.code == UNBALANCED:
            return verdict
        return Verdict(
            code=CANNOT_TELL,
            sentence="The preview failed: where traffic would go cannot be told",
            reasons=tuple(error.splitlines()[0] for error in preview.errors if error),
        )
    if not preview.has_steps:
        return Verdict(
            code=CANNOT_TELL,
            sentence="The preview is empty: where traffic would go cannot be told",
            reasons=("it has no steps; run it with --show-sames",),
        )
    return _pools(preview)


def _pools(preview: Preview) -> Verdict:
    if not preview.after:
        gone = ", ".join(preview.before)
        return Verdict(
            code=UNBALANCED if gone else CANNOT_TELL,
            sentence=f"The pool {gone} would be gone: no traffic is spread"
            if gone
            else "The preview has no pool: where traffic would go cannot be told",
            reasons=() if gone else ("run it with --show-sames",),
        )
    verdicts = [_pool(pool, preview.routing) for pool in preview.after.values()]
    return max(verdicts, key=lambda verdict: (verdict.code == UNBALANCED, verdict.code))


def _pool(pool: Pool, routing: str) -> Verdict:
    if not pool.members:
        return Verdict(code=UNBALANCED, sentence=f"The pool {pool.name} would have no members")
    shares = pool.shares
    if shares is None:
        unknown = [
            f"{what} of {member.label} is {value}"
            for member in pool.members
            for what, value in (("priority", member.priority), ("weight", member.weight))
            if isinstance(value, str)
        ]
        return Verdict(
            code=CANNOT_TELL,
            sentence="Where traffic would go cannot be told",
            reasons=tuple(unknown),
        )
    if not pool.reasons:
        return Verdict(
            code=BALANCED, sentence=f"Round robin, {percent(shares[0])} of traffic to each region"
        )
    sentence = _shares(pool, shares)
    if routing in ("priority", "weighted"):
        sentence += f" (declared: routing is {routing})"
    return Verdict(
        code=BALANCED if routing in ("priority", "weighted") else UNBALANCED,
        sentence=sentence,
        reasons=tuple(pool.reasons),
    )


def _shares(pool: Pool, shares: tuple[Fraction, ...]) -> str:
    for member, share in zip(pool.members, shares, strict=True):
        if share == 1:
            return f"100 % of traffic to {member.label}"
    listed = ", ".join(
        f"{member.label} {percent(share)}"
        for member, share in zip(pool.members, shares, strict=True)
    )
    return f"Unequal traffic: {listed}"
