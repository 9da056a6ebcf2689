"""A state in an object storage: real servers, a proxy on the way to them, and one that is wrong."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

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
from provisioner.state.stores import ABSENT, Note
from provisioner.state.stores.bucket import Bucket
from provisioner.state.stores.objects import ObjectBackend
from provisioner.state.stores.remote import RemoteStore
from tests.conftest import PATIENCE, environment, eventually
from tests.state import ADA, BOB, LATER, STATE, never
from tests.state.stores.fake_s3 import FakeS3, running_fake_s3
from tests.state.stores.proxy import Proxy, proxy_to
from tests.state.stores.remotes import Machine, running
from tests.state.stores.storage import BUCKET, READS, SECRET, Storage

pytest.importorskip("obstore", reason="obstore is not installed here; `make test` installs it")

OLD, NEW = codec.encode(STATE), codec.encode(LATER)
FIRST, SECOND = Note("lineage-1", 3, "paris: active"), Note("lineage-1", 4, "lima: pending")
RACERS: Final = 6
SHORT: Final = 1.0
FAKE: Final = f"s3://{BUCKET}/acme"


@pytest.fixture(scope="module", params=["seaweed", "azurite"])
def storage(request: pytest.FixtureRequest) -> Storage:
    found: Storage = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def address(storage: Storage) -> str:
    return storage.address()


@pytest.fixture
def one(tmp_path: Path, storage: Storage, address: str) -> Machine:
    return storage.machine(tmp_path / "one", address)


@pytest.fixture
def two(tmp_path: Path, storage: Storage, address: str) -> Machine:
    return storage.machine(tmp_path / "two", address)


@pytest.fixture(scope="module")
def on_the_way(storage: Storage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with proxy_to("127.0.0.1", storage.port, b"if-none-match") as made:
        # So that the server is already tested: some tests have little time.
        storage.machine(tmp_path_factory.mktemp("first"), storage.address(), storage.at(made.port)).store().save(
            OLD, ABSENT
        )
        yield made


@pytest.fixture
def proxy(on_the_way: Proxy) -> Iterator[Proxy]:
    """Return what is on the way to the server; only creates are befallen by anything."""
    yield on_the_way
    on_the_way.release.set()
    on_the_way.befalls, on_the_way.is_closed = [], False
    on_the_way.release, on_the_way.arrived = threading.Event(), threading.Event()


@pytest.fixture
def hindered(tmp_path: Path, storage: Storage, address: str, proxy: Proxy) -> Machine:
    return storage.machine(tmp_path / "hindered", address, storage.at(proxy.port), SHORT)


@pytest.fixture
def fake() -> Iterator[FakeS3]:
    with running_fake_s3() as made:
        yield made


@pytest.fixture
def at_fake(tmp_path: Path, fake: FakeS3) -> Machine:
    return reaching(tmp_path, fake)


def reaching(folder: Path, fake: FakeS3, environ: Mapping[str, str] | None = None, place: str = FAKE) -> Machine:
    """Return a machine that reaches the wrong server."""
    known = {**fake.environ, **(environ or {})}
    return Storage("s3", fake.port, known, "AWS_ENDPOINT_URL").machine(folder, place, patience=SHORT)


def names(storage: Storage, address: str) -> list[str]:
    """Return the names of a state's objects."""
    return sorted(storage.bucket().names(folder_of(address)))


def folder_of(address: str) -> str:
    return address.split("/", 3)[3]


# ── What it is ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "place", ["s3://states", "s3://states/", "s3://states//x", "s3://states/x/", "s3://states/../x", "s3://states/.x",
              "s3://S/x", "s3://user@states/x", "s3://states/a b", "s3://states/x?y"],
)  # fmt: skip
def test_an_address_that_cannot_be_one_is_refused(tmp_path: Path, fake: FakeS3, place: str) -> None:
    with pytest.raises(SettingInvalid, match="is not the address of a state in an object storage"):
        reaching(tmp_path, fake, place=place).store()


