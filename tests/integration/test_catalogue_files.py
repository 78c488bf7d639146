"""`mylist catalogue`: what a catalogue contains after imports, however they ended, and what an export contains."""

import asyncio
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from devtools.waiting import wait_until
from mylist.catalogue_files.checkpoint import CheckpointError
from mylist.catalogue_files.export_file import export_file
from mylist.catalogue_files.import_files import ImportFileError, import_files
from mylist.catalogue_files.run_options import Import, Options, told
from mylist.config.settings import Settings
from mylist.domain.external_id import ExternalIdRules
from mylist.seeding.open_database import open_database

Document = dict[str, Any]
Stored = Database[Document]
Write = Callable[..., str]

ALIEN = "65a0c0ffee65a0c0ffee65a0"
HEAT = "65a0c0ffee65a0c0ffee65a1"
LOST = "65a0c0ffee65a0c0ffee65a2"
KEPT = {"createdAt", "updatedAt"}
IMDB = (
    "tconst\ttitleType\tprimaryTitle\toriginalTitle\tisAdult\tstartYear\tendYear\truntimeMinutes\tgenres\n"
    "tt0078748\tmovie\tAlien\tAlien\t0\t1979\t\\N\t117\tHorror,Sci-Fi\n"
    'tt0033122\tmovie\t"Swing it" magistern\t"Swing it" magistern\t0\t1940\t\\N\t92\tComedy,Music\n'
    "tt0411008\ttvSeries\tLost\tLost\t0\t2004\t2010\t44\tAdventure,Drama,Fantasy\n"
    "tt0636289\ttvEpisode\tPilot: Part 1\tPilot: Part 1\t0\t2004\t\\N\t42\tAdventure,Drama,Fantasy\n"
)


