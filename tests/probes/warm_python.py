"""A Python that has loaded what its programs load: each is a fork of it, and starts at once.

`python(*names)` stands where `[sys.executable]` stands before a script or `-m`. What starts is a
process with the arguments, variables, folder, files and signals that it was given, only with its
modules there already. Where the start is what a test is about, it takes `sys.executable`.

A process that loads next to nothing hands all of that to the warm one over a socket, passes signals
on, and ends with the program's exit code.
"""

import atexit
import functools
import gc
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STARTER = """
import _socket, _signal, os, sys
warm = _socket.socket(_socket.AF_UNIX)
warm.connect(sys.argv[1])
given = [os.getcwd(), str(len(sys.argv) - 2), *sys.argv[2:]]
told = "\\0".join(given + [f"{key}={value}" for key, value in os.environ.items()])
told = told.encode(errors="surrogateescape")
files = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
files = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)]
warm.sendmsg([len(told).to_bytes(8, "big")], files)
warm.sendall(told)
for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
    _signal.signal(number, lambda number, _: warm.send(bytes([number])))
for number in (0, 1, 2):
    os.close(number)
code = warm.recv(1)
warm.recv(1)  # nothing: the program has ended
os._exit(code[0] if code else 70)
"""


_SOCKET = "WARM_PYTHON"
"""The variable that names the socket of the warm one: all workers of a run share it."""


@contextmanager
def running() -> Iterator[None]:
    """A warm Python for the length of a `with`, for this process and those that it starts."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.environ[_SOCKET] = f"{folder}/socket"
        with subprocess.Popen(
            [sys.executable, __file__, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as warm:
            warm.stdout.readline()  # it listens
            yield
            warm.stdin.close()


@functools.cache
def python(*names: str) -> list[str]:
    """What a program's script or `-m` follows; what is named is loaded before it starts.

    A name is `module`, `module:attribute`, or `module:function()`, which is called.
    """
    with socket.socket(socket.AF_UNIX) as warm:
        warm.connect(os.environ[_SOCKET])
        told = " ".join(names).encode()
        warm.sendall(len(told).to_bytes(8, "big") + told)
        assert warm.recv(1), "the warm Python could not load a module: it says which"
    return [sys.executable, "-ISc", _STARTER, os.environ[_SOCKET]]


def _serve(path: str) -> None:
    """Load and run what comes by the socket, until standard input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for programs here
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for those who start them
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        print("listening", flush=True)
        while True:
            ready, _, _ = select.select([sys.stdin, listener], [], [])
            if listener not in ready:
                return
            with listener.accept()[0] as other:
                length, files, _, _ = socket.recv_fds(other, 8, 3)
                if not files:
                    _load(_rest(other, length).split())
                    other.send(b"1")
                elif os.fork() == 0:
                    listener.close()
                    os._exit(_run(other, _rest(other, length), files))
                for file in files:
                    os.close(file)


def _rest(other: socket.socket, length: bytes) -> str:
    with other.makefile("rb") as told:
        return os.fsdecode(told.read(int.from_bytes(length, "big")))


def _load(names: list[str]) -> None:
    for name in names:
        found = pkgutil.resolve_name(name.removesuffix("()"))
        if name.endswith("()"):
            found()
    gc.collect()
    gc.freeze()  # a fork then shares these pages


def _run(starter: socket.socket, told: str, files: list[int]) -> int:
    """Run a program as Python would; this is its process."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder, count, *rest = told.split("\0")
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    sys.argv, variables = rest[: int(count)], rest[int(count) :]
    os.environ.clear()
    os.environ.update(each.split("=", 1) for each in variables)
    # Those of the warm one remember what was open there.
    buffered = 1 if os.isatty(1) else -1
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - open to the end
    sys.stdout = open(1, "w", buffered, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    threading.Thread(target=_obey, args=[starter], daemon=True).start()
    code = _exit_code_of_program()
    threading._shutdown()
    sys.stdout.flush()
    starter.send(bytes([code]))
    # The last thing, as in Python: a thread that was left behind cannot tell what they close.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    return code


def _exit_code_of_program() -> int:
    try:
        if sys.argv[0] == "-m":
            sys.path[0] = str(Path.cwd())
            module = sys.argv.pop(1)
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        else:
            sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
            runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 255
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:  # noqa: BLE001 - as Python does with what nobody catches
        traceback.print_exc()
        return 1
    return 0


def _obey(starter: socket.socket) -> None:
    """Pass on the signals that the starter gets, and end when it was killed."""
    while number := starter.recv(1):
        os.kill(os.getpid(), number[0])
    os._exit(128 + signal.SIGKILL)


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])  # where the programs are
    _serve(sys.argv[1])