def test_two_machines_have_one_state(one: Machine, two: Machine, storage: Storage) -> None:
    version = one.store().save(OLD, ABSENT)
    assert (OLD, version) == two.store().load()
    assert one.store().key == two.store().key
    assert one.store().key != storage.machine(one.folder, storage.address()).store().key


def test_each_of_three_kinds_is_opened_and_only_where_its_extra_is(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from provisioner.state.stores.opening import Place, open_store\n"
        "environ = {'AZURE_STORAGE_ACCOUNT_NAME': 'one', 'GOOGLE_BEARER_TOKEN': 'x'}\n"
        "open_store(Place('state/default.json', Path(), Path(), environ))\n"
        "assert 'obstore' not in sys.modules\n"
        "sys.modules['obstore'] = None\n"
        "try: open_store(Place('gs://states/acme', Path(), Path(), environ))\n"
        "except Exception as error: print(type(error).__name__, error.hint)\n"
        "del sys.modules['obstore']\n"
        "for kind in 's3', 'az', 'gs': print(open_store(Place(kind + '://states/acme', Path(), Path(), environ)).key)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment(tmp_path), capture_output=True, text=True, check=True
    )
    assert [
        "SettingInvalid Install it: pip install 'octopush-provisioner[remote]'.",
        "s3:/states/acme",
        "az:one/states/acme",
        "gs:/states/acme",
    ] == said.stdout.splitlines()


def test_nothing_comes_from_the_environment_of_the_process(tmp_path: Path) -> None:
    """A program may open a project with an environment that is not its own."""
    code = (
        "from provisioner.state.stores.bucket import Bucket\n"
        "try: print(Bucket('It', 's3', 'states', {}, print).key)\n"
        "except Exception as error: print(error.message)"
    )
    process = environment(tmp_path) | {"AWS_SESSION_TOKEN": "of-somebody-else"}
    said = subprocess.run([sys.executable, "-c", code], env=process, capture_output=True, text=True, check=True).stdout
    assert "AWS_SESSION_TOKEN is set in this process, but not in the environment that the project was given.\n" == said


# ── Its objects ──────────────────────────────────────────────────────────────


def test_every_save_is_an_object_of_its_own_and_says_what_it_is(one: Machine, storage: Storage, address: str) -> None:
    with running(one) as run:
        run.save(STATE)
        run.save(LATER)
    assert ["00000003.json", "00000004.json", "lease.json"] == [
        each for each in names(storage, address) if each != "00000001.json"
    ]
    backend = one.store().backend
    newest, oldest = backend.history()
    assert (4, "lineage-1", "lima: pending", str(ADA)) == (newest.serial, newest.lineage, newest.what, newest.by)
    assert "oslo: abandoned, paris: active, rome: unknown" == oldest.what
    assert LATER == codec.decode(backend.revision(4) or b"", "")
    assert STATE == codec.decode(backend.revision(3) or b"", "")
    assert backend.revision(1) is None
    assert backend.revision(99) is None


def test_what_is_noted_may_hold_any_letter(one: Machine) -> None:
    store = one.store()
    store.save(OLD, ABSENT, Note("lineage-1", 1, "Zoë\n%: ü" * 100))
    assert ("Zoë\n%: ü" * 100)[:200] == store.backend.history()[0].what


def test_a_state_that_comes_with_a_serial_keeps_it_and_still_begins_where_all_begin(
    one: Machine, two: Machine, storage: Storage, address: str
) -> None:
    mine, theirs = one.store(), two.store()
    late = theirs.load()[1]
    version = mine.save(OLD, ABSENT, Note("lineage-1", 41, "moved"))
    with pytest.raises(StateMoved):
        theirs.save(NEW, late, Note("lineage-2", 1, "begun"))
    mine.save(NEW, version, Note("lineage-1", 42, "next"))
    assert ["00000001.json", "00000041.json", "00000042.json"] == names(storage, address)
    assert [42, 41] == [each.serial for each in mine.backend.history()]
    assert (NEW, 42, 42, 0) == (
        theirs.load()[0],
        theirs.newest(None),
        theirs.newest("lineage-1"),
        theirs.newest("lineage-2"),
    )


