"""What the comment says first, and the exit code that goes with it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from components import guardrails, traffic
from components.traffic import listed, percent
from probes.exit_codes import AS_DECLARED, INCONCLUSIVE, UNBALANCED
from probes.preview.model import LOSABLE, Change, PoolChange, Preview

_GRAVITY = {AS_DECLARED: 0, INCONCLUSIVE: 1, UNBALANCED: 2}
_RUN_WITH = "run it with --show-sames"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The sentence, what goes down, the reasons, and the exit code of `exit_codes.COMMENT`.

    One that `warns` is as declared, and still nothing to merge unread. `accept` has what to do with
    a line of the stack's config, and the line.
    """

    code: int
    sentence: str
    goes_down: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    accept: tuple[tuple[str, str], ...] = ()
    warns: bool = False

    @property
    def sign(self) -> str:
        """A picture for the code."""
        if self.code == AS_DECLARED:
            return "⚠️" if self.warns else "✅"
        return "❌" if self.code == UNBALANCED else "❔"


def judge(preview: Preview) -> Verdict:
    """Judge the pool that there would be, what else moves traffic, and what would be lost."""
    verdict = _with_drift(_traffic(preview), preview)
    if preview.violations:
        verdict = replace(verdict, warns=True)
    return _with_losses(verdict, preview) if preview.losses else verdict


def _traffic(preview: Preview) -> Verdict:
    errors = tuple(line for error in preview.explained for line in _lines(error))
    forecast = next(filter(None, map(traffic.refused, preview.errors)), "")
    if forecast:
        return Verdict(code=UNBALANCED, sentence=f"Refused: {forecast}", reasons=errors)
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
    explained = preview.violations or preview.losses
    if preview.failures or (preview.errors and not explained):
        return Verdict(
            code=INCONCLUSIVE,
            sentence="The preview failed: where traffic would go cannot be told",
            reasons=errors or preview.errors,
        )
    return verdict


def _lines(error: str) -> list[str]:
    """Return the lines of an error, without the frames of a stack trace."""
    lines = error.splitlines()
    is_trace = any(line.startswith("Traceback ") for line in lines)
    kept = (line for line in lines if not (is_trace and line.startswith((" ", "Traceback "))))
    return [line.strip() for line in kept if line.strip()]


def _pools(preview: Preview) -> Verdict:
    if not preview.resources:
        return Verdict(
            code=INCONCLUSIVE,
            sentence="The preview is empty: where traffic would go cannot be told",
            reasons=(f"it has no steps; {_RUN_WITH}",),
        )
    gone = [pool.name for pool in preview.pools if pool.after is None]
    if gone and not preview.failures:
        return Verdict(
            code=UNBALANCED, sentence=f"The pool {', '.join(gone)} would be gone: no traffic there"
        )
    verdicts = [_pool(preview, pool.after) for pool in preview.pools if pool.after is not None]
    if not verdicts:
        return Verdict(
            code=INCONCLUSIVE,
            sentence="The preview has no pool: where traffic would go cannot be told",
            reasons=(_RUN_WITH,),
        )
    return max(verdicts, key=lambda verdict: _GRAVITY[verdict.code])


def _pool(preview: Preview, pool: traffic.Pool) -> Verdict:
    wrong = preview.stack.wrong(pool)
    reasons = (*(f"{each.message}; {each.remedy}" for each in wrong), *pool.untold)
    shares = pool.by_label(preview.labels("after"))
    is_even = len(set(shares.values())) == 1 and len(shares) == len(pool.members)
    alone = next((region for region, share in shares.items() if share == 1), None)
    if not shares or (wrong and is_even):
        sentence = f"Not as declared: {wrong[0].message}" if wrong else ""
        sentence = sentence or "Where traffic would go cannot be told"
    elif is_even and alone is None:
        sentence = f"Round robin, {percent(min(shares.values()))} of traffic to each region"
    elif alone is not None:
        sentence = f"100 % of traffic to {alone}"
    else:
        each = ", ".join(f"{region} {percent(share)}" for region, share in shares.items())
        sentence = f"Unequal traffic: {each}"
    if wrong or not shares:
        code = UNBALANCED if wrong else INCONCLUSIVE
        return Verdict(code=code, sentence=sentence, reasons=reasons)
    if preview.routing != "round-robin" and not is_even:
        sentence += f" (declared: routing is {preview.routing})"
    accepted = {str(each).lower() for each in preview.stack.names("accept_starved")}
    starved = [name for name in pool.starved if name.lower() not in accepted]
    accept: tuple[tuple[str, str], ...] = ()
    if starved:
        names = listed([preview.labels("after").get(name, name) for name in starved])
        reasons = (f"{names} would get nothing as long as all is well",)
        line = f"openai-gateway:acceptStarved: [{', '.join(pool.starved)}]"
        accept = (("To accept that, write in the stack's config", line),)
    return Verdict(
        code=AS_DECLARED, sentence=sentence, reasons=reasons, accept=accept, warns=bool(starved)
    )


