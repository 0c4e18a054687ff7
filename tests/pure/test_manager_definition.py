from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from initfs.manager import definition
from initfs.manager.definition import decimal, kind, knob, lines, parse, shebang
from initfs.manager.model import Definition, Fault, Script

if TYPE_CHECKING:
    from initfs.manager.definition import Raw


def read(what: str, **raw: bytes | list[str]) -> tuple[Definition, list[Fault], list[str]]:
    """The definition of a service `x` with these files (`_` stands for `-`, `__d` for `.d`), its faults, and the warnings."""
    files: Raw = {name.replace("__d", ".d").replace("_", "-"): content for name, content in raw.items()}
    faults: list[Fault] = []
    warnings: list[str] = []
    return parse("x", what, "src/x", files, faults, warnings.append), faults, warnings


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"oneshot\n", "oneshot"), (b"oneshot", "oneshot"), (b"longrun\n", "longrun"), (b"bundle\n", "bundle"),
        (b"oneshot\nwhatever\n", "oneshot"), (b"bundle\0x", ""), (b"bundle\0", "bundle"), (b"bundle\n\n", ""), (b"", ""),
        (b"oneshot ", ""), (b" oneshot", ""), (b"Oneshot\n", ""), (b"oneshots", ""), (b"daemon\n", ""),
    ],
)  # fmt: skip
def test_a_type_is_one_of_three_words(content: bytes, found: str) -> None:
    # SM-167 (partly)
    assert kind(content) == found


def test_names_are_listed_in_a_directory_or_in_lines() -> None:
    # SM-168 (partly)
    assert read("bundle", contents__d=["b", "a", ".hidden"])[0].contents == ("b", "a")
    assert read("bundle", contents=b"a\n  b\n\t#no\n# no\n\na\nc d \n#\ne")[0].contents == (
        "a",
        "b",
        "c d ",
        "e",
    )
    both, _, _ = read("oneshot", up=b"", dependencies__d=["a"], dependencies=b"b\n")
    assert both.depends == ("a",), "the directory counts, even if it is empty"


def test_a_line_ends_at_a_nul_byte() -> None:
    assert lines(b"a\0b\n\0\nc") == ["a", "c"]


@pytest.mark.parametrize(("text", "number"), [(b"0", 0), (b"4294967295", 4294967295), (b"4294967296", None), (b"", None),
                                              (b"-1", None), (b"1.5", None), (b" 1", None), (b"9" * 70, None)])  # fmt: skip
def test_numbers_are_decimal_and_have_32_bits(text: bytes, number: int | None) -> None:
    assert decimal(text) == number


def test_the_first_line_of_a_knob_counts() -> None:
    assert [knob(content) for content in (b"3\n# why\n", b"3", b"3\0x", b"x", b"")] == [3, 3, 3, None, None]


def test_time_outs_are_of_the_way_up_and_the_way_down() -> None:
    # SM-170 (partly)
    found, faults, _ = read("oneshot", up=b"", timeout_up=b"200\n\n", timeout_down=b"7")
    assert found.timeouts == (7, 200)
    assert not faults


def test_scripts_are_lexed_as_the_block_launcher_does() -> None:
    script = b'#!/command/execlineb -P\nif { test -e "a b" } # why\necho \\\n  done\n'
    found, faults, _ = read("oneshot", up=script, down=b"", reload=b"# nothing\n")
    assert found.scripts == (Script(), Script(("if", " test", " -e", " a b", "", "echo", "done")), Script())
    assert not faults


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"#!/bin/sh\nx", ("/bin/sh",)), (b"#! /usr/bin/env -S python3 -u \nx", ("/usr/bin/env", "-S python3 -u")),
        (b"#!/bin/execlineb -P\nx", ()), (b"#!/usr/bin/env execlineb\n", ()), (b"#!/bin/chain -P", ()), (b"#!\n", ()), (b"true\n", ()),
    ],
)  # fmt: skip
def test_a_script_may_name_an_interpreter(line: bytes, found: tuple[str, ...]) -> None:
    assert shebang(line) == found


