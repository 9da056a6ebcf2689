"""A state in PostgreSQL: machines with a home of their own each, a real server, and what befalls it."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from provisioner.errors import (
    ExitCode,
    ProvisionerError,
    SettingInvalid,
    StateError,
    StateInvalid,
    StateLocked,
    StateMoved,
    StateNotSaved,
    StateRolledBack,
    StateUnreachable,
)
from provisioner.state import codec
from provisioner.state.lease import Lease
from provisioner.state.stores import ABSENT, Note
from tests.conftest import environment, eventually
from tests.state import ADA, BOB, LATER, STATE, never
from tests.state.stores.proxy import Proxy, proxy_to
from tests.state.stores.remotes import Machine, running

if TYPE_CHECKING:
    from tests.state.stores.cluster import Cluster

OLD, NEW = codec.encode(STATE), codec.encode(LATER)
MANUAL: Final = Path(__file__).resolve().parents[3] / "docs" / "stores.md"
WRONG: Final = "a-wrong-password-51c2"
RACERS: Final = 6
SHORT: Final = 0.3
"""Seconds that a machine waits which meets a server that is silent."""


@pytest.fixture
def address(cluster: Cluster) -> str:
    return cluster.address()


@pytest.fixture
def one(tmp_path: Path, cluster: Cluster, address: str) -> Machine:
    return cluster.machine(tmp_path / "one", address)


@pytest.fixture
def two(tmp_path: Path, cluster: Cluster, address: str) -> Machine:
    return cluster.machine(tmp_path / "two", address)


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[Proxy]:
    """A way to the server on which saves can be hindered."""
    with proxy_to("127.0.0.1", cluster.port, b"WITH saved") as made:
        yield made


@pytest.fixture
def hindered(tmp_path: Path, cluster: Cluster, proxy: Proxy, address: str) -> Machine:
    """A machine that reaches the state by the proxy, and does not wait for long."""
    return cluster.machine(tmp_path / "far", cluster.address(port=proxy.port, row=row_of(address)), patience=SHORT)


@pytest.fixture(scope="module")
def standby(cluster: Cluster) -> Iterator[Cluster]:
    with cluster.standby() as made:
        yield made


def row_of(address: str) -> str:
    return address.partition("#")[2]


def documents(cluster: Cluster, address: str) -> list[bytes]:
    """Return what the history has, oldest first."""
    rows = cluster.sql("SELECT document FROM provisioner_history WHERE parent = %s ORDER BY id", row_of(address))
    return [document for (document,) in rows]


# ── What it is ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "place",
    ["postgresql://h/db", "postgresql://h/db#", "postgresql://h/db#a b", "postgresql:h#x", "postgresql://h/db?x=1#x",
     "postgresql://h:port/db#x", "postgresql://h/db#x#y"],
)  # fmt: skip
def test_an_address_that_cannot_be_one_is_refused(tmp_path: Path, cluster: Cluster, place: str) -> None:
    with pytest.raises(StateError if "port" in place else SettingInvalid, match=r"is not the address|port"):
        cluster.machine(tmp_path, place).store().load()


@pytest.mark.parametrize(
    "place", [f"postgresql://u:{WRONG}@h/db#x", f"postgresql://u@h/db?sslmode=require&password={WRONG}#x"]
)
def test_an_address_that_holds_a_password_is_refused_and_not_repeated(
    tmp_path: Path, cluster: Cluster, place: str
) -> None:
    with pytest.raises(SettingInvalid, match="contains a password") as caught:
        cluster.machine(tmp_path, place).store()
    assert WRONG not in caught.value.message + caught.value.hint


def test_the_address_in_the_manual_is_one(tmp_path: Path, cluster: Cluster) -> None:
    (place,) = re.findall(r'^state: "(postgresql:.+)"$', MANUAL.read_text(encoding="utf-8"), re.MULTILINE)
    store = cluster.machine(tmp_path, place.replace("{parent}", "acme")).store()
    assert "postgresql://db.example.com:5432/states#acme" == store.key


def test_two_users_on_two_machines_have_one_state(one: Machine, tmp_path: Path, cluster: Cluster, address: str) -> None:
    version = one.store().save(OLD, ABSENT)
    theirs = cluster.machine(tmp_path / "two", cluster.address("plans", row=row_of(address))).store()
    assert (OLD, version) == theirs.load()
    assert one.store().key == theirs.key
    assert one.store().key != cluster.machine(tmp_path, cluster.address()).store().key


def test_without_its_extra_it_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from pathlib import Path\n"
        "from provisioner.state.stores.opening import Place, open_store\n"
        "open_store(Place('state/default.json', Path(), Path(), {}))\n"
        "try: open_store(Place('postgresql://h/db#x', Path(), Path(), {}))\n"
        "except Exception as error: print(type(error).__name__, error.hint)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment(tmp_path), capture_output=True, text=True, check=True
    )
    assert "SettingInvalid Install it: pip install 'octopush-provisioner[postgres]'.\n" == said.stdout


# ── What it is given ─────────────────────────────────────────────────────────


def private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


@pytest.mark.parametrize("place", ["variable", "file", "home", "service", "named service", "system's service"])
def test_a_password_comes_from_wherever_libpq_has_it_from(tmp_path: Path, cluster: Cluster, place: str) -> None:
    line = f"127.0.0.1:{cluster.port}:states:applies:{cluster.password}\n"
    section = f"# of ours\n[states]\nuser=applies\nhost=127.0.0.1\nport={cluster.port}\ndbname=states\n"
    section += f"password={cluster.password}\n"
    address, environ = cluster.address(), {"HOME": str(tmp_path)}
    match place:
        case "variable":
            environ["PGPASSWORD"] = cluster.password
        case "file":
            environ["PGPASSFILE"] = str(private(tmp_path / "passwords", line))
        case "home":
            private(tmp_path / ".pgpass", line)
        case "service":
            private(tmp_path / ".pg_service.conf", section)
            environ["PGSERVICE"] = "states"
            address = "postgresql://#service-row"
        case "named service":
            environ["PGSERVICEFILE"] = str(private(tmp_path / "services", section))
            address = "postgresql:///?service=states#service-row"
        case _:
            private(tmp_path / "pg_service.conf", section)
            environ |= {"PGSYSCONFDIR": str(tmp_path), "PGSERVICE": "states", "PGUSER": "nobody"}
            address = "postgresql://#service-row"
    assert (None, ABSENT) == cluster.machine(tmp_path / "one", address, environ).store().load()


def test_a_missing_service_is_named_and_an_invalid_file_is_not_repeated(tmp_path: Path, cluster: Cluster) -> None:
    environ = {"HOME": str(tmp_path), "PGSERVICE": "states"}
    with pytest.raises(SettingInvalid, match=r"There is no service states in .*\.pg_service\.conf"):
        cluster.machine(tmp_path, "postgresql://#x", environ).store()
    private(tmp_path / ".pg_service.conf", f"password={WRONG}\n")
    with pytest.raises(SettingInvalid, match="cannot be read as a service file") as caught:
        cluster.machine(tmp_path, "postgresql://#x", environ).store()
    assert WRONG not in caught.value.message + caught.value.hint


def test_nothing_comes_from_the_environment_of_the_process(tmp_path: Path, cluster: Cluster) -> None:
    """A program may open a project with an environment that is not its own."""
    line = f"*:*:*:*:{cluster.password}\n"
    home = tmp_path / "home"
    home.mkdir()
    private(home / ".pgpass", line)
    process = environment(home) | {
        "PGPASSWORD": cluster.password, "PGPASSFILE": str(home / ".pgpass"), "PGHOST": "h.invalid", "PGPORT": "1",
        "PGHOSTADDR": "192.0.2.1", "PGUSER": "postgres", "PGDATABASE": "elsewhere", "PGSSLMODE": "verify-full",
        "PGOPTIONS": "-c search_path=elsewhere", "PGSERVICE": "elsewhere", "PGREQUIREPEER": "elsewhere",
    }  # fmt: skip
    private(home / ".pg_service.conf", f"[elsewhere]\npassword={cluster.password}\n")
    code = (
        "import sys\n"
        "from provisioner.state.stores.server import StateServer\n"
        "for given in {}, {'PGPASSWORD': sys.argv[2]}:\n"
        "    server = StateServer('It', sys.argv[1], given, print)\n"
        "    try: print(server.ask('SELECT count(*) FROM provisioner_state', {})[1])\n"
        "    except Exception as error: print(error.message)"
    )
    place = cluster.address().partition("#")[0]
    said = subprocess.run(
        [sys.executable, "-c", code, place, cluster.password], env=process, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert "does not accept the password" in said[0]
    assert "False" == said[1]


# ── Its tables ───────────────────────────────────────────────────────────────


def test_the_tables_are_made_once_as_the_manual_has_them(tmp_path: Path, cluster: Cluster) -> None:
    cluster.sql("CREATE DATABASE bare OWNER applies", database="postgres")
    store = cluster.machine(tmp_path, cluster.address(database="bare")).store()
    with pytest.raises(StateUnreachable, match="has no tables for states") as caught:
        store.load()
    assert "`provisioner state migrate` creates them" in caught.value.hint
    with pytest.raises(StateNotSaved, match=r"The save failed\. .* has no tables for states"):
        store.save(OLD, ABSENT)
    with pytest.raises(StateUnreachable, match="does not allow this user to do that"):
        cluster.machine(tmp_path, cluster.address("outside", database="bare")).store().backend.prepare()
    assert [True, False] == [store.backend.prepare() for _ in range(2)]
    assert (OLD, store.save(OLD, ABSENT)) == store.load()
    columns = (
        "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns"
        " WHERE table_name LIKE 'provisioner%' ORDER BY 1, 2"
    )
    assert cluster.sql(columns) == cluster.sql(columns, database="bare")
    indexes = "SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'provisioner%' ORDER BY 1"
    assert cluster.sql(indexes) == cluster.sql(indexes, database="bare")


def test_tables_that_are_there_need_no_right_to_make_any(one: Machine) -> None:
    assert one.store().backend.prepare() is False


def test_who_only_plans_cannot_save_and_who_applies_cannot_change_the_history(
    one: Machine, tmp_path: Path, cluster: Cluster, address: str
) -> None:
    one.store().save(OLD, ABSENT, Note("lineage-1", 3, "first"))
    planner = cluster.machine(tmp_path / "plans", cluster.address("plans", row=row_of(address))).store()
    raw, version = planner.load()
    assert OLD == raw
    with pytest.raises(StateUnreachable, match="does not allow this user to do that"):
        planner.backend.try_out()
    with pytest.raises(StateNotSaved, match="does not allow this user to do that") as caught:
        planner.save(NEW, version)
    assert "the rights that the manual lists" in caught.value.hint
    rights = (
        "SELECT privilege_type FROM information_schema.role_table_grants WHERE grantee = 'applies' AND table_name = %s"
    )
    assert {("SELECT",), ("INSERT",)} == {*cluster.sql(rights, "provisioner_history")}
    with pytest.raises(StateUnreachable, match="does not allow this user to do that"):
        cluster.machine(tmp_path / "out", cluster.address("outside")).store().load()


# ── Its history ──────────────────────────────────────────────────────────────


def test_the_history_says_what_was_done_to_which_account_and_in_which_run(one: Machine) -> None:
    with running(one) as run:
        run.save(STATE)
        run.save(LATER)
    newest, oldest = one.store().backend.history()
    assert (LATER.serial, LATER.lineage, "lima: pending", str(ADA)) == (
        newest.serial,
        newest.lineage,
        newest.what,
        newest.by,
    )
    assert newest.saved_at.endswith("Z")
    assert "oslo: abandoned, paris: active, rome: unknown" == oldest.what
    assert run.state == codec.decode(one.store().backend.revision(LATER.serial) or b"", "")
    assert STATE == codec.decode(one.store().backend.revision(STATE.serial) or b"", "")
    assert one.store().backend.revision(99) is None


@pytest.mark.parametrize("gone", [False, True], ids=["older", "gone"])
def test_an_older_state_that_somebody_puts_back_is_refused_on_a_machine_without_memory(
    one: Machine, two: Machine, cluster: Cluster, address: str, *, gone: bool
) -> None:
    with running(one) as run:
        run.save(STATE)
        run.save(LATER)
    if gone:
        cluster.sql("DELETE FROM provisioner_state WHERE parent = %s", row_of(address))
    else:
        cluster.sql("UPDATE provisioner_state SET document = %s WHERE parent = %s", OLD, row_of(address))
    with pytest.raises(StateRolledBack) as caught, running(two, BOB):
        pass
    assert f"its history has serial {LATER.serial}" in caught.value.message


def test_a_document_that_somebody_changed_meanwhile_is_not_overwritten(
    one: Machine, cluster: Cluster, address: str
) -> None:
    store = one.store()
    version = store.save(OLD, ABSENT)
    cluster.sql("UPDATE provisioner_state SET document = document || '' || %s WHERE parent = %s", b" ", row_of(address))
    with pytest.raises(StateMoved):
        store.save(NEW, version)
    assert OLD + b" " == store.load()[0]


# ── Who is faster ────────────────────────────────────────────────────────────


def test_the_second_of_two_machines_sees_who_is_running(one: Machine, two: Machine) -> None:
    with running(one, ADA) as run:
        run.save(STATE)
        with pytest.raises(StateLocked) as caught, running(two, BOB):
            pass
        assert f"The state is held by {ADA}." == caught.value.message
        assert "`provisioner unlock one-1`" in caught.value.hint
        assert str(ADA) == two.store().holder()
    with running(two, BOB):
        assert two.store().holder() == str(BOB)
    assert two.store().holder() is None


def test_a_lease_decides_nothing_the_row_does(one: Machine, two: Machine) -> None:
    with running(one, ADA) as mine, running(two, BOB) as theirs:
        mine.save(STATE)
        with pytest.raises(StateMoved) as caught:
            theirs.save(STATE)
        assert f"changed by {ADA} while this run held it" in caught.value.message
        mine.save(LATER)
    assert LATER == codec.decode(one.store().load()[0] or b"", "")


def test_a_dead_run_blocks_others_until_its_lease_ends_or_a_person_unlocks_it(one: Machine, two: Machine) -> None:
    dead = one.store()
    with dead.hold(ADA, timeout=0, sleep=never):
        dead.save(OLD, dead.load()[1])
    with pytest.raises(StateLocked), running(two, BOB):
        pass
    two.store().backend.end("of another run")
    with pytest.raises(StateLocked), running(two, BOB):
        pass
    two.clock.now += timedelta(minutes=11)
    with running(two, BOB):
        pass
    two.clock.now -= timedelta(minutes=11)
    lease = two.store().backend.lease()
    assert isinstance(lease, Lease)
    two.store().backend.end(lease.id)
    with running(two, BOB):
        pass


@pytest.mark.parametrize("begins", [True, False])
@pytest.mark.parametrize("isolation", ["read committed", "serializable"])
def test_only_one_of_many_simultaneous_saves_succeeds(
    tmp_path: Path, cluster: Cluster, isolation: str, *, begins: bool
) -> None:
    """Whatever the database is set to, which has it answer the others in different ways."""
    query = f"?options=-cdefault_transaction_isolation%3D{isolation.replace(' ', '%5C%20')}"
    address = cluster.address(query=query)
    stores = [cluster.machine(tmp_path / f"m{number}", address).store() for number in range(RACERS)]
    if not begins:
        stores[0].save(OLD, ABSENT, Note("lineage-1", 1, "first"))
    saved, refused = list[int](), list[ProvisionerError]()
    row = row_of(address)
    held = (
        cluster.held("INSERT INTO provisioner_state (parent, document) VALUES (%s, '')", row)
        if begins
        else cluster.held("SELECT 1 FROM provisioner_state WHERE parent = %s FOR UPDATE", row)
    )

    def race(number: int) -> None:
        _, version = stores[number].load()
        try:
            stores[number].save(NEW + b" " * number, version, Note("lineage-1", 2, "next"))
        except StateMoved as error:
            refused.append(error)
        else:
            saved.append(number)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(RACERS)]
    with held:
        for each in threads:
            each.start()
        eventually(lambda: cluster.waiting() >= RACERS)
    for each in threads:
        each.join()
    assert (1, RACERS - 1) == (len(saved), len(refused))
    won = NEW + b" " * saved[0]
    assert won == stores[0].load()[0]
    assert [won] if begins else [OLD, won] == documents(cluster, address)


def test_a_run_keeps_one_connection_and_ends_it(one: Machine, cluster: Cluster, address: str) -> None:
    mine = cluster.machine(one.folder, address.replace("#", "?application_name=kept#"))
    connected = "SELECT pid FROM pg_stat_activity WHERE application_name = 'kept'"
    with running(mine) as run:
        eventually(lambda: not cluster.sql(connected))
        run.save(STATE)
        (first,) = cluster.sql(connected)
        run.save(LATER)
        assert [first] == cluster.sql(connected)
    eventually(lambda: not cluster.sql(connected))


# ── A bad day ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("befalls", [("lost",), ("cut",), ("silent",), ("lost", "cut"), ("cut", "lost")], ids="-".join)
def test_a_save_whose_answer_was_lost_is_settled_on_a_new_connection(
    hindered: Machine, cluster: Cluster, proxy: Proxy, befalls: tuple[str, ...]
) -> None:
    store = hindered.store()
    for raw, note in (OLD, Note("lineage-1", 1, "first")), (NEW, Note("lineage-1", 2, "second")):
        proxy.befalls = [*befalls]
        version = store.save(raw, store.load()[1], note)
        assert [] == proxy.befalls
        assert (raw, version) == store.load()
    assert [OLD, NEW] == documents(cluster, store.address)


def test_a_save_that_comes_late_changes_nothing_any_more(
    hindered: Machine, cluster: Cluster, proxy: Proxy, address: str
) -> None:
    """The network only delayed it: meanwhile, it was sent again, and another save followed."""
    store = hindered.store()
    version = store.save(OLD, ABSENT, Note("lineage-1", 1, "first"))
    proxy.befalls = ["late"]
    version = store.save(NEW, version, Note("lineage-1", 2, "second"))
    version = store.save(OLD + b" ", version, Note("lineage-1", 3, "third"))
    proxy.release.set()
    assert proxy.arrived.wait(20)
    assert (OLD + b" ", version) == store.load()
    assert [OLD, NEW, OLD + b" "] == documents(cluster, address)


@pytest.mark.parametrize("befalls", ["lost", "cut"])
def test_whoever_was_faster_while_an_answer_was_lost_is_not_overwritten(
    one: Machine, hindered: Machine, proxy: Proxy, befalls: str
) -> None:
    store = hindered.store()
    version = store.save(OLD, ABSENT)
    one.store().save(NEW, version)
    proxy.befalls = [befalls]
    with pytest.raises(StateMoved):
        store.save(OLD + b" ", version)
    assert NEW == one.store().load()[0]


def test_a_save_with_an_unclear_outcome_does_not_count_as_saved(one: Machine, hindered: Machine, proxy: Proxy) -> None:
    store = hindered.store()
    version = store.save(OLD, ABSENT)
    proxy.befalls = ["lost"] * 9
    with pytest.raises(StateNotSaved) as caught:
        store.save(NEW, version)
    assert "it is unknown whether the last statement was carried out" in caught.value.message
    assert ExitCode.STATE_UNUSABLE == caught.value.exit_code
    assert NEW == one.store().load()[0]


def test_if_the_server_goes_down_during_a_run_the_outcome_is_kept_here_and_in_the_log(
    hindered: Machine, proxy: Proxy
) -> None:
    said: list[str] = []
    with running(hindered, ADA, said) as run:
        run.save(LATER)
        proxy.befalls, proxy.is_closed = ["cut"], True
        with pytest.raises(StateNotSaved):
            run.save(STATE)
        place = run.rescue(LATER, "lima", "op-1", None)
        assert place.endswith(".json.rescue, and in the log")
        proxy.is_closed = False
    assert 1 == sum("provisioner-rescue" in each for each in said)
    with running(hindered, ADA, said) as run:
        assert run.state is not None
        assert "lima" not in run.state.accounts


def test_a_restarted_server_is_connected_to_again(one: Machine, cluster: Cluster, address: str) -> None:
    with running(one) as run:
        run.save(STATE)
        cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'applies'")
        run.save(LATER)
    assert 2 == len(documents(cluster, address))


def test_a_row_that_somebody_else_has_locked_is_named(tmp_path: Path, cluster: Cluster, address: str) -> None:
    store = cluster.machine(tmp_path, address, patience=SHORT).store()
    version = store.save(OLD, ABSENT)
    with (
        cluster.held("SELECT 1 FROM provisioner_state WHERE parent = %s FOR UPDATE", row_of(address)),
        pytest.raises(StateNotSaved, match="took too long") as caught,
    ):
        store.save(NEW, version)
    assert "pg_stat_activity" in caught.value.hint
    assert (OLD, version) == store.load()


# ── What lets nobody in ──────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("user", "database", "query", "words", "hint"),
    [
        ("applies", "states", "wrong", "does not accept the password", "PGPASSWORD"),
        ("applies", "states", "none", "does not accept the password", "~/.pgpass"),
        ("applies", "nowhere", "", "has no such database", "Correct `state`"),
        ("tls_only", "states", "?sslmode=disable", "refuses this user from here without TLS", "verify-full"),
        ("unlisted", "states", "", "refuses this user from here", "pg_hba.conf"),
        ("applies", "states", "?sslmode=require", "has no TLS, which the address requires", "at the server"),
    ],
)  # fmt: skip
def test_each_reason_for_a_refused_login_has_its_message(  # noqa: PLR0913, PLR0917  # a table
    tmp_path: Path, cluster: Cluster, user: str, database: str, query: str, words: str, hint: str
) -> None:
    known = {"PGPASSWORD": WRONG} if query == "wrong" else {} if query == "none" else None
    place = cluster.address(user, database=database, query=query if query.startswith("?") else "")
    store = cluster.machine(tmp_path, place, known).store()
    with pytest.raises(StateUnreachable) as caught:
        store.load()
    assert words in caught.value.message
    assert hint in caught.value.hint
    assert ExitCode.STATE_UNUSABLE == caught.value.exit_code
    said = caught.value.message + caught.value.hint
    assert cluster.password not in said
    assert WRONG not in said


def test_a_user_that_the_server_does_not_have_is_named(tmp_path: Path, cluster: Cluster) -> None:
    """By its socket, where the server asks for no password first."""
    place = f"postgresql://stranger@/states?host={cluster.folder}&port={cluster.port}#acme"
    with pytest.raises(StateUnreachable, match="does not know the user"):
        cluster.machine(tmp_path, place).store().load()


def test_a_missing_server_is_reported_as_unreachable(tmp_path: Path, cluster: Cluster, proxy: Proxy) -> None:
    proxy.is_closed = True
    elsewhere = cluster.address(row="x").replace("127.0.0.1", "nowhere.invalid")
    for place in (cluster.address(port=proxy.port), cluster.address(port=1), elsewhere):
        with pytest.raises(StateUnreachable, match="cannot be reached: ") as caught:
            cluster.machine(tmp_path, place).store().load()
        assert "psql accepts the address up to the #" in caught.value.hint


def test_a_standby_can_be_planned_from_and_says_that_it_takes_no_writes(
    one: Machine, cluster: Cluster, standby: Cluster, address: str
) -> None:
    version = one.store().save(OLD, ABSENT)
    store = cluster.machine(one.folder, standby.address(row=row_of(address))).store()
    eventually(lambda: store.load() == (OLD, version))
    with pytest.raises(StateUnreachable, match="does not accept writes"):
        store.backend.try_out()
    with pytest.raises(StateNotSaved, match="does not accept writes") as caught:
        store.save(NEW, version)
    assert "Name the primary" in caught.value.hint
    both = f"postgresql://applies@127.0.0.1:{standby.port},127.0.0.1:{cluster.port}/states"
    place = f"{both}?target_session_attrs=read-write#{row_of(address)}"
    store = cluster.machine(one.folder, place).store()
    assert (NEW, store.save(NEW, version)) == one.store().load()
    place = standby.address(query="?target_session_attrs=read-write")
    with pytest.raises(StateUnreachable, match="does not accept writes"):
        cluster.machine(one.folder, place).store().load()


def test_a_server_is_known_by_its_certificate(tmp_path: Path, cluster: Cluster, standby: Cluster) -> None:
    certificate = standby.folder / "data" / "server.crt"
    checked = f"?sslmode=verify-full&sslrootcert={certificate}"
    assert (None, ABSENT) == cluster.machine(tmp_path, standby.address("tls_only", query=checked)).store().load()
    at_home = {"HOME": str(tmp_path), "PGPASSWORD": cluster.password}
    machine = cluster.machine(tmp_path, standby.address("tls_only", query="?sslmode=verify-full"), at_home)
    with pytest.raises(StateUnreachable, match="does not have the certificate") as caught:
        machine.store().load()
    assert "sslrootcert" in caught.value.hint
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crt").write_bytes(certificate.read_bytes())
    assert (None, ABSENT) == machine.store().load()
    place = standby.address(query=checked).replace("127.0.0.1", "localhost")
    with pytest.raises(StateUnreachable, match="does not have the certificate"):
        cluster.machine(tmp_path, place).store().load()


def test_a_document_that_is_not_a_state_is_named(one: Machine, address: str) -> None:
    one.store().save(b"no state", ABSENT)
    with pytest.raises(StateInvalid, match=row_of(address)), running(one):
        pass