def test_whoever_died_between_two_objects_of_a_save_holds_nobody_up(
    one: Machine, two: Machine, storage: Storage, address: str
) -> None:
    bucket = storage.bucket()
    noted = {"serial": "41", "lineage": "lineage-1"}
    bucket.create(f"{folder_of(address)}/00000001.json", OLD, noted)
    mine, theirs = one.store(), two.store()
    assert OLD == mine.load()[0]
    theirs.load()
    mine.save(NEW, mine.load()[1], Note("lineage-1", 42, "next"))
    assert ["00000001.json", "00000041.json", "00000042.json"] == names(storage, address)
    with pytest.raises(StateMoved):
        theirs.save(NEW + b" ", one.store().backend.load()[1].replace("00000042", "00000041"))


@pytest.mark.parametrize("number", [3, 4, 5], ids=["the one before over the newest", "over the newest", "behind it"])
def test_an_older_state_that_somebody_puts_back_is_refused_on_a_machine_without_memory(
    one: Machine, two: Machine, storage: Storage, address: str, number: int
) -> None:
    with running(one) as run:
        run.save(STATE)
        run.save(LATER)
    # By hand, and without what this program notes.
    target = max(number, 4)
    storage.bucket().put(f"{folder_of(address)}/{target:08d}.json", OLD)
    with pytest.raises(StateRolledBack) as caught, running(two, BOB):
        pass
    assert f"{address} has serial 3; its history has serial {target}." == caught.value.message
    assert f"--serial {4 if number == 5 else 3}" in caught.value.hint


def test_a_state_whose_newest_was_removed_is_noticed_by_the_machine_that_has_seen_it(
    one: Machine, storage: Storage, address: str
) -> None:
    with running(one) as run:
        run.save(STATE)
        run.save(LATER)
    storage.bucket().delete([f"{folder_of(address)}/00000004.json"])
    with pytest.raises(StateRolledBack, match="this machine has already seen"), running(one):
        pass


def test_other_objects_in_the_folder_are_not_states(one: Machine, storage: Storage, address: str) -> None:
    for name in ("99999999.json.bak", "notes.txt", "x/99999999.json", "9.json"):
        storage.bucket().put(f"{folder_of(address)}/{name}", b"mine")
    assert (None, ABSENT) == one.store().load()


def test_an_object_that_is_larger_than_a_state_can_be_is_not_read(at_fake: Machine, fake: FakeS3) -> None:
    at_fake.store().save(b"", ABSENT)
    fake.flaw = "vast"
    with pytest.raises(StateInvalid, match="is larger than a state can be"):
        at_fake.store().load()


# ── What the manual says ─────────────────────────────────────────────────────


def test_the_example_of_the_manual_works(tmp_path: Path, seaweed: Storage) -> None:
    places = re.findall(r'^state: "((?:s3|az|gs)://.+)"$', section(), re.MULTILINE)
    assert ["s3", "az", "gs"] == [place.partition(":")[0] for place in places]
    place = places[0].replace("{parent}", "acme")
    store = seaweed.machine(tmp_path, place).store()
    version = store.save(OLD, ABSENT, Note("lineage-1", 1, "paris: pending"))
    with store.hold(ADA, timeout=0, sleep=lambda _: None):
        store.save(NEW, version, Note("lineage-1", 2, "paris: active"))
    listed = re.findall(r"^  (\w+\.json) ", section(), re.MULTILINE)
    assert listed == names(seaweed, place)
    assert place in section()


def section() -> str:
    """Return what the manual says of this store."""
    manual = Path(__file__).resolve().parents[3] / "docs" / "stores.md"
    return manual.read_text(encoding="utf-8").split("## In object storage\n")[1].split("\n## ")[0]


# ── Who is faster ────────────────────────────────────────────────────────────


