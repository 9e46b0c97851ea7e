import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from math import inf

import pytest

from local_azure.store import Resource, Store, StoreError

TYPE = "Microsoft.ApiManagement/service/backends"
SERVICE = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ApiManagement/service/apim"


def resource(name: str, **more) -> Resource:
    return Resource(
        id=f"{SERVICE}/backends/{name}",
        type=TYPE,
        body={"name": name, "properties": {"weight": 1}},
        etag='"1"',
        **more,
    )


def record(name: str, **more) -> Resource:
    return Resource(id=f"/deleted/{name}", type="deleted", body={"name": name}, etag="", **more)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "azure.sqlite3"


@pytest.fixture
def store(path):
    store = Store(path)
    yield store
    store.close()


def names(resources) -> list[str]:
    return [each.body["name"] for each in resources]


def test_what_was_put_is_found_whatever_the_casing(store):
    with store.transaction() as transaction:
        transaction.put(resource("Foundry1"))
    found = store.get(f"{SERVICE}/backends/foundry1".upper())
    assert found == resource("Foundry1")
    assert found.id.endswith("/Foundry1")


def test_put_replaces_a_resource_of_the_same_id_in_another_casing(store):
    with store.transaction() as transaction:
        transaction.put(resource("a"))
        transaction.put(resource("A"))
    assert names(store.list(TYPE)) == ["A"]


def test_list_takes_a_type_in_order_of_creation(store):
    with store.transaction() as transaction:
        for name in ("c", "a", "b"):
            transaction.put(resource(name))
        transaction.put(record("x"))
    assert names(store.list(TYPE.lower())) == ["c", "a", "b"]


def test_list_under_an_id_stops_at_the_segment(store):
    with store.transaction() as transaction:
        transaction.put(resource("a"))
    assert names(store.list(TYPE, under=SERVICE.upper())) == ["a"]
    assert names(store.list(TYPE, under=f"{SERVICE}/")) == ["a"]
    assert store.list(TYPE, under=SERVICE[:-1]) == []


def test_the_revision_grows_with_a_commit_and_with_nothing_else(store):
    before = store.revision
    store.get("/x")
    with pytest.raises(ZeroDivisionError), store.transaction():
        raise ZeroDivisionError
    assert store.revision == before
    with store.transaction() as transaction:
        transaction.put(resource("a"))
        assert store.revision == before
    assert store.revision == before + 1


