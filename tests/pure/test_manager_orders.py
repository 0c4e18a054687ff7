from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from initfs.manager import orders

NUMBERS = st.tuples(*[st.integers(0, (1 << 32) - 1)] * 3)


@settings(max_examples=40)
@given(st.lists(NUMBERS, max_size=20), st.lists(st.integers(1, 30), min_size=1))
def test_records_come_out_as_they_went_in_however_they_are_cut(
    sent: list[tuple[int, int, int]], cuts: list[int]
) -> None:
    data = b"".join(orders.record(*one) for one in sent)
    records, found, at = orders.Records(), [], 0
    while data:
        size = cuts[at % len(cuts)]
        found += records.feed(data[:size])
        data, at = data[size:], at + 1
    assert found == sent
    assert records.feed(b"") == []