def test_the_second_of_two_machines_sees_who_is_running(one: Machine, two: Machine) -> None:
    with running(one, ADA) as run:
        run.save(STATE)
        with pytest.raises(StateLocked) as caught, running(two, BOB):
            pass
        assert f"The state is held by {ADA}." == caught.value.message
        assert "`provisioner unlock one-1`" in caught.value.hint
    with running(two, BOB):
        assert two.store().holder() == str(BOB)
    assert two.store().holder() is None


def test_a_lease_decides_nothing_the_object_does(one: Machine, two: Machine) -> None:
    with running(one, ADA) as mine, running(two, BOB) as theirs:
        mine.save(STATE)
        with pytest.raises(StateMoved) as caught:
            theirs.save(STATE)
        assert f"changed by {ADA} while this run held it" in caught.value.message
        mine.save(LATER)
    assert LATER == codec.decode(one.store().load()[0] or b"", "")


def test_a_dead_run_blocks_others_until_its_lease_ends_or_a_person_unlocks_it(one: Machine, two: Machine) -> None:
    dead = one.store()
    with dead.hold(ADA, timeout=0, sleep=lambda _: None):
        version = dead.save(OLD, ABSENT)
        one.clock.now += timedelta(minutes=5)
        dead.save(NEW, version)
    two.clock.now += timedelta(minutes=14)
    with pytest.raises(StateLocked), running(two, BOB):
        pass
    with running(one, ADA):
        pass
    two.store().backend.end("of another run")
    with pytest.raises(StateLocked) as caught, running(two, BOB):
        pass
    two.store().backend.end(caught.value.hint.split("unlock ")[1].split("`")[0])
    with running(two, BOB):
        pass


