"""The same lines in a terminal, with the shares and the evidence below them as they grow."""

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text as RichText

from probes.evidence import Counts
from probes.formats.lines import wrapped
from probes.formats.text import Text
from probes.report import Expectation, Report
from probes.sources import Source
from probes.tally import Answer, Tally

_STYLES = {
    "✓": "green",
    "[OK]": "green",
    "balanced:": "bold green",
    "✗": "red",
    "not balanced:": "bold red",
    "as declared, not spread:": "bold yellow",
    "[!]": "yellow",
    "inconclusive:": "bold yellow",
    "[INFO]": "dim",
}


class Live(Text):
    """Shows a run in a terminal; rich honours NO_COLOR."""

    def __init__(self, expectation: Expectation) -> None:
        super().__init__(expectation, self._print)
        self._tally = Tally(expectation.plan.shares)
        self._console = Console(highlight=False)
        self._live = RichLive(console=self._console, transient=True, auto_refresh=False)

    def start(self, source: Source, *, max_requests: int, api: str) -> None:
        super().start(source, max_requests=max_requests, api=api)
        self._live.start()
        self._live.update(self._progress(), refresh=True)

    def answer(self, answer: Answer) -> None:
        self._tally.add(answer)
        super().answer(answer)
        self._live.update(self._progress(), refresh=True)

    def end(self, report: Report) -> None:
        self._live.stop()
        super().end(report)

    def _print(self, line: str) -> None:
        start = line.strip()
        style = next((style for mark, style in _STYLES.items() if start.startswith(mark)), "")
        for part in wrapped(line, self._console.width):
            self._console.print(RichText(part, style=style))

    def _progress(self) -> Group:
        table = Table.grid(padding=(0, 1))
        counts = self._tally.counts
        for backend in self.outputs.backends:
            share = counts.answered[backend.id] / (counts.total or 1)
            table.add_row(
                backend.region,
                ProgressBar(total=1.0, completed=share, width=self._console.width // 5),
                f"{100 * share:.1f} %",
                RichText(self._evidence(backend.id, counts), style="dim"),
            )
        requests = self._tally.requests
        return Group(RichText(f"{requests} requests, {counts.total} answered", style="bold"), table)

    def _evidence(self, backend: str, counts: Counts) -> str:
        """Say what is proved of a region's share, or how near the proof against it is."""
        suspected = {"excess": "too much", "lack": "too little", "silence": "no answer"}
        plan, words = self.expectation.plan, []
        still = [trial for trial in plan.open(counts) if trial.backend == backend]
        for trial, hits, seen in plan.counted(counts):
            proof = trial.evidence(hits, seen) / trial.condemns_at if seen and trial in still else 0
            if proof > 0:
                so_far = f"? {100 * proof:.0f} % of the proof" if proof < 1 else ""
                words.append(suspected[trial.suspicion] + so_far)
        return ", ".join(words) or ("not sure yet" if still else "as expected")
