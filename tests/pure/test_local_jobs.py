"""What a server and its assistant say to each other, and when it has one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from initfs.local import jobs

quick = settings(max_examples=60, deadline=None)
NAMES = st.binary(min_size=1, max_size=9).filter(lambda text: not set(text) & set(b"\0="))
TEXTS = st.binary(max_size=30).filter(lambda text: b"\0" not in text)


@quick
@given(st.integers(1, 2**63), st.dictionaries(NAMES, TEXTS, min_size=1, max_size=7))
def test_a_job_arrives_as_it_was_given(number: int, variables: dict[bytes, bytes]) -> None:
    assert jobs.request(jobs.job(number, variables)) == jobs.Job(number, variables)


def test_signals_are_no_job() -> None:
    assert jobs.request(jobs.signal((15, 18))) == b"\x0f\x12"


@quick
@given(
    st.lists(
        st.tuples(
            st.sampled_from([jobs.BEGAN, jobs.ENDED, jobs.FAILED]),
            st.integers(1, 2**63),
            st.integers(0, 2**32 - 1),
        )
    )
)
def test_a_report_has_all_its_records(told: list[tuple[bytes, int, int]]) -> None:
    assert list(jobs.records(b"".join(jobs.record(*one) for one in told))) == told


def test_a_crowd_is_many_connections_without_a_pause() -> None:
    crowd = jobs.Crowd()
    assert [crowd.came(100 + number * jobs.GAP / 2) for number in range(jobs.CROWD)] == [False] * (
        jobs.CROWD - 1
    ) + [True]
    last = 100 + (jobs.CROWD - 1) * jobs.GAP / 2
    assert crowd.over() == last + jobs.IDLE
    assert crowd.came(last + jobs.GAP / 2)
    assert not crowd.came(last + 2 * jobs.GAP)  # a pause: it begins anew
