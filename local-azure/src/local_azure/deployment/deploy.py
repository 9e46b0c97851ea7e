"""One run: read the project, run its program against the engine, show what came of it."""

import asyncio
import contextlib
import contextvars
import io
import runpy
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, ParamSpec, TextIO, TypeVar

from pulumi import RunError
from pulumi.runtime import Settings, configure, run_in_stack
from pulumi.runtime.config import set_all_config

from local_azure.deployment import display, sdk
from local_azure.deployment.config import Project, load
from local_azure.deployment.display import Operation, Run
from local_azure.deployment.engine import PARALLEL, Engine
from local_azure.deployment.journal import Journal
from local_azure.deployment.policy_pack import PolicyPack
from local_azure.deployment.provider import ResourceManager
from local_azure.deployment.state import ROOT_TYPE, Checkpoint, StackState
from local_azure.identity import signing_in
from local_azure.local import SUBSCRIPTION_ID, LocalAzureError

if TYPE_CHECKING:
    from local_azure.deployment.policy_pack import PolicyPack

P = ParamSpec("P")
T = TypeVar("T")

INTERRUPTED = 130  # the exit code of Ctrl-C, as a shell has it
CHANGED = 7  # that of changes which were not expected, as the CLI has it


def run(
    operation: Operation,
    *,
    project_dir: Path,
    stack: str,
    state_dir: Path,
    arm_endpoint: Callable[[], str],
    token: Callable[[str], str] | None = None,
    config_file: Path | None = None,
    json: bool = False,
    show_sames: bool = False,
    policy_pack: Path | None = None,
    ignore_protect: bool = False,
    refresh: bool = False,
    expect_no_changes: bool = False,
    listening: bool = True,
    out: TextIO | None = None,
) -> int:
    """Preview, deploy or destroy a stack; return the exit code: 0, 1, 7, or 130 after Ctrl-C.

    `arm_endpoint` is called when the first request is due: a preview of a new stack needs none.
    `token` signs in at a resource, by default as the state folder's own service principal.
    With `json` the run is printed as `pulumi preview --json` does; `show_sames` shows what is
    unchanged, too. What the program prints becomes a message. A `policy_pack`, which is a folder,
    judges a preview; `up` then begins with one, and changes nothing when it breaks a rule. With
    `refresh`, what was changed in Azure is taken over first, so that what the program declares is
    put back. With `expect_no_changes` a change is exit code 7. Unless a server goes on `listening`,
    `up` shows no outputs, since nobody answers at their urls.
    """
    out = out or sys.stdout
    text = display.Text(out, show_sames=show_sames, listening=listening)
    started = time.monotonic()
    try:
        project = load(project_dir.absolute(), stack, config_file)
        state = StackState(state_dir, stack)
        lock = contextlib.nullcontext() if operation == "preview" else state.held(operation)
        with lock, _started(policy_pack) as pack:
            if not json:
                text.header(operation, stack)
            is_judged = policy_pack and operation == "up"
            passes: tuple[Operation, ...] = ("preview", "up") if is_judged else (operation,)
            for done in passes:
                with _progress(out, shown=done != "preview" and not json) as progress:
                    journal = Journal(progress=progress)
                    interrupted = _deploy(
                        done,
                        project=project,
                        stack=stack,
                        checkpoint=state.load(read_only=done == "preview"),
                        arm_endpoint=arm_endpoint,
                        token=token or signing_in(state_dir),
                        journal=journal,
                        ignore_protect=ignore_protect,
                        refresh=refresh,
                    )
                if pack and done == "preview" and not interrupted and not journal.failed:
                    _judge(pack, journal, project, stack)
                if interrupted or journal.failed:
                    break
            else:
                _hand_over(operation, state)
    except LocalAzureError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if interrupted:
        print(
            "error: interrupted; what was reached is saved, and `up` goes on from there", file=out
        )
        return INTERRUPTED
    ended = Run(
        operation=done,
        stack=stack,
        journal=journal,
        config=project.config,
        seconds=time.monotonic() - started,
    )
    if json:
        print(display.as_json(ended, show_sames=show_sames), file=out)
    else:
        text.summary(ended)
    if expect_no_changes and not journal.failed and set(journal.counts) - {"same"}:
        told = f"no changes were expected for {done} but changes were proposed"
        print(f"error: {told}", file=sys.stderr)
        return CHANGED
    return 1 if journal.failed else 0


def _hand_over(operation: Operation, state: StackState) -> None:
    """Leave the outputs for the probe, or nothing at all of a stack that is destroyed."""
    if operation == "up":
        state.publish()
    elif operation == "destroy":
        state.forget()


