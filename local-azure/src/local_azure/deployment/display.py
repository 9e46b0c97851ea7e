"""What a run prints: the tree and the counts that a Pulumi user knows, or the preview's JSON."""

import difflib
import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TextIO

from local_azure.deployment.journal import Diagnostic, Journal, Op, Step
from local_azure.deployment.state import ROOT_TYPE, ResourceState
from local_azure.deployment.values import REDACTED, UNKNOWN, Change, Json, changes, redacted

if TYPE_CHECKING:  # only live progress needs it, and a preview has none
    from rich.progress import TaskID

Operation = Literal["preview", "up", "destroy"]

_HEADERS = {"preview": "Previewing update", "up": "Updating", "destroy": "Destroying"}
_SIGNS: Mapping[Op, str] = {
    "refresh": "~ ",
    "same": "= ",
    "create": "+ ",
    "update": "~ ",
    "replace": "+-",
    "delete": "- ",
}
_COLOURS: Mapping[Op, str] = {"create": "32", "update": "33", "replace": "35", "delete": "31"}
_DONE: Mapping[Op, str] = {
    "refresh": "refreshed",
    "same": "unchanged",
    "create": "created",
    "update": "updated",
    "replace": "replaced",
    "delete": "deleted",
}
_ORDER: tuple[Op, ...] = ("create", "update", "delete", "replace", "same")
_KIND_SIGNS = {"add": "+", "delete": "-", "update": "~"}
_UNKNOWN_TEXT = "[unknown]"
NOBODY_LISTENS = (
    "No local Azure runs: nothing answers at the addresses of this stack. Start it with\n"
    "`local-azure serve`; `local-azure output` shows the outputs."
)
_MARGIN = 5  # columns before a table, with the sign of what is done
_ROOM_FOR_PACKAGES = 100  # columns
_LONGEST = 70  # characters of a changed property's value


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run, as a display sees it; `config` has `[secret]` in place of secrets."""

    operation: Operation
    stack: str
    journal: Journal
    config: Mapping[str, str]
    seconds: float = 0.0


class Text:
    """Prints the tree."""

    def __init__(self, out: TextIO, *, show_sames: bool = False, listening: bool = True) -> None:
        self._out = out
        self._listening = listening
        self._show_sames = show_sames
        self._width = shutil.get_terminal_size().columns if out.isatty() else sys.maxsize
        self._coloured = out.isatty() and "NO_COLOR" not in os.environ

    def header(self, operation: Operation, stack: str) -> None:
        """Print what is about to happen."""
        self._print(f"{_HEADERS[operation]} ({stack}):")

    def summary(self, run: Run) -> None:
        """Print the tree, then messages, outputs, counts and the time it took.

        A program that failed before it declared anything has neither tree nor counts.
        """
        declared = any(step.state.type != ROOT_TYPE for step in run.journal.steps)
        if run.journal.failed and not declared:
            self._diagnostics(run.journal.diagnostics)
            return
        self._tree(run)
        self._diagnostics(run.journal.diagnostics)
        if run.operation == "up" and not run.journal.failed and not self._listening:
            self._print(f"\n{NOBODY_LISTENS}")
        elif run.operation != "destroy" and not run.journal.failed:
            self._outputs(run.journal)
        self._counts(run)
        self._print(f"\nDuration: {max(1, round(run.seconds))}s")

    def _tree(self, run: Run) -> None:
        rows = list(_rows(run.journal.steps, show_sames=self._show_sames))
        if not rows:
            return
        status = "Plan" if run.operation == "preview" else "Status"
        cells = self._fitting([("Type", "Name", status), *_cells(rows, run.operation)])
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))
            for line in cells
        ]
        self._print(f"     {lines[0].rstrip()}")
        for row, line in zip(rows, lines[1:], strict=True):
            step = row.step
            self._print(f" {_SIGNS[step.op]}  {line}".rstrip(), step.op)
            if step.op in ("update", "replace"):
                for change in step.changes:
                    forces = "  forces replacement" if change.path in step.replaces else ""
                    for changed in _changed(change):
                        self._print(f"     {row.indent}    {changed}{forces}", step.op)

    def _fitting(self, cells: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
        """Leave out of a table what a narrow terminal has no room for: packages, then times."""
        for short in (
            lambda type_, name, status: (_without_package(type_), name, status),
            lambda type_, name, status: (type_, name, status.partition(" (")[0]),
        ):
            widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
            if _MARGIN + sum(widths) + 2 * (len(widths) - 1) <= self._width:
                break
            cells = [short(*line) for line in cells]
        return cells

    def _diagnostics(self, diagnostics: list[Diagnostic]) -> None:
        if not diagnostics:
            return
        self._print("\nDiagnostics:")
        for entry in diagnostics:
            prefix = "" if entry.severity == "info" else f"{entry.severity}: "
            for line in f"{prefix}{entry.message.rstrip()}".splitlines():
                for part in _wrapped(line, self._width - 4):
                    self._print(f"  {part}")

    def _outputs(self, journal: Journal) -> None:
        if not journal.outputs and not journal.old_outputs:
            return
        self._print("\nOutputs:")
        width = max(map(len, {**journal.outputs, **journal.old_outputs}))
        for key in sorted({**journal.outputs, **journal.old_outputs}):
            old, new = (side.get(key) for side in (journal.old_outputs, journal.outputs))
            sign = " "
            if key not in journal.old_outputs:
                sign = "+"
            elif key not in journal.outputs:
                sign, new = "-", old
            elif changes(old, new):
                sign = "~"
            value = _pretty(redacted(new), "    ")
            before = redacted(old)
            if sign == "~" and not isinstance(before, dict | list):
                value = f"{_pretty(before, '    ')} => {value}"
            self._print(f"  {sign} {key:<{width}}: {value}")

    def _counts(self, run: Run) -> None:
        counts = run.journal.counts
        future = run.operation == "preview"
        lines = [
            f"{_SIGNS[op].strip()} {counts[op]} {f'to {op}' if future else _DONE[op]}"
            for op in _ORDER
            if counts[op] and op != "same"
        ]
        if counts["same"]:
            lines.append(f"{counts['same']} unchanged")
        self._print("\nResources:")
        for line in lines or ["none"]:
            self._print(f"    {line}")

    def _print(self, line: str, op: Op = "same") -> None:
        colour = _COLOURS.get(op) if self._coloured else None
        print(f"\x1b[{colour}m{line}\x1b[0m" if colour else line, file=self._out)


def _cells(rows: list["_Row"], operation: Operation) -> Iterator[tuple[str, str, str]]:
    for row in rows:
        yield row.type, row.step.state.name, _status(row.step, operation)


@dataclass(frozen=True)
class _Row:
    type: str  # with the branches of the tree before it
    indent: str  # the branches that go on below it
    step: Step


def _rows(steps: list[Step], *, show_sames: bool) -> Iterator[_Row]:
    """Yield the steps as a tree: each below its parent, what is unchanged only above a change."""
    by_urn = {step.urn: step for step in steps if step.op != "refresh"}
    children: dict[str, list[Step]] = {}
    for step in by_urn.values():
        parent = step.state.parent
        children.setdefault(parent if parent in by_urn else "", []).append(step)

    def shown(step: Step) -> bool:
        is_shown = show_sames or step.op != "same" or step.state.type == ROOT_TYPE
        return is_shown or any(map(shown, children.get(step.urn, ())))

    def below(parent: str, indent: str) -> Iterator[_Row]:
        visible = [step for step in children.get(parent, ()) if shown(step)]
        for step in visible:
            last = step is visible[-1]
            branch = "" if not parent else "└─ " if last else "├─ "
            further = "" if not parent else "   " if last else "│  "
            yield _Row(f"{indent}{branch}{step.state.type}", indent + further, step)
            yield from below(step.urn, indent + further)

    return below("", "")


def _status(step: Step, operation: Operation) -> str:
    if step.failed:
        return f"{step.op} failed"
    if step.op == "same":
        return ""
    if operation == "preview" or not step.seconds:
        return step.op if operation == "preview" else _DONE[step.op]
    return f"{_DONE[step.op]} ({step.seconds:.1f}s)"


def _changed(change: Change) -> Iterator[str]:
    head = f"{_KIND_SIGNS[change.kind]} {change.path}:"
    old, new = change.old, change.new
    if change.kind != "update":
        yield f"{head} {_short(old if change.kind == 'delete' else new)}"
    elif isinstance(old, str) and isinstance(new, str) and "\n" in old + new:
        yield head  # a policy, say: two beginnings would look the same
        for line in difflib.ndiff(old.splitlines(), new.splitlines()):
            if line.startswith(("- ", "+ ")):
                yield f"    {line[:2]}{_cut(line[2:].strip())}"
    else:
        yield f"{head} {_short(old)} => {_short(new)}"


def _without_package(type_: str) -> str:
    """`azure-native:apimanagement:Backend` -> `Backend`; what stands before and after stays."""
    return re.sub(r"[\w-]+:[\w/]*:", "", type_)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"


def _short(value: Json) -> str:
    return _cut(_scalar(value) if not isinstance(value, dict | list) else _json_text(value))


def _json_text(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text.replace(f'"{UNKNOWN}"', _UNKNOWN_TEXT).replace(f'"{REDACTED}"', REDACTED)


def _scalar(value: Json) -> str:
    if value in (UNKNOWN, REDACTED):
        return _UNKNOWN_TEXT if value == UNKNOWN else REDACTED
    return json.dumps(value, ensure_ascii=False)


def _pretty(value: Json, indent: str) -> str:
    """Return a value as the Pulumi CLI prints outputs."""
    deeper = f"{indent}    "
    if isinstance(value, dict) and value:
        width = max(map(len, value))
        items = [f"{key:<{width}}: {_pretty(item, deeper)}" for key, item in value.items()]
        brackets = "{}"
    elif isinstance(value, list) and value:
        items = [f"[{index}]: {_pretty(item, deeper)}" for index, item in enumerate(value)]
        brackets = "[]"
    else:
        return _scalar(value) if not isinstance(value, dict | list) else _json_text(value)
    lines = "".join(f"\n{deeper}{item}" for item in items)
    return f"{brackets[0]}{lines}\n{indent}{brackets[1]}"


def _wrapped(line: str, width: int) -> list[str]:
    """Break a line between words; what a traceback quotes stays as it is."""
    if len(line) <= width or line[:1].isspace():
        return [line]
    return textwrap.wrap(
        line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


class LiveProgress:
    """Shows on a terminal which requests are under way; a context manager and a `Progress`."""

    def __init__(self, out: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415 - see TYPE_CHECKING above
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        self._progress: Progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=Console(file=out),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._tasks: dict[str, TaskID] = {}

    def began(self, step: Step) -> None:
        """Show a step."""
        self._tasks[step.urn] = self._progress.add_task(
            f"{_SIGNS[step.op]} {self._title(step)}", total=None
        )

    def ended(self, step: Step) -> None:
        """Take a step off the list, and leave a line about it."""
        self._progress.remove_task(self._tasks.pop(step.urn))
        self._progress.console.print(
            f" {_SIGNS[step.op]} {self._title(step)}  {_status(step, 'up')}",
            style="red" if step.failed else "dim",
            highlight=False,
            markup=False,
        )

    def _title(self, step: Step) -> str:
        narrow = self._progress.console.width < _ROOM_FOR_PACKAGES
        return _without_package(step.state.title) if narrow else step.state.title

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()


def as_json(run: Run, *, show_sames: bool) -> str:
    """Return the run as `pulumi preview --json` prints it."""
    document: dict[str, Any] = {}
    if run.config:
        document["config"] = dict(run.config)
    document["steps"] = [
        _json_step(step)
        for step in run.journal.steps
        if show_sames or step.op != "same" or not step.state.parent
    ]
    document["diagnostics"] = [_json_diagnostic(entry) for entry in run.journal.diagnostics]
    document["duration"] = round(run.seconds * 1e9)
    document["changeSummary"] = dict(sorted(run.journal.counts.items()))
    return json.dumps(document, indent=4)


def _json_step(step: Step) -> dict[str, Any]:
    entry: dict[str, Any] = {"op": step.op, "urn": step.urn}
    if step.state.provider:
        entry["provider"] = step.state.provider
    if step.old:
        entry["oldState"] = _json_state(step.old, is_old=True)
    if step.new:
        entry["newState"] = _json_state(step.new, is_old=step.op == "refresh")
    details: dict[str, Any] | None = None
    if step.changes:
        entry["diffReasons"] = _top_level(change.path for change in step.changes)
        if step.replaces:
            entry["replaceReasons"] = _top_level(step.replaces)
        details = {
            change.path: {
                "kind": f"{change.kind}-replace" if change.path in step.replaces else change.kind,
                "inputDiff": True,
            }
            for change in step.changes
        }
    entry["detailedDiff"] = details
    return entry


def _json_state(state: ResourceState, *, is_old: bool) -> dict[str, Any]:
    """Return a state; of a new one the CLI tells neither id nor outputs."""
    full = {
        "urn": state.urn,
        "custom": state.custom,
        "id": state.id if is_old else "",
        "type": state.type,
        "inputs": redacted(state.inputs),
        "outputs": redacted(state.outputs) if is_old else {},
        "parent": state.parent,
        "protect": state.protect,
        "dependencies": state.dependencies,
        "provider": state.provider,
        "propertyDependencies": state.property_dependencies,
    }
    return {key: value for key, value in full.items() if value or key == "custom"}


def _json_diagnostic(entry: Diagnostic) -> dict[str, str]:
    prefix = "" if entry.severity == "info" else f"{entry.severity}: "
    full = {
        "urn": entry.urn,
        "message": f"{prefix}{entry.message}\n",
        "severity": entry.severity,
    }
    return {key: value for key, value in full.items() if value}


def _top_level(paths: Any) -> list[str]:
    return sorted({path.split(".")[0].split("[")[0] for path in paths})
