"""Records in a spool file: whole ones are always found, whatever happened around them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctrail_core.durable.frame import frame, scan

payloads = st.lists(
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")), max_size=6
)


def found(data: bytes) -> list[bytes]:
    return [payload for _, payload in scan(data).records]


@given(payloads)
def test_what_was_framed_is_found_again(written):
    data = b"".join(map(frame, written))
    result = scan(data)
    assert [payload for _, payload in result.records] == written
    assert (result.consumed, result.damaged, result.torn) == (len(data), [], False)


@given(payloads.filter(bool), st.data())
def test_a_file_cut_anywhere_loses_only_the_record_that_was_cut(written, data):
    frames = [frame(payload) for payload in written]
    whole = b"".join(frames)
    cut = data.draw(st.integers(0, len(whole)))
    result = scan(whole[:cut])
    ends = [sum(map(len, frames[: count + 1])) for count in range(len(frames))]
    complete = [end for end in ends if end <= cut]
    assert [end for end, _ in result.records] == complete
    assert result.consumed == (complete[-1] if complete else 0)
    assert result.torn == (cut > result.consumed)
    assert result.damaged == []


def test_a_tail_torn_at_any_byte_is_told_from_damage():
    last = frame("a record with ümlaut".encode())
    for cut in range(1, len(last)):
        result = scan(frame(b"first") + last[:cut])
        assert (len(result.records), result.torn, result.damaged) == (1, True, []), cut


@given(payloads.filter(bool), st.data())
def test_a_flipped_bit_costs_one_record_and_never_invents_one(written, data):
    frames = [frame(payload) for payload in written]
    whole = bytearray(b"".join(frames))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    hit = next(n for n in range(len(frames)) if at < sum(map(len, frames[: n + 1])))
    result = scan(bytes(whole))
    assert [payload for _, payload in result.records] == written[:hit] + written[hit + 1 :]
    begin = sum(map(len, frames[:hit]))
    if hit < len(frames) - 1:
        assert result.damaged == [(begin, begin + len(frames[hit]))]
    else:
        assert (result.consumed, result.damaged) == (begin, [])


def test_a_text_cannot_forge_a_record():
    forged = frame(b'{"v":1}')
    with pytest.raises(ValueError, match="UTF-8"):
        frame(b"text " + forged)


def test_zeroes_left_by_a_power_cut_are_no_records():
    assert found(frame(b"one") + b"\0" * 64 + frame(b"two")) == [b"one", b"two"]
    assert found(b"\0" * 64) == []
    assert found(frame(b"one")[:2] + b"\0" * 64) == []