@pytest.mark.parametrize("begins", [True, False])
def test_only_one_of_many_simultaneous_saves_succeeds(
    tmp_path: Path, storage: Storage, address: str, *, begins: bool
) -> None:
    stores = [storage.machine(tmp_path / f"m{number}", address).store() for number in range(RACERS)]
    if not begins:
        stores[0].save(OLD, ABSENT)
    start, saved, refused = threading.Barrier(RACERS), list[int](), list[ProvisionerError]()

    def race(number: int) -> None:
        _, version = stores[number].load()
        start.wait()
        try:
            stores[number].save(NEW + b" " * number, version)
        except StateMoved as error:
            refused.append(error)
        else:
            saved.append(number)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(RACERS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (1, RACERS - 1) == (len(saved), len(refused))
    assert NEW + b" " * saved[0] == stores[0].load()[0]


# ── A bad day ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("befalls", [("lost",), ("cut",), ("silent",), ("cut", "lost"), ("cut", "cut")], ids="-".join)
def test_a_save_whose_answer_was_lost_is_settled_by_reading(  # noqa: PLR0913, PLR0917  # a table
    hindered: Machine, one: Machine, proxy: Proxy, storage: Storage, address: str, befalls: tuple[str, ...]
) -> None:
    store = hindered.store()
    version = store.save(OLD, ABSENT, FIRST)
    proxy.befalls = [*befalls]
    version = store.save(NEW, version, SECOND)
    assert [] == proxy.befalls
    assert (NEW, version) == one.store().load() == store.load()
    assert 3 == len(names(storage, address))
    store.save(OLD, version)


def test_a_save_that_comes_late_changes_nothing_any_more(hindered: Machine, one: Machine, proxy: Proxy) -> None:
    store = hindered.store()
    version = store.save(OLD, ABSENT)
    proxy.befalls = ["late"]
    version = store.save(NEW, version)
    proxy.release.set()
    assert proxy.arrived.wait(10)
    assert (NEW, version) == one.store().load()


def test_whoever_was_faster_while_an_answer_was_lost_is_not_overwritten(
    hindered: Machine, one: Machine, proxy: Proxy
) -> None:
    store = hindered.store()
    version = store.save(OLD, ABSENT)
    newest = one.store().save(OLD + b" ", version)
    proxy.befalls = ["lost"]
    with pytest.raises(StateMoved):
        store.save(NEW, version)
    assert (OLD + b" ", newest) == one.store().load()


def test_a_save_that_failed_or_is_unclear_does_not_count_as_saved(
    hindered: Machine, one: Machine, proxy: Proxy
) -> None:
    store = hindered.store()
    version = store.save(OLD, ABSENT)
    proxy.befalls = ["cut"] * 9
    with pytest.raises(StateNotSaved, match="did not accept an object, or its answer was lost"):
        store.save(NEW, version)
    assert (OLD, version) == one.store().load()
    proxy.is_closed = True
    with pytest.raises(StateNotSaved) as caught:
        store.save(NEW, version)
    assert "it does not answer" in caught.value.message
    assert ExitCode.STATE_UNUSABLE == caught.value.exit_code


def test_if_the_server_goes_down_during_a_run_the_outcome_is_kept_here_and_in_the_log(
    hindered: Machine, proxy: Proxy
) -> None:
    said: list[str] = []
    with running(hindered, ADA, said) as run:
        run.save(LATER)
        proxy.befalls = ["cut"] * 4
        with pytest.raises(StateNotSaved):
            run.save(STATE)
        assert run.rescue(LATER, "lima", "op-1", None).endswith(".json.rescue, and in the log")
        proxy.befalls = []
    assert 1 == sum("provisioner-rescue" in each for each in said)
    with running(hindered, ADA, said) as run:
        assert run.state is not None
        assert "lima" not in run.state.accounts


def test_a_conflict_after_which_nothing_was_saved_is_retried(at_fake: Machine, fake: FakeS3) -> None:
    store = at_fake.store()
    version = store.save(OLD, ABSENT)
    fake.answers = [("PUT", 409, "ConditionalRequestConflict"), ("PUT", 503, "SlowDown")]
    assert (NEW, store.save(NEW, version)) == store.load()
    fake.answers = [("PUT", 409, "ConditionalRequestConflict")] * 9
    with pytest.raises(StateNotSaved, match="it answers each time that the object exists, but it does not"):
        store.save(OLD, store.load()[1])


# ── A server that cannot be trusted ──────────────────────────────────────────


@pytest.mark.parametrize(
    ("flaw", "words"),
    [
        ("ignores", "creates an object again that exists"),
        ("imagines", "says that an object exists which does not"),
        ("loses", "lost or replaced an object that was created"),
        ("races", "simultaneous creates succeed instead of one"),
        ("refuses", "lets none of 16 simultaneous creates succeed"),
    ],
)
def test_a_server_that_ignores_conditions_is_detected_before_the_first_save(
    at_fake: Machine, fake: FakeS3, flaw: str, words: str
) -> None:
    fake.flaw = flaw
    with pytest.raises(StateNotSaved, match=f"cannot keep a state: its server .*{words}") as caught:
        at_fake.store().save(OLD, ABSENT)
    assert "Nothing was sent." in caught.value.hint
    assert not [path for path in fake.objects if path.endswith(".json")]


def test_a_server_that_stops_honouring_conditions_is_detected_by_a_trial(at_fake: Machine, fake: FakeS3) -> None:
    at_fake.store().save(OLD, ABSENT)
    fake.flaw = "ignores"
    with pytest.raises(StateNotSaved, match="creates an object again that exists"):
        at_fake.store().backend.try_out()
    assert OLD == at_fake.store().load()[0]


def test_a_server_that_passed_leaves_no_probe_and_needs_no_preparation(
    one: Machine, storage: Storage, address: str
) -> None:
    assert one.store().backend.prepare() is False
    one.store().save(OLD, ABSENT)
    assert ["00000001.json"] == names(storage, address)


def test_only_one_of_many_simultaneous_first_runs_tests_the_server(tmp_path: Path, fake: FakeS3) -> None:
    stores = [reaching(tmp_path, fake, place=f"s3://{BUCKET}/parent-{number}").store() for number in range(RACERS)]
    with ThreadPoolExecutor(RACERS) as threads:
        assert RACERS == len(list(threads.map(lambda store: store.save(OLD, ABSENT), stores)))
    assert 1 == sum(path.endswith("-0") for path in fake.objects)


# ── What lets nobody in ──────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "code", "error", "words", "hint"),
    [
        (403, "RequestTimeTooSkewed", StateUnreachable, "the clock of this machine is wrong", "Set the clock"),
        (404, "NoSuchBucket", SettingInvalid, "there is no bucket states at http://127.0.0.1:", "Create the bucket"),
        (301, "PermanentRedirect", SettingInvalid, "is in another region", "AWS_REGION"),
        (400, "AuthorizationHeaderMalformed", SettingInvalid, "is in another region", "AWS_REGION"),
        (403, "AccessDenied", StateUnreachable, "lack a necessary right (AccessDenied)", "s3:ListBucket"),
        (403, "ExpiredToken", SettingInvalid, "does not accept the credentials (ExpiredToken)", "AWS_ACCESS_KEY_ID"),
        (400, "IllegalLocation", StateUnreachable, "it answers with IllegalLocation", "the network reaches it"),
    ],
)
def test_each_reason_for_a_refused_login_has_its_message(  # noqa: PLR0913, PLR0917  # a table
    at_fake: Machine, fake: FakeS3, status: int, code: str, error: type[ProvisionerError], words: str, hint: str
) -> None:
    store = at_fake.store()
    fake.answers = [("GET", status, code)]
    with pytest.raises(error) as caught:
        store.load()
    assert words in caught.value.message
    assert hint in caught.value.hint
    version = store.save(OLD, store.load()[1])
    fake.answers = [("PUT", status, code)] * 9
    with pytest.raises(StateNotSaved) as missed:
        store.save(NEW, version)
    assert words in missed.value.message
    for each in (caught.value, missed.value):
        said = each.message + each.hint
        assert not [secret for secret in ("AKIA-1", "s1gn", "hush-3b8e") if secret in said]