@pytest.fixture
def stored(own_uri: str) -> Iterator[Stored]:
    """The database that has the catalogue."""
    with MongoClient[Document](own_uri, tz_aware=True) as client:
        yield client.get_default_database()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file of titles; return its path."""

    def written(*lines: Document | str, name: str = "titles.jsonl") -> str:
        path = tmp_path / name
        path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
        return str(path)

    return written


def movie(title: str, content_id: str | None = None, **fields: Any) -> Document:
    line = {"contentType": "movie", "title": title, **fields}
    return line if content_id is None else {"id": content_id, **line}


def show(title: str, content_id: str | None = None, **fields: Any) -> Document:
    return movie(title, content_id, **fields) | {"contentType": "tvshow"}


def numbered(number: int) -> Document:
    return movie(f"Title {number}", externalIds={"imdb": f"tt{number:07}"})


async def bring(*files: str, **options: Any) -> Import:
    async with open_database(Settings.from_environment()) as database:
        return await import_files(database, Options(files, **options))


async def export_to(path: Path) -> list[Document]:
    async with open_database(Settings.from_environment()) as database:
        await export_file(database, path)
    return lines_of(path)


def lines_of(path: Path) -> list[Document]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in text.splitlines()]


def everything(stored: Stored) -> list[Document]:
    return [each for name in ("movies", "tvshows") for each in stored[name].find(sort=[("_id", 1)])]


def of(stored: Stored, title: str) -> Document:
    """The document with this title, without the two fields that the import sets itself."""
    (document,) = (each for each in everything(stored) if each["title"] == title)
    return {name: value for name, value in document.items() if name not in KEPT}


def counted(done: Import) -> dict[str, int]:
    """The counts of a run, without zeros. Every title is counted once."""
    counts = asdict(done.counts)
    counts.pop("others")
    became = ("inserted", "updated", "unchanged", "not_taken", "duplicates", "invalid")
    assert counts["read"] == sum(counts[name] for name in became)
    return {name: number for name, number in counts.items() if number}


def errors(done: Import) -> list[str]:
    return [f"{each.line}: {each.error}" for each in done.first_errors]


class TestLine:
    async def test_inserts_a_new_title(self, stored: Stored, write: Write) -> None:
        line = movie("Alien", ALIEN, genres=["Horror"], releaseDate="1979-05-25", externalIds={"tmdb": 348}, poster="p")
        done = await bring(write(line))

        assert counted(done) == {"read": 1, "inserted": 1}
        assert dict(done.counts.others) == {"poster": 1}
        assert of(stored, "Alien") == {
            "_id": ObjectId(ALIEN),
            "title": "Alien",
            "genres": ["Horror"],
            "releaseDate": datetime(1979, 5, 25, tzinfo=UTC),
            "poster": "p",
            "externalIds": {"tmdb": "348"},
        }
        (document,) = everything(stored)
        assert document["createdAt"] == document["updatedAt"]

    async def test_changes_the_fields_that_it_names_and_removes_null_ones(self, stored: Stored, write: Write) -> None:
        await bring(
            write(movie("Alien", ALIEN, director="R. Scott", genres=["A"], externalIds={"imdb": "tt1", "tvdb": 1}))
        )
        (before,) = everything(stored)
        done = await bring(
            write(movie("Alien", ALIEN, genres=["B"], director=None, externalIds={"tvdb": None, "tmdb": "3"}))
        )

        assert counted(done) == {"read": 1, "updated": 1}
        assert of(stored, "Alien") == {
            "_id": ObjectId(ALIEN),
            "title": "Alien",
            "genres": ["B"],
            "externalIds": {"imdb": "tt1", "tmdb": "3"},
        }
        (after,) = everything(stored)
        assert after["createdAt"] == before["createdAt"]
        assert after["updatedAt"] > before["updatedAt"]

    async def test_leaves_other_fields_unchanged(self, stored: Stored, write: Write) -> None:
        document = {"_id": ObjectId(ALIEN), "title": "Alien", "rating": 8.5, "year": 1979, "externalIds": {"eidr": "1"}}
        stored["movies"].insert_one(dict(document))
        await bring(write(movie("Alien", ALIEN, genres=["B"], externalIds={"imdb": "tt1"})))
        assert of(stored, "Alien") == document | {"genres": ["B"], "externalIds": {"eidr": "1", "imdb": "tt1"}}

    async def test_changes_nothing_if_it_is_imported_again(self, stored: Stored, write: Write) -> None:
        episodes = [{"seasonNumber": 1, "releaseDate": "2004-09-22", "actors": ["Matthew Fox"]}]
        file = write(
            movie("Alien", ALIEN, releaseDate="1979-05-25T10:00:00.123456Z", director=None),
            show("Lost", externalIds={"tmdb": 4607}, episodes=episodes),
        )
        await bring(file)
        before = everything(stored)
        assert counted(await bring(file)) == {"read": 2, "unchanged": 2}
        assert everything(stored) == before

    async def test_replaces_1_with_true(self, stored: Stored, write: Write) -> None:
        stored["movies"].insert_one({"_id": ObjectId(ALIEN), "title": "Alien", "isAdult": 1})
        await bring(write(movie("Alien", ALIEN, isAdult=True)))
        assert of(stored, "Alien")["isAdult"] is True

    async def test_with_the_id_of_a_title_of_the_other_type_is_an_error(self, stored: Stored, write: Write) -> None:
        stored["tvshows"].insert_one({"_id": ObjectId(ALIEN), "title": "Alien: Earth"})
        done = await bring(write(movie("Alien", ALIEN), movie("Heat", HEAT)))
        assert errors(done) == [f"1: the catalogue has `id` {ALIEN} with the other contentType"]
        assert counted(done) == {"read": 2, "inserted": 1, "invalid": 1}


class TestExternalIds:
    async def test_identify_a_title_if_any_of_them_matches(self, stored: Stored, write: Write) -> None:
        stored["movies"].insert_one({"_id": ObjectId(ALIEN), "title": "?", "externalIds": {"tmdb": "348"}})
        done = await bring(write(movie("Alien", externalIds={"imdb": "tt0078748", "tmdb": 348})))
        assert counted(done) == {"read": 1, "updated": 1}
        assert of(stored, "Alien") == {
            "_id": ObjectId(ALIEN),
            "title": "Alien",
            "externalIds": {"tmdb": "348", "imdb": "tt0078748"},
        }

    async def test_of_a_movie_and_of_a_show_may_be_equal(self, stored: Stored, write: Write) -> None:
        assert counted(
            await bring(write(movie("Alien", externalIds={"tmdb": 1}), show("Pride", externalIds={"tmdb": 1})))
        ) == {"read": 2, "inserted": 2}
        assert of(stored, "Alien")["_id"] != of(stored, "Pride")["_id"]

    async def test_give_a_new_title_the_same_id_in_every_database(self, stored: Stored, write: Write) -> None:
        file = write(movie("Alien", externalIds={"imdb": "tt0078748", "tmdb": 348}))
        await bring(file)
        first = of(stored, "Alien")
        stored["movies"].drop()
        await bring(file)
        assert of(stored, "Alien") == first

    async def test_that_match_several_titles_are_an_error(self, stored: Stored, write: Write) -> None:
        stored["movies"].insert_many(
            [
                {"_id": ObjectId(ALIEN), "title": "Alien", "externalIds": {"imdb": "tt1"}},
                {"_id": ObjectId(HEAT), "title": "Heat", "externalIds": {"tmdb": "2"}},
            ]
        )
        done = await bring(write(movie("?", externalIds={"imdb": "tt1", "tmdb": 2})))
        assert errors(done) == [f"1: its `externalIds` are those of several titles, {ALIEN}, {HEAT}: name one by `id`"]

    async def test_do_not_identify_a_title_that_no_longer_has_them(self, stored: Stored, write: Write) -> None:
        await bring(write(movie("Alien", externalIds={"imdb": "tt1"})))
        content_id = of(stored, "Alien")["_id"]
        await bring(write(movie("Alien", str(content_id), externalIds={"imdb": "tt2"})))
        file = write(movie("Heat", externalIds={"imdb": "tt1"}))
        assert counted(await bring(file)) == {"read": 1, "inserted": 1}
        assert counted(await bring(file)) == {"read": 1, "unchanged": 1}
        assert of(stored, "Alien") == {"_id": content_id, "title": "Alien", "externalIds": {"imdb": "tt2"}}

    async def test_with_registered_names_are_indexed(self, stored: Stored, write: Write) -> None:
        await bring(write(movie("Alien", ALIEN)), external_ids=ExternalIdRules(("imdb", "eidr")))
        for name in ("movies", "tvshows"):
            indexes = stored[name].index_information()
            assert {each for each in indexes if "externalIds" in each} == {
                "externalIds.imdb_1",
                "externalIds.eidr_1",
            }

    async def test_with_other_names_are_stored_and_reported_but_identify_no_title(
        self, stored: Stored, write: Write
    ) -> None:
        file = write(movie("Alien", ALIEN, externalIds={"imbd": "tt1"}), movie("Heat", externalIds={"imbd": "tt2"}))
        done = await bring(file)

        assert of(stored, "Alien")["externalIds"] == {"imbd": "tt1"}
        assert errors(done) == [
            "2: it has no `id`, and `externalIds` has only imbd, which is not in EXTERNAL_ID_NAMES: imdb, tmdb, tvdb"
        ]
        assert (
            "Fields that neither the schema nor EXTERNAL_ID_NAMES names, stored as they are: externalIds.imbd"
            in told(done, Options([file]))
        )

    @pytest.mark.parametrize("dry", [False, True])
    @pytest.mark.parametrize(
        ("rules", "expected"),
        [
            (ExternalIdRules(), []),
            (ExternalIdRules(unique_by_type=frozenset({"imdb"})), [2, 4]),
            (ExternalIdRules(unique=frozenset({"imdb"})), [2, 3, 4, 5]),
        ],
    )
    async def test_that_two_titles_would_share_are_an_error_only_if_configured_as_unique(
        self, stored: Stored, write: Write, rules: ExternalIdRules, expected: list[int], dry: bool
    ) -> None:
        stored["movies"].insert_one({"_id": ObjectId(ALIEN), "title": "Alien", "externalIds": {"imdb": "tt1"}})
        file = write(
            movie("Heat", HEAT, externalIds={"imdb": "tt2"}),
            movie("Theirs", str(ObjectId()), externalIds={"imdb": "tt1"}),
            show("Theirs", externalIds={"imdb": "tt1"}),
            movie("Of this file", str(ObjectId()), externalIds={"imdb": "tt2"}),
            show("Of this file", LOST, externalIds={"imdb": "tt2"}),
        )
        done = await bring(file, external_ids=rules, dry=dry)

        assert [each.line for each in done.first_errors] == expected
        if 4 in expected:
            messages = {each.line: each.error for each in done.first_errors}
            assert messages[2] == (
                f"its `externalIds` have imdb:tt1, which already belongs to {ALIEN}, but imdb ids must be unique "
                "(UNIQUE_EXTERNAL_IDS)"
            )
            assert messages[4] == "line 1 has the same imdb:tt2, but imdb ids must be unique (UNIQUE_EXTERNAL_IDS)"

    async def test_configured_as_unique_are_enforced_by_an_index(self, stored: Stored, write: Write) -> None:
        rules = ExternalIdRules(unique_by_type=frozenset({"imdb"}))
        await bring(write(movie("Alien", ALIEN)), external_ids=rules)
        stored["movies"].insert_one({"_id": ObjectId(HEAT), "title": "Heat", "externalIds": {"imdb": "tt1"}})
        with pytest.raises(DuplicateKeyError):
            stored["movies"].update_one({"_id": ObjectId(ALIEN)}, {"$set": {"externalIds.imdb": "tt1"}})

    async def test_use_an_existing_index_of_the_platform(self, stored: Stored, write: Write) -> None:
        stored["movies"].create_index("externalIds.imdb", unique=True, sparse=True, name="theirs")
        await bring(write(movie("Alien", externalIds={"imdb": "tt1"})))
        assert {"theirs"} == {
            name for name in stored["movies"].index_information() if "imdb" in name or name == "theirs"
        }


class TestFormats:
    async def test_an_imdb_file_inserts_movies_and_shows_but_no_episodes(self, stored: Stored, write: Write) -> None:
        file = write(IMDB, name="title.basics.tsv")
        assert counted(await bring(file)) == {"read": 4, "inserted": 3, "not_taken": 1}
        assert counted(await bring(file)) == {"read": 4, "unchanged": 3, "not_taken": 1}
        lost = of(stored, "Lost")
        assert (lost["releaseYear"], lost["endYear"], lost["externalIds"]) == (2004, 2010, {"imdb": "tt0411008"})
        assert of(stored, '"Swing it" magistern')["genres"] == ["Comedy", "Music"]

    async def test_a_tmdb_file_does_not_replace_an_existing_title_with_the_title_in_the_original_language(
        self, stored: Stored, write: Write
    ) -> None:
        stored["tvshows"].insert_one({"_id": ObjectId(LOST), "title": "Pride", "externalIds": {"tmdb": "1"}})
        file = write(
            '{"id":1,"original_name":"プライド","popularity":3.7982}\n',
            '{"adult":false,"id":3924,"original_title":"Blondie","popularity":1.2707,"video":false}\n',
        )
        assert counted(await bring(file)) == {"read": 2, "inserted": 1, "updated": 1}
        assert of(stored, "Pride")["originalTitle"] == "プライド"
        assert of(stored, "Blondie")["externalIds"] == {"tmdb": "3924"}
        assert counted(await bring(file)) == {"read": 2, "unchanged": 2}

    async def test_one_run_imports_several_files_of_different_formats(
        self, stored: Stored, write: Write, tmp_path: Path
    ) -> None:
        packed = tmp_path / "title.basics.tsv.gz"
        packed.write_bytes(gzip.compress(IMDB.encode()))
        csv = write("contentType,title,externalIds.imdb\nmovie,Again,tt0078748\nmovie,Heat,tt0113277\n", name="a.csv")
        done = await bring(str(packed), csv)
        assert counted(done) == {"read": 6, "inserted": 4, "not_taken": 1, "duplicates": 1}
        assert errors(done) == [f"2: line 2 of {packed} names the same title, and is used instead"]
        assert of(stored, "Heat")


class TestErrors:
    async def test_the_first_of_two_lines_for_one_title_is_used(
        self, stored: Stored, write: Write, tmp_path: Path
    ) -> None:
        stored["movies"].insert_one({"_id": ObjectId(ALIEN), "title": "?", "externalIds": {"imdb": "tt1"}})
        lines = [
            movie("Alien", externalIds={"imdb": "tt1"}),
            movie("Heat", HEAT),
            movie("Heat 2", HEAT),
            movie("Alien 2", externalIds={"imdb": "tt1", "tmdb": 5}),
        ]
        file = write(*lines)
        done = await bring(file, errors=tmp_path / "errors")
        assert counted(done) == {"read": 4, "inserted": 1, "updated": 1, "duplicates": 2}
        assert [json.loads(line) for line in (tmp_path / "errors").read_text().splitlines()] == [
            {
                "file": file,
                "line": number,
                "error": f"line {first} names the same title, and is used instead",
                "text": json.dumps(lines[number - 1]),
            }
            for number, first in ((3, 2), (4, 1))
        ]
        assert [each["title"] for each in everything(stored)] == ["Alien", "Heat"]

    @pytest.mark.parametrize("first_by_id", [True, False])
    async def test_a_line_with_an_id_and_one_with_an_external_id_can_be_duplicates(
        self, stored: Stored, write: Write, *, first_by_id: bool
    ) -> None:
        stored["movies"].insert_one({"_id": ObjectId(ALIEN), "title": "?", "externalIds": {"imdb": "tt1"}})
        lines = [movie("By id", ALIEN), movie("By imdb", externalIds={"imdb": "tt1"})]
        done = await bring(write(*(lines if first_by_id else reversed(lines))))
        assert counted(done) == {"read": 2, "updated": 1, "duplicates": 1}

    async def test_a_line_that_mongodb_refuses_is_an_error_of_that_line_only(
        self, stored: Stored, write: Write
    ) -> None:
        stored["movies"].create_index("slug", unique=True, sparse=True)
        done = await bring(write(movie("Alien", ALIEN, slug="a"), movie("Heat", HEAT, slug="a"), movie("Up", LOST)))
        assert counted(done) == {"read": 3, "inserted": 2, "invalid": 1}
        (error,) = errors(done)
        assert "MongoDB refuses it" in error
        assert {each["title"] for each in everything(stored)} in ({"Alien", "Up"}, {"Heat", "Up"})

    async def test_a_truncated_file_is_reported_and_imported_up_to_the_cut(
        self, stored: Stored, write: Write, tmp_path: Path
    ) -> None:
        cut = tmp_path / "cut.jsonl.gz"
        text = "".join(json.dumps(numbered(n)) + "\n" for n in range(20_000))
        cut.write_bytes(gzip.compress(text.encode())[:4000])
        done = await bring(str(cut), write(movie("Alien", ALIEN)), withdraws=True, withdraw_up_to=100.0)
        assert done.counts.cut_files == 1
        assert done.counts.inserted == stored["movies"].count_documents({}) > 2
        assert [each.told() for each in done.first_errors] == [
            f"{cut}: its gzip data ends too early, so the file was cut: get it again"
        ]
        assert done.not_withdrawn.startswith("some lines could not be read")
        assert of(stored, "Alien")

    async def test_a_missing_file_is_reported_before_anything_is_imported(
        self, stored: Stored, write: Write, tmp_path: Path
    ) -> None:
        file = write(movie("Alien", ALIEN))
        for missing in (str(tmp_path / "none"), str(tmp_path)):
            with pytest.raises(ImportFileError, match=r"none: No such file|: Is a directory"):
                await bring(file, missing)
        assert everything(stored) == []


class TestDryRun:
    async def test_counts_what_a_run_would_do_and_changes_nothing(self, stored: Stored, write: Write) -> None:
        stored["movies"].insert_many(
            [
                {"_id": ObjectId(ALIEN), "title": "Alien", "externalIds": {"imdb": "tt1"}},
                {"_id": ObjectId(HEAT), "title": "Heat"},
                {"_id": ObjectId(LOST), "title": "Lost"},
            ]
        )
        before, collections = everything(stored), set(stored.list_collection_names())
        file = write(
            movie("Alien", externalIds={"imdb": "tt1"}),
            movie("Heat!", HEAT),
            *(numbered(n) for n in range(2, 60)),
            "oops\n",
            movie("Heat!", HEAT),
        )
        options = {"withdraws": False}
        dry = await bring(file, dry=True, **options)
        assert everything(stored) == before
        assert set(stored.list_collection_names()) == collections
        assert set(stored["movies"].index_information()) == {"_id_"}
        assert counted(dry) == counted(await bring(file, **options))

    async def test_counts_what_would_be_withdrawn(self, stored: Stored, write: Write) -> None:
        await bring(write(*(numbered(n) for n in range(40))))
        file = write(*(numbered(n) for n in range(1, 40)))
        done = await bring(file, dry=True, withdraws=True, withdraw_up_to=5.0)
        assert (done.counts.withdrawn, stored["movies"].count_documents({})) == (1, 40)


class TestWithdrawing:
    @pytest.fixture
    async def catalogue(self, stored: Stored, write: Write) -> Stored:
        """40 movies and 2 shows."""
        shows = (show(f"Show {n}", externalIds={"imdb": f"tt9{n}"}) for n in range(2))
        await bring(write(*(numbered(n) for n in range(40)), *shows))
        return stored

    async def test_removes_titles_that_no_line_names_if_they_are_few(self, catalogue: Stored, write: Write) -> None:
        done = await bring(write(*(numbered(n) for n in range(2, 40))), withdraws=True, withdraw_up_to=5.0)
        assert counted(done) == {"read": 38, "unchanged": 38, "withdrawn": 2}
        assert {each["title"] for each in everything(catalogue)} == {
            *(f"Title {n}" for n in range(2, 40)),
            "Show 0",  # the file has no title of its type
            "Show 1",
        }

    async def test_removes_a_larger_share_only_if_that_share_is_confirmed(
        self, catalogue: Stored, write: Write
    ) -> None:
        file = write(*(numbered(n) for n in range(3, 40)))
        done = await bring(file, withdraws=True, withdraw_up_to=5.0)
        assert done.not_withdrawn == (
            "3 of 40 titles of type movie are not in any file, 7.5 %, and at most 5 % may be withdrawn; to "
            "withdraw all of them, add --withdraw-up-to 7.5"
        )
        assert (done.counts.withdrawn, catalogue["movies"].count_documents({})) == (0, 40)
        done = await bring(file, withdraws=True, withdraw_up_to=7.5)
        assert (done.counts.withdrawn, done.not_withdrawn, catalogue["movies"].count_documents({})) == (3, "", 37)

    async def test_removes_no_title_if_the_share_of_either_type_is_too_large(
        self, catalogue: Stored, write: Write
    ) -> None:
        file = write(*(numbered(n) for n in range(1, 40)), show("Show 0", externalIds={"imdb": "tt90"}))
        done = await bring(file, withdraws=True, withdraw_up_to=5.0)
        assert "1 of 2 titles of type tvshow" in done.not_withdrawn
        assert catalogue["movies"].count_documents({}) == 40

    @pytest.mark.parametrize("content", ["", "\n\n", "contentType,title,id\n", IMDB.splitlines(keepends=True)[0]])
    async def test_removes_nothing_if_no_line_names_a_title(
        self, catalogue: Stored, write: Write, content: str
    ) -> None:
        done = await bring(write(content), withdraws=True, withdraw_up_to=100.0)
        assert done.not_withdrawn == "no line names a title"
        assert len(everything(catalogue)) == 42

    async def test_removes_nothing_if_a_line_is_unreadable(self, catalogue: Stored, write: Write) -> None:
        done = await bring(write(*(numbered(n) for n in range(1, 40)), "{\n"), withdraws=True, withdraw_up_to=100.0)
        assert done.not_withdrawn.startswith("some lines could not be read")
        assert len(everything(catalogue)) == 42

    async def test_keeps_titles_that_are_named_by_id_or_by_two_lines(self, catalogue: Stored, write: Write) -> None:
        content_id = str(of(catalogue, "Title 0")["_id"])
        lines = [movie("Title 0", content_id), *(numbered(n) for n in range(1, 40)), numbered(1)]
        done = await bring(write(*lines), withdraws=True, withdraw_up_to=100.0)
        assert counted(done) == {"read": 41, "unchanged": 40, "duplicates": 1}


class TestResuming:
    LINES = tuple(json.dumps(numbered(n)) + "\n" if n % 1000 else "{oops\n" for n in range(5000))

    def break_off(self, number: int, tmp_path: Path) -> tuple[int, str]:
        """Import from a pipe that stays open, and send a signal at the first checkpoint; return status and output."""
        options = ["--checkpoint", str(tmp_path / "checkpoint"), "--errors", str(tmp_path / "errors")]
        command = [sys.executable, "-m", "mylist", "catalogue", "import", "-", *options]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, **pipes) as process:  # type: ignore[call-overload] # of any
            process.stdin.write("".join(self.LINES).encode())
            process.stdin.flush()
            wait_until((tmp_path / "checkpoint").exists, within=60)
            process.send_signal(number)
            return process.wait(60), process.stderr.read().decode()

    async def test_continues_at_the_checkpoint_of_a_killed_run(
        self, stored: Stored, write: Write, tmp_path: Path
    ) -> None:
        checkpoint, errors = tmp_path / "checkpoint", tmp_path / "errors"
        self.break_off(signal.SIGKILL, tmp_path)
        done_before = json.loads(checkpoint.read_text())["records"]
        assert 0 < done_before < len(self.LINES)
        assert stored["movies"].count_documents({})

        changed = [json.dumps(numbered(9999)) + "\n", *self.LINES[1:]]
        for lines in (changed, self.LINES[: done_before - 1], []):
            with pytest.raises(CheckpointError, match="belongs to other files, or these files have changed: remove it"):
                await bring(write(*lines), checkpoint=checkpoint)

        with errors.open("a") as file:  # a report from after the checkpoint, which the next run drops
            file.write('{"line": 4999}\n')
        stored["movies"].delete_one({"title": "Title 1"})  # to show that its line is not imported again
        done = await bring(write(*self.LINES), checkpoint=checkpoint, errors=errors)
        assert done.resumed_after == done_before
        counts = counted(done)
        assert (counts["read"], counts["invalid"], counts["inserted"] + counts.get("unchanged", 0)) == (5000, 5, 4995)
        assert {each["title"] for each in everything(stored)} == {
            f"Title {n}" for n in range(5000) if n % 1000 and n != 1
        }
        assert [each["line"] for each in lines_of(errors)] == [1, 1001, 2001, 3001, 4001]
        assert not checkpoint.exists()

    @pytest.mark.own_logic
    async def test_after_an_interrupt_detects_duplicates_of_earlier_lines(
        self, stored: Stored, write: Write, tmp_path: Path
    ) -> None:
        checkpoint, errors = tmp_path / "checkpoint", tmp_path / "errors"
        # The signal comes while the run waits for more to read.
        assert self.break_off(signal.SIGINT, tmp_path) == (130, "mylist: interrupted\n")
        position = json.loads(checkpoint.read_text())
        assert stored["movies"].count_documents({}) >= position["counts"]["inserted"]

        errors.unlink()
        done = await bring(write(*self.LINES, self.LINES[1]), checkpoint=checkpoint, errors=errors)
        assert counted(done)["duplicates"] == 1
        assert done.first_errors[-1].error == "line 2 names the same title, and is used instead"
        assert [each["line"] for each in lines_of(errors)] == [
            number for number in (1, 1001, 2001, 3001, 4001, 5001) if number > position["records"]
        ]

    async def test_from_a_file_that_is_not_a_checkpoint_is_refused(
        self, own_uri: str, write: Write, tmp_path: Path
    ) -> None:
        assert own_uri
        for content in ("", "oops", "[]", '{"records": 1, "counts": {"read": "many"}}'):
            (tmp_path / "checkpoint").write_text(content)
            with pytest.raises(CheckpointError, match="is not the position of an import: name another file"):
                await bring(write(numbered(1)), checkpoint=tmp_path / "checkpoint")


@pytest.mark.own_logic
class TestConcurrency:
    async def test_concurrent_runs_of_one_file_insert_each_title_once(self, stored: Stored, write: Write) -> None:
        file = write(*(numbered(n) for n in range(1500)))
        runs = await asyncio.gather(*(bring(file) for _ in range(3)))
        assert [errors(each) for each in runs] == [[], [], []]
        assert sorted(each["title"] for each in everything(stored)) == sorted(f"Title {n}" for n in range(1500))
        assert sum(each.counts.inserted for each in runs) == 1500

    async def test_the_next_run_restores_titles_that_are_withdrawn_during_a_run(
        self, stored: Stored, write: Write
    ) -> None:
        await bring(write(*(numbered(n) for n in range(300))))
        changed = write(*(numbered(n) | {"description": "new"} for n in range(300)), name="changed.jsonl")

        async def withdraw_some() -> None:
            async with open_database(Settings.from_environment()) as database:
                for n in range(0, 300, 7):
                    await database["movies"].delete_one({"title": f"Title {n}"})

        await asyncio.gather(bring(changed), withdraw_some())
        await bring(changed)
        assert stored["movies"].count_documents({"description": "new"}) == 300


class TestExporting:
    async def test_to_a_file_and_importing_it_changes_nothing(self, stored: Stored, tmp_path: Path) -> None:
        moment = datetime(2020, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
        documents = [
            {
                "_id": ObjectId(ALIEN),
                "title": "Alien",
                "releaseDate": moment,
                "licensed": {"until": moment, "in": ["DE", None]},
                "rating": 8.5,
                "partner": ObjectId(HEAT),
                "externalIds": {"imdb": "tt0078748"},
                "createdAt": moment,
                "updatedAt": moment,
                "__v": 0,
            },
            {"_id": ObjectId(HEAT), "title": "Heat", "id": "theirs", "contentType": "film"},
        ]
        stored["movies"].insert_many(documents)
        stored["movies"].insert_one({"_id": "of no list", "title": "?"})
        stored["tvshows"].insert_one({"_id": ObjectId(LOST), "title": "Lost", "episodes": [{"releaseDate": moment}]})
        before = everything(stored)

        path = tmp_path / "catalogue.jsonl.gz"
        lines = await export_to(path)
        assert [(each["id"], each["contentType"], each["title"]) for each in lines] == [
            (ALIEN, "movie", "Alien"),
            (HEAT, "movie", "Heat"),
            (LOST, "tvshow", "Lost"),
        ]
        assert lines[0]["licensed"] == {"until": "2020-01-02T03:04:05.678Z", "in": ["DE", None]}
        assert not {"__v", "createdAt", "updatedAt", "_id"} & set(lines[0])
        done = await bring(str(path), withdraws=True, withdraw_up_to=1.0)
        assert counted(done) == {"read": 3, "unchanged": 3}
        assert everything(stored) == before

    async def test_and_then_importing_restores_a_dropped_catalogue(
        self, stored: Stored, write: Write, tmp_path: Path
    ) -> None:
        await bring(write(IMDB, name="title.basics.tsv"))
        titles = [of(stored, each["title"]) for each in everything(stored)]
        path = tmp_path / "catalogue.jsonl"
        await export_to(path)
        stored.client.drop_database(stored)
        await bring(str(path))
        assert [of(stored, each["title"]) for each in everything(stored)] == titles

    async def test_reports_a_missing_folder_and_leaves_no_temporary_file(self, stored: Stored, tmp_path: Path) -> None:
        stored["movies"].insert_many([{"_id": ObjectId(ALIEN), "title": "Alien"}])
        folder = tmp_path / "none"
        main_fails = run("export", str(folder / "titles.jsonl"))
        assert main_fails.returncode == 1
        assert main_fails.stderr == f"mylist: {folder / 'titles.jsonl'}: No such file or directory\n"
        assert [each["title"] for each in await export_to(tmp_path / "titles.jsonl")] == ["Alien"]
        assert os.listdir(tmp_path) == ["titles.jsonl"]  # noqa: PTH208 - the names


def run(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    command = [sys.executable, "-m", "mylist", "catalogue", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, input=given)


class TestCommand:
    def test_import_reads_standard_input_prints_counts_and_sets_the_status(self, stored: Stored) -> None:
        lines = [json.dumps(numbered(n)) + "\n" for n in range(3)]
        done = run("import", "-", given="".join(lines))
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[:3] == [
            "titles read                  3",
            "inserted                     3",
            "updated                      0",
        ]
        assert done.stdout.endswith("Running services show the changes within CATALOGUE_TTL.\n")
        assert stored["movies"].count_documents({}) == 3

        again = run("import", "-", given="".join(lines) + "{\n" * 12)
        assert again.returncode == 1
        assert again.stderr == "mylist: 12 lines are not in the catalogue\n"
        assert "-:4: it is not JSON: Input data was truncated\n" in again.stdout
        assert "\n2 more; `--errors FILE` writes all of them to a file.\n" in again.stdout

        written = run("export")
        assert written.stderr == "Wrote 3 titles.\n"
        assert len(written.stdout.splitlines()) == 3

    @pytest.mark.parametrize("of_a_file", [True, False], ids=["file", "standard input"])
    def test_import_shows_a_progress_bar_on_a_terminal(self, stored: Stored, write: Write, *, of_a_file: bool) -> None:
        file = write(*(numbered(n) for n in range(2000)))
        ours, theirs = os.openpty()
        termios.tcsetwinsize(theirs, (24, 120))
        command = [sys.executable, "-m", "mylist", "catalogue", "import", file if of_a_file else "-"]
        given = None if of_a_file else Path(file).read_text()
        done = subprocess.run(command, input=given, stdout=subprocess.PIPE, stderr=theirs, check=True, text=True)
        os.close(theirs)
        shown = os.read(ours, 100_000).decode()
        os.close(ours)
        clock = r"\d\d:\d\d"
        shape = rf"100%\|.*\| {clock}<{clock}" if of_a_file else clock
        assert re.search(rf"{shape}, 2,000 titles, [\d,]+ titles/s", shown)
        assert "inserted                     2,000\n" in done.stdout
        assert stored["movies"].count_documents({}) == 2000

    def test_import_withdraws_a_large_share_only_after_a_confirmation(self, stored: Stored, write: Write) -> None:
        stored["movies"].insert_many([{"_id": ObjectId(each), "title": "?"} for each in (ALIEN, HEAT, LOST)])
        file = write(movie("Alien", ALIEN))
        refused = run("import", file, "--withdraw-missing")
        assert refused.returncode == 1
        assert refused.stderr == (
            "mylist: nothing was withdrawn: 2 of 3 titles of type movie are not in any file, 66.7 %, and at most "
            "5 % may be withdrawn; to withdraw all of them, add --withdraw-up-to 66.7\n"
        )
        confirmed = run("import", file, "--withdraw-missing", "--withdraw-up-to", "66.7")
        assert (confirmed.returncode, confirmed.stderr) == (0, "")
        assert [each["title"] for each in everything(stored)] == ["Alien"]


# A process that the tests start directly inherits their peak memory, so this process starts it instead.
_MEASURED = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "mylist", *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.extended
def test_an_import_of_many_lines_takes_bounded_memory(stored: Stored, tmp_path: Path) -> None:
    assert stored.client
    path = tmp_path / "many.jsonl.gz"
    with gzip.open(path, "wt", compresslevel=1) as file:
        for n in range(200_000):
            file.write(json.dumps(numbered(n) | {"description": "as long as such texts are " * 4}) + "\n")
    command = [sys.executable, "-c", _MEASURED, "catalogue", "import", "--dry-run", str(path)]
    memory_kb = int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)

    assert memory_kb < 150 * 1024, "most of it is Python with its packages"