def _deploy(
    operation: Operation,
    *,
    project: Project,
    stack: str,
    checkpoint: Checkpoint,
    arm_endpoint: Callable[[], str],
    token: Callable[[str], str],
    journal: Journal,
    ignore_protect: bool,
    refresh: bool,
) -> bool:
    """Carry the operation out; return whether Ctrl-C cut it off."""
    is_preview = operation == "preview"
    with _interruptible() as stop:
        azure = ResourceManager(
            arm_endpoint, token=token, subscription_id=SUBSCRIPTION_ID, stop=stop
        )
        engine = Engine(
            project=project.name,
            stack=stack,
            preview=is_preview,
            checkpoint=checkpoint,
            resource_manager=azure,
            journal=journal,
            stop=stop,
            ignore_protect=ignore_protect,
        )
        if checkpoint.interrupted and not is_preview:
            names = ", ".join(sorted(entry.resource.title for entry in checkpoint.interrupted))
            journal.say("info", f"An earlier run was cut off; this one brings to an end: {names}")
        with contextlib.closing(azure), contextlib.suppress(KeyboardInterrupt):
            if refresh:
                engine.refresh()
            if operation == "destroy":
                engine.delete_everything()
            elif not journal.failed:
                _run_program(project, stack, engine, journal, is_preview=is_preview)
                engine.delete_what_is_gone()
        return stop.is_set()


def _started(policy_pack: Path | None) -> "contextlib.AbstractContextManager[PolicyPack | None]":
    """Start the policy pack, if there is one: it loads while the program runs."""
    if policy_pack is None:
        return contextlib.nullcontext()
    from local_azure.deployment.policy_pack import running  # noqa: PLC0415 - most runs have none

    return running(policy_pack)


def _judge(pack: "PolicyPack", journal: Journal, project: Project, stack: str) -> None:
    """Let the policy pack judge a preview that succeeded."""
    pack.judge(
        journal,
        project=project.name,
        stack=stack,
        inputs=[
            step.new
            for step in journal.steps
            if step.new and step.op != "refresh" and step.new.type != ROOT_TYPE
        ],
        outputs=journal.states.values(),
    )


def _run_program(
    project: Project, stack: str, engine: Engine, journal: Journal, *, is_preview: bool
) -> None:
    """Run `__main__.py` as Pulumi's own language host does; its failure becomes a message.

    `pulumi.runtime.set_mocks` would make the root stack outside the event loop, where its outputs
    never resolve; this configures the same monitor and lets `run_in_stack` make the root.
    """

    def program() -> None:
        runpy.run_path(str(project.main / "__main__.py"), run_name="__main__")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(_Inline() if is_preview else ThreadPoolExecutor(PARALLEL))
        # When the program fails, the first error is told; the many that follow from it are not.
        loop.set_exception_handler(lambda *_: None)
        settings = Settings(
            project=project.name,
            stack=stack,
            monitor=engine,
            engine=engine,
            parallel=PARALLEL,
            dry_run=is_preview,
            organization="organization",
            root_directory=str(project.main),
        )
        configure(settings)
        set_all_config(dict(project.config))
        await run_in_stack(program)

    try:
        with (
            _at_home(project.main),
            contextlib.redirect_stdout(_Messages(journal)),
            sdk.unobserved(),
        ):
            # A context of its own: the SDK keeps its root stack and settings in context variables.
            contextvars.Context().run(lambda: asyncio.run(main()))
    except RunError as error:
        journal.say("error", str(error))
    except SystemExit as error:
        if error.code:
            journal.say("error", f"the program ended with exit code {error.code}")
    except Exception as error:  # noqa: BLE001 - whatever the program raises is the user's to see
        trace = _of_program(error, project.main)
        journal.say("error", f"Program failed with an unhandled exception:\n{trace}")


def _of_program(error: BaseException, folder: Path) -> str:
    """Return the traceback from the program's own first line on."""
    trace = error.__traceback__
    while trace and not trace.tb_frame.f_code.co_filename.startswith(str(folder)):
        trace = trace.tb_next
    own = error.with_traceback(trace or error.__traceback__)
    return "".join(traceback.format_exception(own, chain=False))


class _Inline(ThreadPoolExecutor):
    """Runs what is submitted at once: a preview waits for nothing, so threads only cost time."""

    def submit(
        self, function: Callable[P, T], /, *arguments: P.args, **keywords: P.kwargs
    ) -> Future[T]:
        """Return a future that is done."""
        future: Future[T] = Future()
        try:
            future.set_result(function(*arguments, **keywords))
        except Exception as error:  # noqa: BLE001 - the caller's, through the future
            future.set_exception(error)
        return future


class _Messages(io.TextIOBase):
    """Takes what a program prints, a message a line."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._journal.say("info", line)
        return len(text)


@contextlib.contextmanager
def _at_home(folder: Path) -> Iterator[None]:
    """Run in the program's folder and let it import its own modules, as Pulumi does."""
    sys.path.insert(0, str(folder))
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        sys.path.remove(str(folder))


@contextlib.contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C sets before it raises KeyboardInterrupt in the main thread."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _progress(out: TextIO, *, shown: bool) -> Iterator[display.LiveProgress | None]:
    if shown and out.isatty():
        with display.LiveProgress(out) as progress:
            yield progress
    else:
        yield None