def test_real_servers_say_who_may_not_and_what_is_not_there(tmp_path: Path, storage: Storage) -> None:
    wrong = {name: "d3Jvbmc=" for name in storage.environ if name.endswith("_KEY")}
    with pytest.raises(SettingInvalid, match="does not accept the credentials") as caught:
        storage.machine(tmp_path, storage.address(), {**storage.environ, **wrong}).store().load()
    assert ExitCode.SETTING_INVALID == caught.value.exit_code
    assert "d3Jvbmc" not in caught.value.message + caught.value.hint
    with pytest.raises(SettingInvalid, match=r"there is no (bucket|container) nowhere at http") as caught:
        storage.machine(tmp_path, f"{storage.scheme}://nowhere/x").store().load()


def test_who_may_only_read_plans_and_saves_nothing(tmp_path: Path, seaweed: Storage) -> None:
    place = seaweed.address()
    seaweed.machine(tmp_path / "one", place).store().save(OLD, ABSENT)
    store = seaweed.machine(tmp_path / "two", place, {**seaweed.environ, **READS}).store()
    raw, version = store.load()
    assert OLD == raw
    with pytest.raises(StateUnreachable, match="lack a necessary right"):
        store.backend.try_out()
    with pytest.raises(StateNotSaved, match="lack a necessary right") as caught:
        store.save(NEW, version)
    assert "s3:PutObject" in caught.value.hint
    assert SECRET not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("place", ["s3", "az"])
def test_where_there_are_no_credentials_it_says_how_to_give_them(tmp_path: Path, place: str) -> None:
    nobody = {
        "s3": {"AWS_METADATA_ENDPOINT": "http://127.0.0.1:1"},
        "az": {"AZURE_STORAGE_ACCOUNT_NAME": "one", "AZURE_MSI_ENDPOINT": "http://127.0.0.1:1"},
    }[place]
    storage = Storage(place, 0, nobody, "")
    with pytest.raises(SettingInvalid, match=r"needs credentials for .*, but there are none") as caught:
        storage.machine(tmp_path, storage.address()).store().load()
    assert "Set A" in caught.value.hint


