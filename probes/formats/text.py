"""Plain lines in the format of the incident's report: for logs, pipes and people."""

from collections.abc import Callable

from probes.control_plane import FoundPool, Reading
from probes.conversations import TURNS
from probes.report import Expectation, Report, attempts, counted, told, values
from probes.sources import Source
from probes.tally import Answer

TOKENS_A_REQUEST = 25  # what one shortest completion costs, prompt included

MARKS = {True: "✓", False: "✗", None: "?"}


class Text:
    """Prints a run as it happens; the control plane comes first, however late it answers."""

    def __init__(
        self, expectation: Expectation, write: Callable[[str], object] | None = None
    ) -> None:
        self.expectation = expectation
        self.outputs = expectation.outputs
        self._write = write or (lambda _line: None)
        self._number = 0
        self._waiting: list[str] | None = []

    def start(self, source: Source, *, max_requests: int, api: str) -> None:
        """Say what is judged and what it may cost; nothing is sent before."""
        self._write(source.description)
        tokens = "no" if api == "models" else f"about {max_requests * TOKENS_A_REQUEST:,}"
        most = f"[INFO] At most {max_requests} requests and {tokens} tokens"
        then = ", then continues one in each region" if api == "responses" else ""
        self._write(f"{most}; it stops once the evidence is in{then}")

    def start_of_log(self, source: Source, window: str) -> None:
        """Say what is judged where nothing is sent."""
        self._write(source.description)
        self._write(f"[INFO] The gateway's log of the last {window}; no request is sent")

    def control_plane(self, reading: Reading | None) -> None:
        """Show the pool as read, or None where it is skipped; then what waited for it."""
        pool = self._read(reading) if reading else ["[*] Control plane skipped"]
        test = f"Testing load balancing across {len(self.outputs.backends)} regions..."
        waiting, self._waiting = self._waiting or [], None
        for line in (*pool, "", test, *waiting):
            self._write(line)

    def answer(self, answer: Answer) -> None:
        self._number += 1
        show = self._write if self._waiting is None else self._waiting.append
        show(f"Request {self._number}: {answer.seconds:.2f}s - {self._ending(answer)}")

    def end(self, report: Report) -> None:
        if self._waiting is not None:
            self.control_plane(report.reading)
        for line in _summary(report):
            self._write(line)

    def waits(self, reason: str) -> None:
        """Say why the run has not begun yet."""
        self._write(f"[INFO] Not ready: {reason}")

    def _read(self, reading: Reading) -> list[str]:
        first, *others = reading.pools
        lines = self._pool(first)
        for found in others:
            problems = self.expectation.problems(found)
            told_of = found.unread or told(problems) or values(found.pool)
            lines.append(f"  {_mark(found.unread, problems)} {found.label[4:]}: {told_of}")
        if policy := reading.policy:
            words = policy.unread or ("NOT AS DECLARED" if policy.differs else "as declared")
            lines.append(f"  {_mark(policy.unread, policy.differs)} policy: {words}")
        return lines

    def _pool(self, found: FoundPool) -> list[str]:
        lines = [f"[*] Verification GET status: {found.status or 'no answer'}"]
        if found.unread:
            return [*lines, f"  [!] Pool not read: {found.unread}"]
        pool, expected = found.pool, self.expectation
        lines.append(f"  [OK] Pool has {counted(len(pool.members), 'service')}:")
        lines += [f"    - {m.name}: priority={m.priority}, weight={m.weight}" for m in pool.members]
        if problems := expected.problems(found):
            wanted = expected.wanted(problems).upper().replace(" ROBIN", "-ROBIN")
            lines.append(f"  ✗ NOT {wanted}: {told(problems)}")
        elif expected.problems(found, equal=True):
            lines.append(f"  ✓ AS DECLARED by routing {self.outputs.routing}")
        else:
            return [*lines, f"  ✓ ROUND-ROBIN CONFIRMED: {values(pool)}"]
        shares = pool.shares and pool.forecast(self.outputs.regions).partition(" (")[0]
        return [*lines, f"  Expected traffic: {shares}"] if shares else lines

    def _ending(self, answer: Answer) -> str:
        region = self.outputs.regions.get(answer.backend or "")
        words = [f"{answer.outcome}: {answer.detail}"] if answer.detail else []
        if region:
            words += [f"Region: {region}", f"Backend: {answer.backend}"]
        if answer.region and answer.region != region:
            words.append(f"x-ms-region: {answer.region}")
        if answer.attempts > 1:
            tried = ", ".join(f"{backend} {status}" for backend, status in answer.tried)
            words.append(f"attempts: {answer.attempts}{f' (before: {tried})' if tried else ''}")
        return " - ".join(words)


def _mark(unread: str, is_against: object) -> str:
    return "[!]" if unread else MARKS[not is_against]


def _summary(report: Report) -> list[str]:
    tally = report.tally
    lines = [""]
    if (average := report.average) is not None:
        lines += [f"Average response time: {average:.2f}s", ""]
    lines.append("Region Distribution:")
    for name, region in report.outputs.regions.items():
        requests = counted(tally.answered[name], "request")
        share = report.percent(name).replace(" %", "%")
        refused = "".join(f", {n} {what}" for what, n in sorted(tally.refusals[name].items()))
        if failed := tally.failed_attempts[name]:
            refused += f", {attempts(failed)} tried again elsewhere"
        if name in tally.averages:
            refused += f", {tally.averages[name]:.2f}s on average"
        lines.append(f"  {region}: {requests} ({share}){refused}")
    apart = [f"{n} {what}" for what, n in sorted(tally.outcomes.items()) if what != "answered"]
    if apart:
        lines.append(f"  Not counted: {', '.join(apart)}")
    if tally.retried:
        lines.append(f"  Retries: {tally.retried} answers came after another region had failed")
    lines += _conversations(report)
    spent = f"{tally.requests} requests, {report.tokens} tokens"
    if report.window:
        spent = f"nothing; these {tally.requests} requests are those of the last {report.window}"
    lines += [f"  Spent: {spent}", *_hours(report), "", "Acceptance:"]
    lines += [
        f"  {MARKS[c.passed]} {c.name}: {c.detail}{'' if c.required else ' (not required)'}"
        for c in report.criteria
    ]
    lines.append("")
    if report.spread:
        lines.append("[OK] Load balancing test complete!")
    return [*lines, report.sentence]


def _conversations(report: Report) -> list[str]:
    lines = []
    for each in report.conversations:
        ended = each.lost or each.unknown or f"all there, {each.steps} asked in vain"
        lines.append(f"    {MARKS[each.held]} {report.outputs.regions[each.backend]}: {ended}")
    return [f"  Conversations of {TURNS} turns:", *lines] if lines else []


def _hours(report: Report) -> list[str]:
    if not report.hours:
        return []
    regions = report.outputs.regions
    widths = {name: max(len(region), 6) for name, region in regions.items()}
    titles = "  ".join(region.rjust(widths[name]) for name, region in regions.items())
    lines = ["", f"{'By hour (UTC)':<16}  {'answers':>7}  {titles}"]
    for hour in report.hours.each:
        shares = "  ".join(
            (f"{100 * hour.share(n):.1f}%" if hour.answered[n] else "-").rjust(widths[n])
            for n in regions
        )
        lines.append(f"{hour.begin:%Y-%m-%d %H:%M}  {hour.total:>7}  {shares}")
    return [*lines, *(f"✗ {told}" for told in report.silences)]
