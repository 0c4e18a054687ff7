"""Event lines are JSON for every name and reason, and never longer than they may be."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as some

from initfs.supervise.journal import LINE_MAX, TEXT_MAX, encode, quote

texts = some.text(some.characters(blacklist_categories=[]), max_size=60)


def legible(text: str) -> str:
    """What is not Unicode becomes U+FFFD."""
    return "".join("\ufffd" if 0xD800 <= ord(character) < 0xE000 else character for character in text)


@given(texts)
@example('"\\\0\x1f\x7f\x80\u2028\uffff\U0010ffff\ud800\udcff')
def test_any_text_is_quoted_as_json(text: str) -> None:
    quoted = quote(text)
    assert quoted.isascii()
    assert "\n" not in quoted
    assert json.loads(quoted) == legible(text)


@given(some.integers(0), texts, some.floats(0, 1e9), texts, texts, some.integers(0, 2**31), texts)
def test_an_event_is_one_json_object_on_one_line(
    seq: int, boot: str, when: float, service: str, event: str, pid: int, reason: str
) -> None:
    line = encode(seq, boot, when, service, event, pid, reason)
    assert line.count(b"\n") == 1
    assert line.endswith(b"}\n")
    found = json.loads(line)
    assert list(found) == ["seq", "boot", "time", "service", "event", "pid", "reason"]
    assert abs(found["time"] - when) < 1e-5
    assert (found["seq"], found["pid"]) == (seq, pid)
    assert (found["service"], found["event"], found["reason"]) == tuple(
        map(legible, (service, event, reason))
    )


def test_a_long_reason_is_cut_and_the_line_stays_within_its_limit() -> None:
    line = encode(2**63, "0" * 36, 1e9, "n" * 255, "supervised", 2**22, "\U0001f600" * 3000)
    assert json.loads(line)["reason"] == "\U0001f600" * TEXT_MAX or len(line) <= LINE_MAX


def test_a_line_of_the_worst_characters_stays_within_its_limit() -> None:
    # docs/events.md: "at most 4096 bytes long"
    for character in "\x01\u00e9\ud800":
        line = encode(2**31, "0" * 36, 1e9, character * 251, "supervised", 2**22, character * 3000)
        assert json.loads(line)
    assert len(encode(2**31, "0" * 36, 1e9, "n" * 1019, "supervised", 2**22, "r" * 3000)) <= LINE_MAX
