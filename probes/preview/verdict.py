"""What the comment says first, and the exit code that goes with it."""

from dataclasses import dataclass

from components.traffic import percent
from probes.preview.model import Pool, Preview

BALANCED, UNBALANCED, CANNOT_TELL = 0, 1, 3
_GRAVITY = {BALANCED: 0, CANNOT_TELL: 1, UNBALANCED: 2}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The sentence, its reasons, and the exit code: 0 as wanted, 1 unbalanced, 3 cannot tell."""

    code: int
    sentence: str
    reasons: tuple[str, ...] = ()


def judge(preview: Preview) -> Verdict:
    """Judge the pool that there would be, and what else moves traffic."""
    verdict = _pools(preview)
    if verdict.code == UNBALANCED:
        return verdict
    moving = [
        f"{each.resource.name}: {each.message}" for each in preview.violations if each.moves_traffic
    ]
    if moving:
        return Verdict(
            code=UNBALANCED, sentence=f"Unbalanced traffic: {moving[0]}", reasons=tuple(moving[1:])
        )
    # The engine's "preview failed" alone is a rule of a policy pack, but it does not say which.
    explained = preview.violations and not preview.failures
    if preview.errors and not explained:
        return Verdict(
            code=CANNOT_TELL,
            sentence="The preview failed: where traffic would go cannot be told",
            reasons=tuple(map(_headline, preview.errors)),
        )
    return verdict


def _headline(error: str) -> str:
    """Return the first line of an error, and the last of one that ends with what it is about."""
    lines = [line.strip() for line in error.splitlines() if line.strip()] or [""]
    return lines[0] if len(lines) == 1 else f"{lines[0]} {lines[-1]}"


def _pools(preview: Preview) -> Verdict:
    if not preview.has_steps:
        return Verdict(
            code=CANNOT_TELL,
            sentence="The preview is empty: where traffic would go cannot be told",
            reasons=("it has no steps; run it with --show-sames",),
        )
    gone = [name for name in preview.before if name not in preview.after]
    if gone and not preview.failures:
        return Verdict(
            code=UNBALANCED, sentence=f"The pool {', '.join(gone)} would be gone: no traffic there"
        )
    if not preview.after:
        return Verdict(
            code=CANNOT_TELL,
            sentence="The preview has no pool: where traffic would go cannot be told",
            reasons=("run it with --show-sames",),
        )
    verdicts = [_pool(pool, preview.routing) for pool in preview.after.values()]
    return max(verdicts, key=lambda verdict: _GRAVITY[verdict.code])


def _pool(pool: Pool, routing: str) -> Verdict:
    if pool.not_told:
        return Verdict(
            code=CANNOT_TELL,
            sentence="Where traffic would go cannot be told",
            reasons=tuple(pool.not_told),
        )
    if not pool.members:
        return Verdict(code=UNBALANCED, sentence=f"The pool {pool.name} would have no members")
    shares = pool.by_region
    if not pool.reasons and len(shares) == len(pool.members):
        return Verdict(
            code=BALANCED,
            sentence=f"Round robin, {percent(min(shares.values()))} of traffic to each region",
        )
    alone = next((region for region, share in shares.items() if share == 1), None)
    listed = ", ".join(f"{region} {percent(share)}" for region, share in shares.items())
    sentence = f"100 % of traffic to {alone}" if alone is not None else f"Unequal traffic: {listed}"
    declared = pool.opted_in(routing)
    if declared:
        sentence += f" (declared: routing is {routing})"
    return Verdict(
        code=BALANCED if declared else UNBALANCED, sentence=sentence, reasons=tuple(pool.reasons)
    )
