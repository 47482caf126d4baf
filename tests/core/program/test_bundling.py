"""Messages in documents behind a program, and in files beside it, are a part of it, and problems stand where they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from stampcard.errors import ConfigurationError, Problem, ProgramError
from stampcard.program.bundling import bundled
from stampcard.program.parsing import LARGEST_FILE, LARGEST_STREAM
from stampcard.program.reading import read_program
from stampcard.storage.database import Database
from stampcard.storage.programming import newest_versions, read_file, store_version
from stampcard.testing.building import NOON

HEAD = """program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
"""
WELCOME = "message: welcome\non: sign_up\nuse: welcome\n"
EARNED = "message: earned\non: points_earned\nuse: points_earned\n"


def problems(text: str) -> list[str]:
    with pytest.raises(ProgramError) as refused:
        read_program(text, "program.yaml")
    return [str(problem) for problem in refused.value.problems]


def written(folder: Path, program: str, files: Mapping[str, str]) -> Path:
    path = folder / "program.yaml"
    path.write_text(program, encoding="utf-8")
    beside = folder / "program.messages"
    beside.mkdir()
    for name, text in files.items():
        (beside / name).write_text(text, encoding="utf-8")
    return path


# Documents behind the program


def test_a_document_behind_a_program_is_one_of_its_messages() -> None:
    program = read_program(f"{HEAD}messages:\n  late: {{on: birthday, enabled: false, use: birthday}}\nattributes: {{birthday: date}}\n---\n{WELCOME}---\n{EARNED}", "test")  # fmt: skip
    assert list(program.messages) == ["late", "welcome", "earned"]
    same = read_program(f"{HEAD}messages:\n  welcome: {{on: sign_up, use: welcome}}\n", "test")
    assert read_program(f"{HEAD}---\n{WELCOME}", "test") == same


@pytest.mark.parametrize(
    "text",
    [
        f"---\n{HEAD}---\n{WELCOME}",
        f"{HEAD}---\n---\n\n---\n# nothing yet\n---\n{WELCOME}---\n",
        f"{HEAD}--- # the first\n{WELCOME}...\n",
        f"{HEAD}---\n# welcomes\n\n{WELCOME}",
        f"{HEAD}---  \n{{message: welcome, on: sign_up, use: welcome}}\n",
        f"{HEAD}---\non: sign_up\nuse: welcome\nmessage: welcome\n",
    ],
)
def test_borders_comments_and_what_is_empty_say_nothing(text: str) -> None:
    assert list(read_program(text, "test").messages) == ["welcome"]


def test_what_is_wrong_in_a_document_is_said_with_its_line_and_column() -> None:
    text = (
        f"{HEAD}---\nmessage: welcome\non: sign_up\nuse: welcome\nchanels: sms\n"
        "---\nmessage: earned\non: points_earned\ntexts:\n  en:\n    subject: Hi\n    text: |\n      Hello,\n      {{ pionts }}\n"
    )
    assert problems(text) == [
        "9:1 messages.welcome.chanels: unknown setting, did you mean 'channels'?",
        "18:10 messages.earned.texts.en.text: nothing here is called 'pionts', did you mean 'points'?",
    ]


def test_the_same_message_twice_is_refused_wherever_it_stands() -> None:
    assert problems(f"{HEAD}---\n{WELCOME}---\n{WELCOME}") == ["10:10 there is a message 'welcome' already"]
    assert problems(f"{HEAD}messages:\n  welcome: {{on: sign_up, use: welcome}}\n---\n{WELCOME}") == [
        "8:10 there is a message 'welcome' already"
    ]
    assert problems(f"{HEAD}messages:\n  a: {{on: sign_up, use: welcome}}\n  a: {{on: sign_up, use: welcome}}\n") == [
        "7:3 'a' stands here a second time (first in line 6)"
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{HEAD}---\non: sign_up\nuse: welcome\n", ["6:1 what follows '---' is a message: begin it with 'message: NAME'"]),
        (f"{HEAD}---\n- welcome\n", ["6:1 what follows '---' is a message: begin it with 'message: NAME'"]),
        (f"{HEAD}---\nmessage: 5\non: sign_up\n", ["6:1 what follows '---' is a message: begin it with 'message: NAME'"]),
        (f"{HEAD}messages: all\n---\n{WELCOME}", ["7:1 what follows '---' is a message: begin it with 'message: NAME'"]),
        (f"- a\n---\n{WELCOME}", ["2:1 messages follow behind a program only"]),
        (f"{HEAD}---\nmessage: a\nmessage: b\non: sign_up\nuse: welcome\n", ["7:1 'message' stands here a second time (first in line 6)"]),
        (f"{HEAD}---\nmessage: &a b\n", ["6:10 anchors (&) and aliases (*) are not used in a program file: quote the text"]),
    ],
)  # fmt: skip
def test_what_is_no_message_behind_a_border_is_refused(text: str, found: list[str]) -> None:
    assert problems(text) == found


def test_a_name_that_no_message_can_have_is_refused_where_it_stands() -> None:
    (problem,) = problems(f"{HEAD}---\nmessage: Hello World\non: sign_up\nuse: welcome\n")
    assert problem.startswith("6:1 messages.Hello World: 'Hello World' does not have the form")


def test_a_message_and_all_of_them_have_a_size() -> None:
    large = f"---\nmessage: m%d\non: sign_up\nuse: welcome\n# {'x' * 60_000}\n"
    assert problems(HEAD + "# " + "x" * LARGEST_FILE) == ["the file is larger than 64 KB"]
    assert problems(HEAD + large % 1 + "# " + "x" * 6000) == ["the file is larger than 64 KB"]
    assert len(read_program(HEAD + "".join(large % n for n in range(8)), "test").messages) == 8
    assert LARGEST_STREAM == 512 * 1024
    assert problems(HEAD + "".join(large % n for n in range(9))) == ["the file is larger than 512 KB"]


# Files beside it


def test_files_beside_a_program_are_taken_in_the_order_of_their_names(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD, {"2-earned.yaml": EARNED, "1-welcome.yaml": f"---\n{WELCOME}", "notes.txt": "none"})
    program, text = read_file(path)
    assert list(program.messages) == ["welcome", "earned"]
    assert text == f"{HEAD}---\n{WELCOME}---\n{EARNED}"
    assert read_program(text, "stored") == program


def test_a_program_without_such_a_folder_is_its_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "program.yaml"
    path.write_text(HEAD, encoding="utf-8")
    assert read_file(path)[1] == HEAD


def test_a_file_whose_last_line_has_no_end_runs_into_no_other(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD.rstrip("\n"), {"a.yaml": WELCOME.rstrip("\n"), "b.yaml": EARNED})
    assert list(read_file(path)[0].messages) == ["welcome", "earned"]


def test_one_file_may_hold_several_messages(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD, {"all.yaml": f"{WELCOME}---\n{EARNED}"})
    assert list(read_file(path)[0].messages) == ["welcome", "earned"]


def test_problems_are_told_with_the_file_and_the_line_in_which_they_stand(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        HEAD.replace("points: {}", "points: {scael: 2}"),
        {"a.yaml": WELCOME.replace("sign_up", "sing_up"), "b.yaml": f"# earned\n{EARNED}chanels: sms\n"},
    )
    with pytest.raises(ProgramError) as refused:
        read_file(path)
    beside = tmp_path / "program.messages"
    assert str(refused.value).splitlines() == [
        f"{path}:4:20 wallets.points.scael: unknown setting, did you mean 'scale'?",
        f"{path}:{beside / 'a.yaml'}:2:5 messages.welcome.on: unknown event 'sing_up', did you mean 'sign_up'?",
        f"{path}:{beside / 'b.yaml'}:5:1 messages.earned.chanels: unknown setting, did you mean 'channels'?",
    ]


def test_the_same_message_in_two_files_is_a_problem_of_the_second(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD, {"a.yaml": WELCOME, "b.yaml": WELCOME})
    with pytest.raises(ProgramError) as refused:
        read_file(path)
    assert str(refused.value).endswith(
        f"{tmp_path / 'program.messages' / 'b.yaml'}:1:10 : there is a message 'welcome' already"
    )


def test_what_cannot_be_read_is_said_by_its_file(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD, {"a.yaml": WELCOME})
    bad = tmp_path / "program.messages" / "b.yaml"
    bad.write_bytes(b"message: \xff\n")
    with pytest.raises(ProgramError, match=r"b\.yaml:is not text in UTF-8"):
        read_file(path)
    bad.unlink()
    bad.mkdir()
    with pytest.raises(ConfigurationError, match=r"b\.yaml cannot be read"):
        read_file(path)


def test_a_line_belongs_to_the_file_that_it_came_from() -> None:
    bundle = bundled("p", "a\nb\n", [("x", "c\n"), ("y", "---\nd\ne")])
    assert bundle.text == "a\nb\n---\nc\n---\nd\ne"
    placed = {line: bundle.placed(Problem("m", line=line, column=2)) for line in range(8)}
    assert {line: (file, problem.line) for line, (file, problem) in placed.items()} == {
        0: ("p", 0), 1: ("p", 1), 2: ("p", 2), 3: ("p", 3), 4: ("x", 1), 5: ("x", 2), 6: ("y", 1), 7: ("y", 2),
    }  # fmt: skip


def test_a_program_with_messages_is_stored_as_one_text_and_again_changes_nothing(
    tmp_path: Path, database: Database
) -> None:
    def applied(path: Path) -> int:
        program, text = read_file(path)
        return database.write_now(lambda c: store_version(c, "main", program, text, "me", "", NOON))

    path = written(tmp_path, HEAD, {"a.yaml": WELCOME, "b.yaml": EARNED})
    assert (applied(path), applied(path)) == (1, 1)
    stored = database.read_now(lambda c: newest_versions(c, "main"))["main"]
    assert stored.source == read_file(path)[1]
    # Applied as it is stored, too: from one file now.
    alone = tmp_path / "again.yaml"
    alone.write_text(stored.source, encoding="utf-8")
    assert read_file(alone) == read_file(path)
    assert applied(alone) == 1
    (tmp_path / "program.messages" / "b.yaml").write_text(EARNED + "digest: 1 hour\n", encoding="utf-8")
    assert applied(path) == 2
