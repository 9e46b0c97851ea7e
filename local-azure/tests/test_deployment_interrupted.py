"""`kill -9` of a run, or of Resource Manager, at any moment: the next runs make it whole."""

import json
import multiprocessing
import os
import random
import re
import sys
import time
from multiprocessing import forkserver
from pathlib import Path

import interrupted_run
import pytest

from local_azure.store import Store

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["warm_interrupted_run"])

STORIES = 3
MOMENTS = 6  # in each story


class Azure:
    """Resource Manager in a process of its own, at a port that it keeps when started anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.start()

    def start(self) -> None:
        mine, its = PROCESSES.Pipe()
        arguments = (its, self.folder, self.port)
        self.process = PROCESSES.Process(target=interrupted_run.serve, args=arguments, daemon=True)
        self.process.start()
        self.port = mine.recv()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def content(self) -> dict[str, dict]:
        """What is deployed, by id; the process has to let go of the file first."""
        self.kill()
        store = Store(self.folder / "azure.sqlite3")
        try:
            return {
                resource.id: dict(resource.body)
                for kind in (
                    "Microsoft.Resources/resourceGroups",
                    "Microsoft.ApiManagement/service",
                    "Microsoft.ApiManagement/service/backends",
                    "Microsoft.CognitiveServices/accounts",
                    "Microsoft.CognitiveServices/accounts/deployments",
                    "Microsoft.Authorization/roleAssignments",
                )
                for resource in store.list(kind)
            }
        finally:
            store.close()
            self.start()


class Story:
    """One stack on one Resource Manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        interrupted_run.write_project(folder)
        self.azure = Azure(folder)

    def start(self, operation: str, config: str):
        mine, its = PROCESSES.Pipe()
        endpoint = f"http://127.0.0.1:{self.azure.port}"
        arguments = (its, operation, self.folder, endpoint, f"{config}.yaml")
        process = PROCESSES.Process(target=interrupted_run.deploy, args=arguments, daemon=True)
        process.start()
        its.close()
        assert mine.recv() == "began"
        return process, mine

    def run(self, operation: str, config: str = "first") -> str:
        process, mine = self.start(operation, config)
        code, text = mine.recv()
        process.join()
        assert code == 0, text
        return text

    def kill_run(self, operation: str, config: str, after: float) -> None:
        process, _ = self.start(operation, config)
        time.sleep(after)
        process.kill()
        process.join()

    def kill_azure(self, operation: str, config: str, after: float) -> None:
        process, mine = self.start(operation, config)
        time.sleep(after)
        self.azure.kill()
        code, text = mine.recv()
        process.join()
        assert code in (0, 1)
        assert "Traceback" not in text
        self.azure.start()

    @property
    def checkpoint(self) -> dict:
        return json.loads((self.folder / "state" / "stacks" / "dev.json").read_text())

    def outcome(self) -> tuple[str, str]:
        """The checkpoint and Azure's content, without what differs between any two runs."""
        checkpoint, content = self.checkpoint, self.azure.content()
        assert checkpoint["pending"] == []
        outputs = {entry["urn"].rsplit("::", 2)[-1]: entry for entry in checkpoint["resources"]}
        suffix = outputs["suffix"]["outputs"]["result"]
        return tuple(
            _without_chance(json.dumps(part, sort_keys=True), suffix)
            for part in (
                sorted(checkpoint["resources"], key=lambda entry: entry["urn"]),
                dict(sorted(content.items(), key=lambda item: item[0].split("/")[-2:])),
            )
        )


def _without_chance(text: str, suffix: str) -> str:
    text = text.replace(suffix, "SUFFIX")
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "GUID", text)
    text = re.sub(r"\b\d+(\.\d+){3}\b", "ADDRESS", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)", "TIME", text)
    return re.sub(r'"etag": "(\\"|[^"])*"', '"etag": ""', text)


def load_once() -> None:
    """Start the process that loads everything and then forks; it looks where this one does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What an undisturbed run comes to, and how long it takes in seconds."""
    load_once()
    story = Story(tmp_path_factory.mktemp("undisturbed"))
    process, mine = story.start("up", "first")
    started = time.monotonic()
    code, text = mine.recv()
    seconds = time.monotonic() - started
    process.join()
    assert code == 0, text
    outcome = story.outcome()
    story.azure.kill()
    return outcome, seconds


@pytest.mark.parametrize("seed", range(STORIES))
def test_killed_at_any_moment_it_converges(tmp_path, undisturbed, seed):
    chance = random.Random(seed)
    expected, seconds = undisturbed
    story = Story(tmp_path)
    try:
        for _ in range(MOMENTS):
            kill = chance.choice((story.kill_run, story.kill_run, story.kill_azure))
            kill("up", chance.choice(("first", "other")), chance.uniform(0, seconds))
        story.run("up")
        assert story.outcome() == expected
        assert "12 unchanged" in story.run("up")
        # Neither does a destruction leave anything behind, wherever it is cut off.
        story.kill_run("destroy", "first", chance.uniform(0, seconds / 2))
        story.run("destroy")
        assert story.azure.content() == {}
        assert not list((story.folder / "state").rglob("*.json*"))
    finally:
        story.azure.kill()