def _with_drift(verdict: Verdict, preview: Preview) -> Verdict:
    """Add what a refresh found to differ from the state."""
    found = [_drift(preview, pool) for pool in preview.pools if pool.live is not None]
    gone = [each.described for each in preview.resources if each.is_gone and each.after]
    if gone:
        found.append(f"gone, and would be made anew once purged: {', '.join(gone)}")
    if not found:
        return verdict
    remedy = "`pulumi up --refresh` puts it right; a plain `pulumi up` takes it for unchanged"
    reasons = (*(f"Changed in Azure since the last `up`: {each}" for each in found), remedy)
    return replace(verdict, reasons=(*reasons, *verdict.reasons), warns=True)


def _drift(preview: Preview, pool: PoolChange) -> str:
    live = pool.live or traffic.Pool()
    forecast = live.forecast(preview.labels("live"))
    reasons = [each.message for each in preview.stack.wrong(live)]
    return f"{pool.name}: {forecast or '; '.join(reasons)}"


def _with_losses(verdict: Verdict, preview: Preview) -> Verdict:
    """Put first what goes down: that is green for nobody, and stops unless allowed by name."""
    groups: dict[str, dict[str, list[Change]]] = {}
    for each in preview.losses:
        groups.setdefault(each.operation, {}).setdefault(each.type, []).append(each)
    place = partial(_place, preview.labels("before"))
    doing = "; ".join(
        f"{listed([place(each) for those in by_type.values() for each in those])} "
        f"would be {operation}d"
        for operation, by_type in groups.items()
    )
    is_refused = any(each.refused for each in preview.losses)
    names = [each.name for each in preview.losses if each.name not in preview.allowed]
    how = "To allow it, write in the stack's config"
    line = f"openai-gateway:protect: {{except: [{', '.join([*preview.allowed, *names])}]}}"
    if is_refused:
        how += ", and deploy that before this change"
        if verdict.code == UNBALANCED:
            verdict = replace(verdict, reasons=(verdict.sentence, *verdict.reasons))
    return replace(
        verdict,
        code=UNBALANCED if names or is_refused else verdict.code,
        sentence=f"Refused, as protected: {doing}"
        if is_refused
        else f"Downtime: {doing}; then: {verdict.sentence}",
        goes_down=tuple(
            _goes_down(those, listed([place(each) for each in those]))
            for by_type in groups.values()
            for those in by_type.values()
        ),
        accept=(*(((how, line),) if names else ()), *verdict.accept),
        warns=True,
    )


def _place(regions: Mapping[str, str], change: Change) -> str:
    if change.type == guardrails.SERVICE:
        return f"API Management service {change.azure_name}"
    region = regions.get(change.name)
    return f"{change.name} ({region})" if region else change.described


def _goes_down(losses: list[Change], who: str) -> str:
    """Say what would answer no more, for how long, and which names stay taken."""
    first, several = losses[0], len(losses) > 1
    if first.operation == "delete":
        lasts = "for good"
    elif first.type == guardrails.SERVICE:
        # API Management documentation, "Create an instance" and "v2 tiers overview".
        tier = first.sku[0]
        took = "minutes" if tier.endswith("V2") or tier == "Consumption" else "30 to 45 minutes"
        lasts = f"for all regions until the new service is there: {took} on {tier}"
    else:
        # Azure RBAC documentation, "Troubleshoot": a role may take effect late.
        lasts = "until a new account answers: minutes, and up to 30 until its role takes effect"
    said = f"{who} would go down {lasts}."
    if first.type not in LOSABLE:
        return said
    names = listed([each.azure_name for each in losses])
    said += f" The name{'s' * several} {names} stay{'s' * (not several)} taken for 48 hours"
    if first.operation == "delete":
        return f"{said} (soft delete), unless purged."
    return f"{said} (soft delete): until purged, Azure refuses what would replace it."
