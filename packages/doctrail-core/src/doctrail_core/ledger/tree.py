"""The Merkle tree of RFC 9162 over the entries of a log: its root, and proofs that others can check.

A tree grows by its `Frontier`, which needs no more than a hash per bit of its size. What has to be kept
besides the entries themselves are `Tile`s, the hashes of full groups of 256, and of 256 of those, and so
on: with them a proof reads a few hundred hashes, whatever the size of the log, and stays possible after
the entries in a group were pruned. What is hashed are exact bytes; nothing here knows what they say.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple, Self

__all__ = [
    "EMPTY_ROOT",
    "HASH_SIZE",
    "TILE_WIDTH",
    "Frontier",
    "Subtree",
    "Tile",
    "Tiles",
    "complete_ranges",
    "consistency",
    "inclusion",
    "leaf_hash",
    "node_hash",
    "root_of",
    "subtree_of",
    "verify_consistency",
    "verify_inclusion",
]

HASH_SIZE = 32
TILE_WIDTH = 256
EMPTY_ROOT = sha256().digest()

_TILE_HEIGHT = 8
_SIZE_BYTES = 8

Subtree = Callable[[int, int], bytes]
"""The hash of the leaves from a start to an end; they are 2**k in number, the start a multiple of it."""
Tiles = Callable[[int, int, int], Sequence[bytes]]
"""The hashes of a level, from a number to another: leaves on level 0, full groups of 256**level above."""


class Tile(NamedTuple):
    """The hash of the leaves from `number` * 256**`level` on, 256**`level` of them."""

    level: int
    number: int
    hash: bytes


def leaf_hash(data: bytes) -> bytes:
    """The hash of an entry's exact bytes."""
    return sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees, one after the other."""
    return sha256(b"\1" + left + right).digest()


class Frontier:
    """All that is needed of a tree to append to it: the hashes of its complete subtrees, largest first."""

    __slots__ = ("_hashes", "_size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self._size = size
        self._hashes = list(hashes)
        if size < 0 or len(self._hashes) != size.bit_count():
            raise ValueError(f"{len(self._hashes)} hashes are no frontier of a tree of {size}")
        if any(len(each) != HASH_SIZE for each in self._hashes):
            raise ValueError(f"a hash in a frontier has {HASH_SIZE} bytes")

    @classmethod
    def at(cls, size: int, subtree: Subtree) -> Self:
        """The frontier that a tree had when it was this large."""
        return cls(size, (subtree(start, end) for start, end in complete_ranges(0, size)))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `bytes(frontier)` was made from.

        Raises:
            ValueError: It was made from no frontier.
        """
        size = int.from_bytes(data[:_SIZE_BYTES])
        starts = range(_SIZE_BYTES, len(data), HASH_SIZE)
        return cls(size, (data[start : start + HASH_SIZE] for start in starts))

    @property
    def size(self) -> int:
        return self._size

    @property
    def hashes(self) -> tuple[bytes, ...]:
        return tuple(self._hashes)

    def append(self, leaf: bytes) -> list[Tile]:
        """Add a leaf by its hash; returns the tiles that became full."""
        return self.append_all((leaf,))

    def append_all(self, leaves: Iterable[bytes]) -> list[Tile]:
        """Add leaves by their hashes; returns the tiles that became full, each after those in it."""
        full: list[Tile] = []
        hashes, size = self._hashes, self._size
        pop, push = hashes.pop, hashes.append
        for leaf in leaves:
            # A one in the size is a complete subtree that waits for one of its own size.
            ones, merged, height = size, leaf, 0
            while ones & 1:
                merged = sha256(b"\1" + pop() + merged).digest()
                ones >>= 1
                height += 1
                if not height % _TILE_HEIGHT:
                    full.append(Tile(height // _TILE_HEIGHT, ones, merged))
            push(merged)
            size += 1
        self._size = size
        return full

    def append_tile(self, tile: bytes, level: int = 1) -> list[Tile]:
        """Add the leaves of a full tile by its hash, where they are not there any more.

        Raises:
            ValueError: A tile of this level cannot begin here.
        """
        width = TILE_WIDTH**level
        if self._size % width:
            raise ValueError(f"no tile of {width} leaves begins after {self._size}")
        self._size //= width  # in units of which it is a leaf
        above = self.append_all((tile,))
        self._size *= width
        full = [Tile(each.level + level, each.number, each.hash) for each in above]
        return [Tile(level, self._size // width - 1, tile), *full]

    def root(self) -> bytes:
        if not self._hashes:
            return EMPTY_ROOT
        *larger, root = self._hashes
        for left in reversed(larger):
            root = node_hash(left, root)
        return root

    def copy(self) -> Self:
        return type(self)(self._size, self._hashes)

    def __bytes__(self) -> bytes:
        return self._size.to_bytes(_SIZE_BYTES) + b"".join(self._hashes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frontier) and bytes(self) == bytes(other)

    __hash__ = None  # pyright: ignore[reportAssignmentType]  # it grows


def subtree_of(tiles: Tiles) -> Subtree:
    """Answers for any complete subtree from leaves and tiles, at most 128 of them at a time."""

    def subtree(start: int, end: int) -> bytes:
        level = ((end - start).bit_length() - 1) // _TILE_HEIGHT
        shift = level * _TILE_HEIGHT
        first, last = start >> shift, end >> shift
        hashes = tiles(level, first, last)
        if len(hashes) != last - first:
            raise LookupError(f"hashes of the tree are missing between entries {start} and {end}")
        return _merged(hashes)

    return subtree


def root_of(size: int, subtree: Subtree) -> bytes:
    """The root that the tree had when it was this large."""
    return _range_hash(0, size, subtree) if size else EMPTY_ROOT


def inclusion(seq: int, size: int, subtree: Subtree) -> list[bytes]:
    """The proof that a leaf is in a tree of this size (RFC 9162, 2.1.3)."""
    if not 0 <= seq < size:
        raise ValueError(f"there is no entry {seq} in a log of {size}")
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _left_size(end - start)
        inside_left = seq < middle
        beside = (middle, end) if inside_left else (start, middle)
        proof.append(_range_hash(*beside, subtree))
        start, end = (start, middle) if inside_left else (middle, end)
    return proof[::-1]


def consistency(old: int, new: int, subtree: Subtree) -> list[bytes]:
    """The proof that a tree of size `new` begins with all that it was at size `old` (RFC 9162, 2.1.4)."""
    if not 0 < old <= new:
        raise ValueError(f"a log of {new} cannot be shown to have grown from one of {old}")
    proof: list[bytes] = []
    start, end = 0, new
    while end != old:
        middle = start + _left_size(end - start)
        inside_left = old <= middle
        beside = (middle, end) if inside_left else (start, middle)
        proof.append(_range_hash(*beside, subtree))
        start, end = (start, middle) if inside_left else (middle, end)
    if start:  # else what is left is the old tree itself, whose root the verifier has
        proof.append(_range_hash(start, end, subtree))
    return proof[::-1]


def verify_inclusion(seq: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof shows a leaf to be in the tree of this size and root (RFC 9162, 2.1.3.2)."""
    if not 0 <= seq < size or not _are_hashes(leaf, root, *proof):
        return False
    index, last, computed = seq, size - 1, leaf
    for each in proof:
        if not last:
            return False
        if index & 1 or index == last:
            computed = node_hash(each, computed)
            index, last = _at_a_right_node(index, last)
        else:
            computed = node_hash(computed, each)
        index >>= 1
        last >>= 1
    return not last and computed == root


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the proof shows that one tree only grew into the other (RFC 9162, 2.1.4.2)."""
    if old == new > 0:
        return old_root == new_root and not proof
    if not 0 < old < new or not proof or not _are_hashes(old_root, new_root, *proof):
        return False
    path = [old_root, *proof] if old.bit_count() == 1 else list(proof)
    index, last = old - 1, new - 1
    while index & 1:
        index >>= 1
        last >>= 1
    before = after = path[0]
    for each in path[1:]:
        if not last:
            return False
        if index & 1 or index == last:
            before, after = node_hash(each, before), node_hash(each, after)
            index, last = _at_a_right_node(index, last)
        else:
            after = node_hash(after, each)
        index >>= 1
        last >>= 1
    return not last and before == old_root and after == new_root


def _at_a_right_node(index: int, last: int) -> tuple[int, int]:
    """One level below the next at which the node is a right child."""
    while index and not index & 1:
        index >>= 1
        last >>= 1
    return index, last


def _are_hashes(*values: bytes) -> bool:
    return all(len(value) == HASH_SIZE for value in values)


def _left_size(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def complete_ranges(start: int, end: int) -> Iterable[tuple[int, int]]:
    """The complete subtrees that make up a range, as few as there can be."""
    while start < end:
        size = 1 << ((end - start).bit_length() - 1)
        if start:
            size = min(size, start & -start)  # none of a larger size begins here
        yield start, start + size
        start += size


def _range_hash(start: int, end: int, subtree: Subtree) -> bytes:
    return Frontier(
        end - start, (subtree(*complete) for complete in complete_ranges(start, end))
    ).root()


def _merged(hashes: Sequence[bytes]) -> bytes:
    """The hash of a complete subtree, from those of its parts."""
    while len(hashes) > 1:
        pairs = zip(hashes[::2], hashes[1::2], strict=True)
        hashes = [node_hash(left, right) for left, right in pairs]
    return hashes[0]
