"""Plain lines in the format of the incident's report: for logs, pipes and people."""

from collections.abc import Callable

from probes.outputs import Stack
from probes.pool import Pool
from probes.report import Report, problem
from probes.tally import Answer

TOKENS_A_REQUEST = 25
"""What one shortest completion costs, prompt included."""

_MARKS = {True: "✓", False: "✗", None: "?"}


class Text:
    """Prints a run as it happens; the control plane comes first, however late it answers."""

    def __init__(self, stack: Stack, *, round_robin: bool, write: Callable[[str], object]) -> None:
        self.stack = stack
        self.round_robin = round_robin
        self._write = write
        self._number = 0
        self._waiting: list[str] | None = []

    def start(self, source: str, *, max_requests: int, zero_tokens: bool) -> None:
        """Say where the outputs come from and what the run may cost; nothing is sent before."""
        self._write(f"[INFO] Outputs: {source}")
        tokens = "no" if zero_tokens else f"about {max_requests * TOKENS_A_REQUEST:,}"
        self._write(
            f"[INFO] At most {max_requests} requests and {tokens} tokens; "
            "it stops once the evidence is in"
        )

    def control_plane(self, pool: Pool | None) -> None:
        """Show the pool as read, or None where it is skipped; then what waited for it."""
        for line in self._pool(pool) if pool else ["[*] Control plane skipped"]:
            self._write(line)
        self._write("")
        self._write(f"Testing load balancing across {len(self.stack.backends)} regions...")
        waiting, self._waiting = self._waiting or [], None
        for line in waiting:
            self._write(line)

    def answer(self, answer: Answer) -> None:
        """Show how one request ended."""
        self._number += 1
        line = f"Request {self._number}: {answer.seconds:.2f}s - {self._ending(answer)}"
        if self._waiting is None:
            self._write(line)
        else:
            self._waiting.append(line)

    def end(self, report: Report) -> None:
        """Show the distribution, the criteria and the verdict."""
        if self._waiting is not None:
            self.control_plane(report.pool)
        for line in _summary(report):
            self._write(line)

    def _pool(self, pool: Pool) -> list[str]:
        lines = [f"[*] Verification GET status: {pool.status or 'no answer'}"]
        if pool.unread:
            return [*lines, f"  [!] Pool not read: {pool.unread}"]
        count = len(pool.members)
        lines.append(f"  [OK] Pool has {count} service{'' if count == 1 else 's'}:")
        lines += [
            f"    - {m.name}: priority={_null(m.priority)}, weight={_null(m.weight)}"
            for m in pool.members
        ]
        differences = pool.differences(self.stack, round_robin=self.round_robin)
        if not differences and not pool.differences(self.stack, round_robin=True):
            return [*lines, f"  ✓ ROUND-ROBIN CONFIRMED: {pool.values}"]
        if not differences:
            lines.append(f"  ✓ AS DECLARED by routing {self.stack.routing}")
        else:
            wanted = "ROUND-ROBIN" if self.round_robin else "AS DECLARED"
            lines.append(f"  ✗ NOT {wanted}: {', '.join(differences)}")
        forecast = pool.forecast(self.stack)
        return [*lines, f"  Expected traffic: {forecast}"] if forecast else lines

    def _ending(self, answer: Answer) -> str:
        region = self.stack.regions.get(answer.backend or "")
        words = [] if answer.outcome == "answered" else [problem(answer)]
        if region:
            words += [f"Region: {region}", f"Backend: {answer.backend}"]
        if answer.region and answer.region != region:
            words.append(f"x-ms-region: {answer.region}")
        if answer.attempts > 1:
            words.append(f"attempts: {answer.attempts}")
        return " - ".join(words)


def _summary(report: Report) -> list[str]:
    tally = report.tally
    answered = [answer.seconds for answer in tally.answers if answer.outcome == "answered"]
    lines = [""]
    if answered:
        lines += [f"Average response time: {sum(answered) / len(answered):.2f}s", ""]
    lines.append("Region Distribution:")
    for name, region in report.stack.regions.items():
        count = tally.answered[name]
        requests = "request" if count == 1 else "requests"
        share = report.percent(name).replace(" %", "%")
        refused = "".join(f", {n} {what}" for what, n in sorted(tally.refusals[name].items()))
        lines.append(f"  {region}: {count} {requests} ({share}){refused}")
    apart = [(what, n) for what, n in sorted(tally.outcomes.items()) if what != "answered"]
    if apart:
        lines.append(f"  Not counted: {', '.join(f'{n} {what}' for what, n in apart)}")
    if tally.retried:
        lines.append(f"  Retries: {tally.retried} answers came after another region had failed")
    lines += [f"  Spent: {len(tally.answers)} requests, {tally.tokens} tokens"]
    lines += ["", "Acceptance:"]
    lines += [
        f"  {_MARKS[c.passed]} {c.name}: {c.detail}{'' if c.required else ' (not required)'}"
        for c in report.criteria
    ]
    lines.append("")
    if report.verdict == "balanced":
        lines.append("[OK] Load balancing test complete!")
    return [*lines, report.sentence]


def _null(number: int | None) -> str:
    return "null" if number is None else str(number)