@pytest.mark.parametrize("environ", [{"AWS_ACCESS_KEY_ID": "AKIA-1"}, {"AWS_SECRET_ACCESS_KEY": "hush-3b8e"}])
def test_half_given_settings_are_refused(tmp_path: Path, environ: Mapping[str, str]) -> None:
    storage = Storage("s3", 0, environ, "")
    with pytest.raises(SettingInvalid, match="are incomplete or invalid") as caught:
        storage.machine(tmp_path, storage.address()).store()
    assert "hush" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [("http://minio.example.com:9000", "is an http address"), ("minio:9000", "is not an http")],
)
def test_plain_http_is_used_only_on_this_machine(tmp_path: Path, fake: FakeS3, endpoint: str, words: str) -> None:
    with pytest.raises(SettingInvalid, match=f"AWS_ENDPOINT_URL_S3 {words}") as caught:
        reaching(tmp_path, fake, {"AWS_ENDPOINT_URL_S3": endpoint}).store()
    assert "https" in caught.value.hint


def test_a_missing_server_is_reported_as_unreachable(tmp_path: Path, storage: Storage) -> None:
    machine = storage.machine(tmp_path, storage.address(), storage.at(1))
    with pytest.raises(StateUnreachable, match=r"cannot be reached at http://127.0.0.1:1.*: it does not answer"):
        machine.store().load()


def test_a_document_that_is_not_a_state_is_named(one: Machine, address: str) -> None:
    one.store().save(b"no state", ABSENT)
    with pytest.raises(StateInvalid, match=address), running(one):
        pass


# ── Its history ──────────────────────────────────────────────────────────────

DONE: Final = Note("lineage-1", 3, "paris: active", ('{"done": 1}',))


def test_the_history_records_what_was_done_during_the_run(one: Machine) -> None:
    store = one.store()
    with store.hold(ADA, timeout=0, sleep=never):
        store.save(OLD, ABSENT, DONE)
        store.record(DONE)
        # A run that is killed now has lost none of it.
        eventually(lambda: one.store().recorded() == DONE.lines)
        store.release()


def test_a_history_that_cannot_be_written_is_reported_at_the_end_and_no_lease_is_left(
    storage: Storage, address: str, one: Machine
) -> None:
    class Expired(ObjectBackend):
        """Has credentials that are no longer accepted when the history is written."""

        def record(self, note: Note) -> None:
            del note
            raise SettingInvalid("The token has expired.")

    def expired(_: Path) -> ObjectBackend:
        return Expired(
            address, lambda scheme, name: Bucket(address, scheme, name, storage.environ, lambda _: None, 10.0)
        )

    store = replace(one, open_backend=expired).store()
    with store.hold(ADA, timeout=0, sleep=never):
        store.save(OLD, ABSENT, DONE)
        store.record(DONE)
        with pytest.raises(StateError, match=r"The history lacks what this run did\. The token has expired\."):
            store.release()
    assert one.store().holder() is None


def test_a_history_that_hangs_holds_up_no_save_and_the_end_only_for_a_while(
    storage: Storage, address: str, one: Machine
) -> None:
    begun, over = threading.Event(), threading.Event()

    class Hanging(ObjectBackend):
        """Has a history that takes nothing until it is over."""

        def record(self, note: Note) -> None:
            del note
            begun.set()
            over.wait()

    def opened(scheme: str, name: str) -> Bucket:
        return Bucket(address, scheme, name, storage.environ, lambda _: None, 10.0)

    store = RemoteStore(Hanging(address, opened), one.folder / "home", lambda: "ours", one.clock, patience=0.05)
    try:
        with store.hold(ADA, timeout=0, sleep=never):
            version = store.save(OLD, ABSENT, DONE)
            store.record(DONE)
            begun.wait(PATIENCE)
            store.save(NEW, version, replace(DONE, serial=4))
            store.record(replace(DONE, serial=4))
            with pytest.raises(StateError, match=r"what this run did\. It takes more than 0\.05 s\."):
                store.release()
        assert one.store().holder() is None
    finally:
        over.set()
