"""The same lines in a terminal, with the shares and the evidence below them as they grow."""

import math

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text as RichText

from probes.evidence import Plan
from probes.forms.text import Text
from probes.outputs import Stack
from probes.report import Report
from probes.tally import Answer, Tally

_STYLES = {
    "✓": "green",
    "[OK]": "green",
    "balanced:": "bold green",
    "✗": "red",
    "not balanced:": "bold red",
    "[!]": "yellow",
    "inconclusive:": "bold yellow",
    "[INFO]": "dim",
}


class Live(Text):
    """Shows a run in a terminal; rich honours NO_COLOR."""

    def __init__(self, stack: Stack, plan: Plan, *, round_robin: bool) -> None:
        super().__init__(stack, round_robin=round_robin, write=self._print)
        self._plan = plan
        self._tally = Tally(plan.shares)
        self._console = Console(highlight=False)
        self._live = RichLive(console=self._console, transient=True, auto_refresh=False)

    def start(self, source: str, *, max_requests: int, zero_tokens: bool) -> None:
        """Say what begins, and show that it has begun."""
        super().start(source, max_requests=max_requests, zero_tokens=zero_tokens)
        self._live.start()
        self._live.update(self._progress(), refresh=True)

    def answer(self, answer: Answer) -> None:
        """Show how one request ended, and what it changes."""
        self._tally.add(answer)
        super().answer(answer)
        self._live.update(self._progress(), refresh=True)

    def end(self, report: Report) -> None:
        """Replace the progress by the distribution, the criteria and the verdict."""
        self._live.stop()
        super().end(report)

    def _print(self, line: str) -> None:
        start = line.strip()
        style = next((style for mark, style in _STYLES.items() if start.startswith(mark)), "")
        self._console.print(RichText(line, style=style), soft_wrap=True)

    def _progress(self) -> Group:
        table = Table.grid(padding=(0, 1))
        counted = self._tally.counted
        for backend in self.stack.backends:
            count = self._tally.answered[backend.name]
            share = count / (counted or 1)
            table.add_row(
                backend.region,
                ProgressBar(total=1.0, completed=share, width=30),
                f"{100 * share:.1f} %",
                RichText(self._evidence(backend.name), style="dim"),
            )
        requests = len(self._tally.answers)
        return Group(RichText(f"{requests} requests, {counted} answered", style="bold"), table)

    def _evidence(self, backend: str) -> str:
        """Say how far each suspicion is from being proved (100 %), or that it is refuted."""
        words = []
        total = self._tally.counted
        for trial, hits, seen in self._plan.counts(self._tally.answered, self._tally.refused):
            if trial.backend == backend:
                value = trial.evidence(hits, seen)
                cleared = trial.clears(self._tally.answered[backend], total)
                proof = 0 if math.isinf(value) else max(0, min(1, value / trial.condemns_at))
                words.append(f"{trial.suspicion} {'refuted' if cleared else f'{proof:.0%}'}")
        return ", ".join(words)
