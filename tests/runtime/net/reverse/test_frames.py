import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.net.reverse.frames import HEAD, LONGEST, FrameError, Reader, command, data


def read(reader: Reader, *pieces: bytes) -> list[tuple[int, bytes, bool]]:
    """What the pieces say, data of one channel in a row joined."""
    found: list[tuple[int, bytes, bool]] = []
    for piece in pieces:
        for channel, content, is_command in reader.feed(piece):
            if found and found[-1][0] == channel and not is_command and not found[-1][2]:
                found[-1] = (channel, found[-1][1] + content, False)
            else:
                found.append((channel, content, is_command))
    return found


FRAMES = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 511), st.binary(max_size=300), st.just(False)),
        st.tuples(
            st.integers(0, 511), st.sampled_from([b"CONNECT", b"CLOSE", b"RESET", b"SHUTDOWN", b"?"]), st.just(True)
        ),
    ),
    max_size=12,
)


@given(FRAMES, st.data())
def test_a_stream_torn_anywhere_says_the_same(frames: list[tuple[int, bytes, bool]], draw: st.DataObject) -> None:
    stream = b"".join((command if is_command else data)(channel, content) for channel, content, is_command in frames)
    pieces, left = [], stream
    while left:
        cut = draw.draw(st.integers(1, len(left)))
        pieces.append(left[:cut])
        left = left[cut:]
    whole, torn = Reader(), Reader()
    assert read(torn, *pieces) == read(whole, stream)
    assert torn.frames == whole.frames == len(frames)
    assert [each for each in read(Reader(), stream) if each[2]] == [each for each in frames if each[2]]
    said = b"".join(content for _, content, is_command in read(Reader(), stream) if not is_command)
    assert said == b"".join(content for _, content, is_command in frames if not is_command)


def test_limits_and_one_beyond() -> None:
    assert read(Reader(), data(511, b"x" * LONGEST)) == [(511, b"x" * LONGEST, False)]
    assert read(Reader(), data(0, b"")) == [(0, b"", False)]
    with pytest.raises(FrameError, match="65531"):
        read(Reader(), HEAD.pack(1, LONGEST + 1))
    with pytest.raises(FrameError, match="512"):
        read(Reader(), HEAD.pack(512, 0))
    with pytest.raises(FrameError, match="32767"):
        read(Reader(), HEAD.pack(0xFFFF, 0))


def test_a_long_command_is_kept_no_longer_than_a_word() -> None:
    ((channel, word, is_command),) = read(Reader(), command(3, b"y" * LONGEST))
    assert (channel, is_command) == (3, True) and 8 < len(word) < 100
