"""What the comment says first, and the exit code that goes with it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from components import guardrails, traffic
from components.traffic import listed, percent
from probes.exit_codes import AS_DECLARED, INCONCLUSIVE, UNBALANCED
from probes.preview.model import LOSABLE, Change, Preview

_UNTOLD = "where traffic would go cannot be told"
_RUN_WITH = "run it with --show-sames"


@dataclass(frozen=True)
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
        if self.code == AS_DECLARED:
            return "⚠️" if self.warns else "✅"
        return "❌" if self.code == UNBALANCED else "❔"


def judge(preview: Preview) -> Verdict:
    verdict = _with_drift(_traffic(preview), preview)
    if preview.violations:
        verdict = replace(verdict, warns=True)
    return _with_losses(verdict, preview) if preview.losses else verdict


def _traffic(preview: Preview) -> Verdict:
    errors = tuple(line for error in preview.explained for line in _lines(error))
    for forecast in filter(None, map(traffic.refused, preview.errors)):
        return Verdict(UNBALANCED, f"Refused: {forecast}", reasons=errors)
    verdict = _pools(preview)
    if verdict.code == UNBALANCED:
        return verdict
    broken = preview.violations
    if moving := [f"{v.resource.name}: {v.message}" for v in broken if v.moves_traffic]:
        return Verdict(UNBALANCED, f"Unbalanced traffic: {moving[0]}", reasons=tuple(moving[1:]))
    # The engine's "preview failed" alone is a rule of a policy pack, but it does not say which.
    if preview.failures or (preview.errors and not (broken or preview.losses)):
        reasons = errors or preview.errors
        return Verdict(INCONCLUSIVE, f"The preview failed: {_UNTOLD}", reasons=reasons)
    return verdict


def _lines(error: str) -> list[str]:
    lines = error.splitlines()
    is_trace = any(line.startswith("Traceback ") for line in lines)
    kept = (line for line in lines if not (is_trace and line.startswith((" ", "Traceback "))))
    return [line.strip() for line in kept if line.strip()]


def _pools(preview: Preview) -> Verdict:
    if not preview.resources:
        reasons = (f"it has no steps; {_RUN_WITH}",)
        return Verdict(INCONCLUSIVE, f"The preview is empty: {_UNTOLD}", reasons=reasons)
    pools = [*preview.pools]
    gone = ", ".join(pool.name for pool in pools if "after" not in pool.sides)
    if gone and not preview.failures:
        return Verdict(UNBALANCED, f"The pool {gone} would be gone: no traffic there")
    verdicts = {
        pool.name: _pool(preview, pool.stack, pool.sides["after"])
        for pool in sorted(pools, key=lambda each: each.name)
        if "after" in pool.sides
    }
    if not verdicts:
        return Verdict(INCONCLUSIVE, f"The preview has no pool: {_UNTOLD}", reasons=(_RUN_WITH,))
    gravest_last = (AS_DECLARED, INCONCLUSIVE, UNBALANCED)
    code = max((each.code for each in verdicts.values()), key=gravest_last.index)
    found = {name: each for name, each in verdicts.items() if each.code == code}
    first = next(iter(found.values()))
    if len({each.sentence for each in found.values()}) == 1:
        return first  # as those of all models are
    several = sum(bool(each.accept) for each in found.values()) > 1
    return Verdict(
        code,
        "; ".join(f"{name}: {each.sentence}" for name, each in found.items()),
        reasons=tuple(reason for each in found.values() for reason in each.reasons),
        accept=tuple(
            (f"{name}: {how}" if several else how, line)
            for name, each in found.items()
            for how, line in each.accept
        ),
        warns=any(each.warns for each in found.values()),
    )


def _pool(preview: Preview, stack: guardrails.Stack, pool: traffic.Pool) -> Verdict:
    wrong = stack.wrong(pool)
    reasons = (*(f"{each.message}; {each.remedy}" for each in wrong), *pool.untold)
    labels = preview.labels("after", stack)
    shares = pool.by_label(labels)
    is_even = len(set(shares.values())) == 1 and len(shares) == len(pool.members)
    alone = next((region for region, share in shares.items() if share == 1), None)
    if wrong and (is_even or not shares):
        sentence = f"Not as declared: {wrong[0].message}"
    elif not shares:
        sentence = "Where traffic would go cannot be told"
    elif alone is not None:
        sentence = f"100 % of traffic to {alone}"
    elif is_even:
        sentence = f"Round robin, {percent(min(shares.values()))} of traffic to each region"
    else:
        each = ", ".join(f"{region} {percent(share)}" for region, share in shares.items())
        sentence = f"Unequal traffic: {each}"
    if wrong or not shares:
        return Verdict(UNBALANCED if wrong else INCONCLUSIVE, sentence, reasons=reasons)
    if stack.routing != "round-robin" and not is_even:
        sentence += f" (declared: routing is {stack.routing})"
    verdict = Verdict(AS_DECLARED, sentence, reasons=reasons)
    if not (starved := stack.starved(pool)):
        return verdict
    names = listed([labels.get(name, name) for name in starved])
    reason = f"{names} would get nothing as long as all is well"
    where, prefix = preview.place_of_keys
    line = f"{prefix}acceptStarved: [{', '.join(pool.starved)}]"
    accept = ((f"To accept that, write in {where}", line),)
    return replace(verdict, reasons=(reason,), accept=accept, warns=True)


def _with_drift(verdict: Verdict, preview: Preview) -> Verdict:
    """Put first what runs and was not deployed: shares of a pool, and each property by its name."""
    pools = {pool.name: pool for pool in preview.pools if "live" in pool.sides}
    found = {each.described: each.drifted for each in preview.resources if each.drifted}
    for each in preview.resources:
        if each.type == guardrails.BACKEND and (pool := pools.get(each.name)):
            live = pool.sides["live"]
            problems = "; ".join(problem.message for problem in pool.stack.wrong(live))
            runs = live.forecast(preview.labels("live", pool.stack)) or problems
            found[each.described] = [*found.get(each.described, ()), f"traffic: {runs}"]
        elif each.before is not None and each.live is None and each.after:
            found[each.described] = ["gone, and would be made anew once purged"]
    if not found:
        return verdict
    reasons = [f"Changed in Azure: {who}: {', '.join(what[-7:])}" for who, what in found.items()]
    remedy = (
        "`pulumi up --refresh` puts it right, as the deployment of a merge runs it; a plain "
        "`pulumi up` takes it for unchanged"
    )
    sentence = f"Changed in Azure: {listed([*found][:5])}; then: {verdict.sentence}"
    reasons = [*reasons, remedy, *verdict.reasons]
    return replace(verdict, sentence=sentence, reasons=tuple(reasons), warns=True)


def _with_losses(verdict: Verdict, preview: Preview) -> Verdict:
    """Put first what goes down: that is green for nobody, and stops unless allowed by name."""
    losses, doing, down = preview.losses, [], []
    for operation in dict.fromkeys(each.operation for each in losses):
        those = [each for each in losses if each.operation == operation]
        doing.append(f"{listed([_place(each, preview) for each in those])} would be {operation}d")
        for kind in dict.fromkeys(each.type for each in those):
            alike = [each for each in those if each.type == kind]
            down.append(_goes_down(alike, listed([_place(each, preview) for each in alike])))
    is_refused = any(each.refused for each in losses)
    unallowed: dict[str, list[Change]] = {}
    for each in losses:
        if preview.stack_of(each).plain(each) not in preview.allowed_of(each):
            unallowed.setdefault(each.within, []).append(each)
    how = ""
    sentence = f"Downtime: {'; '.join(doing)}; then: {verdict.sentence}"
    if is_refused:
        sentence = f"Refused, as protected: {'; '.join(doing)}"
        how = ", and deploy that before this change"
        if verdict.code == UNBALANCED:
            verdict = replace(verdict, reasons=(verdict.sentence, *verdict.reasons))
    return replace(
        verdict,
        code=UNBALANCED if unallowed or is_refused else verdict.code,
        sentence=sentence,
        goes_down=tuple(down),
        accept=(
            *(
                (f"To allow it, write in {where}{how}", line)
                for where, line in _exceptions(unallowed, preview)
            ),
            *verdict.accept,
        ),
        warns=True,
    )


def _exceptions(
    unallowed: Mapping[str, list[Change]], preview: Preview
) -> Iterator[tuple[str, str]]:
    """Give for each component that loses something where what is to be written."""
    for component, losses in unallowed.items():
        where, prefix = preview.place_of_keys
        if len(unallowed) > 1 and not preview.is_configured:
            where = f"the arguments of {component}"
        names = [preview.stack_of(each).plain(each) for each in losses]
        names = [*preview.allowed_of(losses[0]), *names]
        yield where, f"{prefix}protect: {{except: [{', '.join(names)}]}}"


def _place(change: Change, preview: Preview) -> str:
    if change.type == guardrails.SERVICE:
        return f"API Management service {change.azure_name}"
    region = preview.region(change)
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