def test_a_change_that_fails_leaves_nothing_behind(store, path):
    def fail() -> None:
        with store.transaction() as transaction:
            transaction.put(resource("a"), {"key1": "k"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert store.get(resource("a").id) is None
    store.close()
    again = Store(path)
    assert again.get(resource("a").id) is None
    again.close()


def test_a_reader_sees_a_change_only_once_it_is_committed(store):
    with store.transaction() as transaction:
        transaction.put(resource("a"))
        assert transaction.get(resource("a").id) == resource("a")
        assert store.get(resource("a").id) is None
    assert store.get(resource("a").id) == resource("a")


def test_a_view_stays_as_it_was(store):
    with store.transaction() as transaction:
        transaction.put(resource("a"))
    view = store.view()
    with store.transaction() as transaction:
        transaction.delete(SERVICE)
    assert names(view.list(TYPE)) == ["a"]
    assert store.list(TYPE) == []


def test_the_order_of_creation_survives_changes_and_a_restart(store, path):
    for name in ("c", "a", "b", "c"):
        with store.transaction() as transaction:
            transaction.put(resource(name))
    store.close()
    again = Store(path)
    assert names(again.list(TYPE)) == ["c", "a", "b"]
    again.close()


def test_everything_is_there_again_after_a_restart(store, path):
    wanted = replace(resource("b", pending="Creating", ready_at=5.5, expires_at=9.0), etag='"2"')
    with store.transaction() as transaction:
        transaction.put(
            Resource(id=wanted.id.upper(), type=TYPE, body={}, etag='"1"'), {"key1": "k"}
        )
        transaction.put(wanted, {"primaryKey": "p"})
        transaction.put(resource("a"))
        transaction.keep(resource("a").id, record("a", expires_at=inf))
    revision = store.revision
    store.close()
    again = Store(path)
    assert again.get(wanted.id) == wanted
    assert again.secrets(wanted.id) == {"primaryKey": "p"}
    assert again.view().kept_by(record("a").id) == (resource("a"),)
    assert again.revision == revision
    again.close()


def test_deleting_takes_what_is_below_and_leaves_the_neighbour(store, path):
    neighbour = Resource(id=f"{SERVICE}2", type="t", body={"name": "n"}, etag="")
    with store.transaction() as transaction:
        transaction.put(resource("a"))
        transaction.put(neighbour)
    with store.transaction() as transaction:
        transaction.delete(SERVICE.upper())
    store.close()
    again = Store(path)
    assert again.list(TYPE) == []
    assert again.get(neighbour.id) == neighbour
    again.close()


def test_secrets_stay_until_they_are_replaced(store):
    with store.transaction() as transaction:
        transaction.put(resource("a"), {"primaryKey": "one"})
    with store.transaction() as transaction:
        transaction.put(resource("a"))
    assert store.secrets(resource("a").id) == {"primaryKey": "one"}
    with store.transaction() as transaction:
        transaction.put(resource("a"), {"primaryKey": "two"})
    assert store.secrets(resource("a").id) == {"primaryKey": "two"}
    assert store.secrets("/x") == {}


def test_what_is_kept_is_out_of_sight_and_comes_back_with_its_secrets(store):
    with store.transaction() as transaction:
        transaction.put(resource("a"), {"primaryKey": "one"})
        transaction.put(resource("b"))
        transaction.keep(SERVICE, record("apim"))
    assert store.list(TYPE) == []
    assert store.secrets(resource("a").id) == {}
    assert names(store.list("deleted")) == ["apim"]
    with store.transaction() as transaction:
        transaction.restore(record("apim").id)
    assert names(store.list(TYPE)) == ["a", "b"]
    assert store.secrets(resource("a").id) == {"primaryKey": "one"}
    assert store.list("deleted") == []


def test_purging_a_record_takes_what_it_keeps(store, path):
    with store.transaction() as transaction:
        transaction.put(resource("a"))
        transaction.keep(SERVICE, record("apim"))
    with store.transaction() as transaction:
        transaction.delete(record("apim").id)
    assert store.view().kept_by(record("apim").id) == ()
    store.close()
    rows = sqlite3.connect(path)
    assert rows.execute("SELECT count(*) FROM resources").fetchone() == (0,)
    rows.close()


def test_what_has_expired_is_deleted_and_nothing_else(store):
    with store.transaction() as transaction:
        transaction.put(resource("short", expires_at=10.0))
        transaction.put(resource("long", expires_at=10.5))
        transaction.put(resource("ever"))
        transaction.expire(10.0)
    assert names(store.list(TYPE)) == ["long", "ever"]


def test_every_change_gives_another_entity_tag(store):
    tags = []
    for _ in range(2):
        with store.transaction() as transaction:
            tags.append(transaction.etag)
    assert len(set(tags)) == 2
    assert all(tag.startswith('"') and tag.endswith('"') for tag in tags)


def test_the_files_are_for_their_owner_alone(store, path):
    with store.transaction() as transaction:
        transaction.put(resource("a"), {"primaryKey": "secret"})
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert path.name in modes
    assert set(modes.values()) == {0o600}


def test_a_file_left_readable_for_all_is_closed(path):
    path.parent.mkdir()
    path.touch(0o644)
    Store(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_second_owner_is_refused_with_the_way_out(store, path):
    with pytest.raises(StoreError, match=r"azure\.sqlite3 cannot be used .* locked.* Stop the"):
        Store(path)


def test_a_file_that_is_no_state_is_refused(path):
    path.parent.mkdir()
    path.write_text("not a database, but long enough to be read as one" * 100)
    with pytest.raises(StoreError, match="cannot be used as the state of the local Azure"):
        Store(path)


def test_the_state_of_another_version_is_refused(store, path):
    store.close()
    rows = sqlite3.connect(path)
    rows.execute("PRAGMA user_version = 99")
    rows.close()
    with pytest.raises(StoreError, match="it has version 99, not 1"):
        Store(path)


def test_threads_that_write_at_once_lose_nothing(store):
    def write(first: int) -> None:
        for number in range(first, first + 20):
            with store.transaction() as transaction:
                count = transaction.get(resource("count").id)
                before = count.body["count"] if count else 0
                transaction.put(
                    Resource(id=resource("count").id, type="c", body={"count": before + 1}, etag="")
                )
                transaction.put(resource(f"n{number}"))
            store.list(TYPE)

    threads = [threading.Thread(target=write, args=(n * 20,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get(resource("count").id).body["count"] == 80
    assert len(store.list(TYPE)) == 80


WRITER = """
import sys
from pathlib import Path
from local_azure.store import Resource, Store

store = Store(Path(sys.argv[1]))
number = 0
while True:
    with store.transaction() as transaction:
        for half in ("left", "right"):
            transaction.put(
                Resource(id=f"/{half}", type="t", body={"number": number}, etag=""),
                {"key": str(number)},
            )
    print(number, flush=True)
    number += 1
"""


@pytest.mark.parametrize("lines", [1, 7, 40, 150])
def test_a_killed_process_loses_nothing_it_acknowledged_and_no_half_of_a_change(path, lines):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    with writer:
        for _ in range(lines):
            acknowledged = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
    store = Store(path)
    left, right = store.get("/left").body["number"], store.get("/right").body["number"]
    assert left == right >= acknowledged
    assert store.secrets("/left") == {"key": str(left)}
    store.close()
