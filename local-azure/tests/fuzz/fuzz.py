"""Fuzz everything that reads what others wrote: `python tests/fuzz/fuzz.py`.

Each target's cases come in batches, and each batch from a seed of its own; the same seed makes the
same cases. A case fails by an exception, by a limit of ten seconds, or when memory grows from the
first tenth of the batches to the last. A failing case is shown as small as it could be made.
"""

import argparse
import functools
import gc
import importlib
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import mean
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from generators import smaller
from targets import TARGETS, Target

BATCH = 500
CASE_SECONDS = 10
SHRINKING = 2000
"""Tries to make a failing case smaller."""
# More than that, and from the first tenth of the batches to the last, is growth.
OBJECTS, BYTES = 3000, 16 * 1024 * 1024


class FoundError(Exception):
    """A case that fails, as small as it could be made, and how to see it again."""


class HangError(Exception):
    """A case took longer than ten seconds."""


@dataclass
class Outcome:
    """What one target's cases took, and what was alive after each batch of them."""

    cases: int = 0
    seconds: float = 0.0
    objects: list[int] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    def growth(self) -> tuple[float, float]:
        """Objects and bytes more in the last tenth of the batches than in the first."""
        # The first batch fills caches.
        tenth = max(1, (len(self.objects) - 1) // 10)
        return (
            mean(self.objects[-tenth:]) - mean(self.objects[1 : 1 + tenth]),
            mean(self.memory[-tenth:]) - mean(self.memory[1 : 1 + tenth]),
        )


def run(target: Target, *, seed: int, cases: int, seconds: float | None = None) -> None:
    """Check that many cases from one seed; `seconds` limits each."""
    rng = Random(seed)

    def fault(case: Any) -> Exception | None:
        try:
            with _limited(seconds):
                check(case)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            return error
        return None

    with target.open() as check:
        for number in range(cases):
            case = target.make(rng)
            if found := fault(case):
                again = f"--target {target.name} --seed {seed} --cases {cases}"
                least = _shrunk(case, found, fault)
                raise FoundError(f"case {number} of {again}: {least!r}") from found


def _shrunk(case: Any, found: Exception, fault: Callable[[Any], Exception | None]) -> Any:
    """Return the smallest case with the same kind of fault that few tries lead to."""
    tries = 0
    again = True
    while again:
        again = False
        for less in smaller(case):
            tries += 1
            if tries > SHRINKING:
                return case
            if type(fault(less)) is type(found):
                case, again = less, True
                break
    return case


@contextmanager
def _limited(seconds: float | None) -> Iterator[None]:
    if seconds is None:
        yield
        return

    def stop(*_: object) -> None:
        raise HangError(f"not done after {seconds:g} s")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _forget_bounded_caches() -> None:
    """Empty each `lru_cache` that has a limit: until it is full it grows, and then no more."""
    for each in gc.get_objects():
        if type(each) is functools._lru_cache_wrapper and each.cache_parameters()["maxsize"]:
            each.cache_clear()


def _memory() -> int:
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _fuzz(target: Target, *, seed: int, cases: int) -> Outcome:
    outcome = Outcome()
    started = time.perf_counter()
    while outcome.cases < cases:
        count = min(BATCH, cases - outcome.cases)
        run(target, seed=seed + len(outcome.objects), cases=count, seconds=CASE_SECONDS)
        outcome.cases += count
        _forget_bounded_caches()
        gc.collect()
        outcome.objects.append(len(gc.get_objects()))
        outcome.memory.append(_memory())
    outcome.seconds = time.perf_counter() - started
    return outcome


def _targets_of(path: str) -> Sequence[Target]:
    """Import a file as a module that finds what is beside it, and what the current folder has."""
    sys.path[:0] = [str(Path(path).parent), str(Path.cwd())]
    return importlib.import_module(Path(path).stem).TARGETS


def main() -> int:
    """Fuzz the targets that are asked for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000, help="in all (default: 100,000)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: the time")
    parser.add_argument("--target", action="append", help="may be repeated")
    parser.add_argument(
        "--also",
        type=_targets_of,
        action="extend",
        default=[],
        help="a module whose TARGETS are fuzzed, too; it may import from here",
    )
    options = parser.parse_args()
    if options.cases < 1:
        parser.error(f"--cases {options.cases}: none would prove nothing; give 1 or more")
    by_name = {target.name: target for target in (*TARGETS, *options.also)}
    if unknown := {*(options.target or ())} - by_name.keys():
        parser.error(f"--target {', '.join(unknown)}: choose from {', '.join(by_name)}")
    chosen = [by_name[name] for name in options.target or by_name]
    shares = sum(target.share for target in chosen)
    print(f"seed {options.seed}; {options.cases:,} cases")
    total, grown = Outcome(), []
    for target in chosen:
        cases = -(-options.cases * target.share // shares)
        outcome = _fuzz(target, seed=options.seed, cases=cases)
        total.cases += outcome.cases
        total.seconds += outcome.seconds
        line = f"{target.name:18}{outcome.cases:8,} cases {outcome.seconds:7.1f} s"
        if len(outcome.objects) > 2:
            objects, size = outcome.growth()
            line += f"  {objects:+8,.0f} objects {size / 1024**2:+6.1f} MiB"
            if objects > OBJECTS or size > BYTES:
                grown.append(target.name)
        print(line, flush=True)
    print(f"{'':18}{total.cases:8,} cases {total.seconds:7.1f} s")
    if grown:
        print(f"memory grows: {', '.join(grown)}")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