def test_a_script_with_an_interpreter_is_kept_as_it_is() -> None:
    script = b"#!/bin/sh -e\nif true; then echo '}'; fi\n"
    found, faults, _ = read("oneshot", up=script)
    assert found.scripts[1] == Script(("/bin/sh", "-e", "scripts/x/up"), script)
    assert not faults


@pytest.mark.parametrize(
    ("what", "raw", "place"),
    [
        ("oneshot", {}, "up"),
        ("oneshot", {"up": b"{ a"}, "up"),
        ("oneshot", {"up": b"a }"}, "up"),
        ("oneshot", {"up": b'"a'}, "up"),
        ("oneshot", {"up": b"", "down": b"a\0b"}, "down"),
        ("oneshot", {"up": b"", "timeout_up": b"soon\n"}, "timeout-up"),
        ("oneshot", {"up": b"", "timeout_down": b""}, "timeout-down"),
        ("oneshot", {"up": b"", "dependencies": b"s6rc-fdholder\n"}, "dependencies"),
        ("oneshot", {"up": b"", "dependencies__d": ["s6-rc-x"]}, "dependencies.d"),
        ("longrun", {"notification_fd": b"three\n"}, "notification-fd"),
        ("longrun", {"max_death_tally": b"-1"}, "max-death-tally"),
        ("longrun", {"notification_fd": b"4\n", "lock_fd": b"4\n"}, "lock-fd"),
        ("longrun", {"down_signal": b"SIGNONE\n"}, "down-signal"),
        ("longrun", {"reload_signal": b"65\n"}, "reload-signal"),
        ("longrun", {"producer_for": b""}, "producer-for"),
        ("longrun", {"producer_for": b"a\nb\n"}, "producer-for"),
        ("longrun", {"consumer_for": b"a\n", "pipeline_name": b"a\nb\n"}, "pipeline-name"),
        ("longrun", {"consumer_for": b"s6rc-fdholder\n"}, "consumer-for"),
        ("bundle", {}, "contents.d"),
    ],
)
def test_each_fault_names_its_file_and_what_would_be_right(
    what: str, raw: dict[str, bytes], place: str
) -> None:
    # SM-169 (partly) SM-173 (partly)
    _, faults, _ = read(what, **raw)
    assert [fault.place for fault in faults] == [f"src/x/{place}"]
    assert faults[0].what
    assert faults[0].right


def test_all_faults_of_a_service_are_found_together() -> None:
    _, faults, _ = read("oneshot", up=b"{", down=b"}", timeout_up=b"x", dependencies=b"s6rc-a\n")
    assert {fault.place.rpartition("/")[2] for fault in faults} == {
        "up",
        "down",
        "timeout-up",
        "dependencies",
    }


def test_only_the_last_consumer_names_a_pipeline() -> None:
    # SM-171 (partly)
    found, faults, warnings = read(
        "longrun", producer_for=b"c\n", consumer_for=b"p\n", pipeline_name=b"all\n"
    )
    assert (found.consumer, found.producers, found.pipeline) == ("c", ("p",), "")
    assert not faults
    assert "ignored" in warnings[0]
    assert read("longrun", consumer_for=b"p\n", pipeline_name=b"all\n")[0].pipeline == "all"


def test_a_standard_descriptor_for_readiness_is_a_warning() -> None:
    _, faults, warnings = read("longrun", notification_fd=b"1\n", lock_fd=b"1\n")
    assert not faults
    assert len(warnings) == 2


def test_flags_are_bits() -> None:
    # SM-172 (partly)
    assert read("oneshot", up=b"", flag_essential=b"", flag_recommended=b"")[0].flags == 3
    assert definition.FLAGS == {"flag-essential": 1, "flag-recommended": 2}
