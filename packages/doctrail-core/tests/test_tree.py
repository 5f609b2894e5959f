"""The tree of RFC 9162: published roots, pymerkle as an oracle, all small trees, and every way to spoil a proof.

The transparency community's own vectors are tried as well where `MERKLE_VECTORS` names the `testdata` of a checkout of
transparency-dev/merkle; what they do to proofs is done here to our own.
"""

import base64
import json
import os
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doctrail_core.ledger.tree import (
    EMPTY_ROOT,
    Frontier,
    Tile,
    consistency,
    inclusion,
    leaf_hash,
    node_hash,
    root_of,
    subtree_of,
    verify_consistency,
    verify_inclusion,
)

VECTORS = os.environ.get("MERKLE_VECTORS")
ALL_SMALL = 130


class Log:
    """A tree with all its leaves and tiles at hand."""

    def __init__(self, leaves=()):
        self.leaves = [leaf_hash(each) for each in leaves]
        self.frontier = Frontier()
        self.tiles = {
            (tile.level, tile.number): tile.hash for tile in self.frontier.append_all(self.leaves)
        }
        self.subtree = subtree_of(self.stored)

    def stored(self, level, first, last):
        if level == 0:
            return self.leaves[first:last]
        return [self.tiles[level, number] for number in range(first, last)]


@pytest.fixture(scope="module")
def small():
    return Log(str(number).encode() for number in range(ALL_SMALL))


@pytest.fixture(scope="module")
def large():
    return Log(str(number).encode() for number in range(70_000))


def vectors(kind):
    if not VECTORS:
        return [pytest.param(None, marks=pytest.mark.skip("MERKLE_VECTORS names no checkout"))]
    folder = Path(VECTORS) / kind
    files = sorted(folder.rglob("*.json"))
    assert len(files) == 98
    return [pytest.param(json.loads(f.read_text()), id=str(f.relative_to(folder))) for f in files]


def decoded(text):
    return base64.b64decode(text or "")


@pytest.mark.parametrize("vector", vectors("inclusion"))
def test_an_inclusion_proof_is_judged_as_the_transparency_community_judges_it(vector):
    said = verify_inclusion(
        vector["leafIdx"],
        vector["treeSize"],
        decoded(vector["leafHash"]),
        [decoded(each) for each in vector["proof"] or []],
        decoded(vector["root"]),
    )
    assert said is not vector["wantErr"], vector["desc"]


@pytest.mark.parametrize("vector", vectors("consistency"))
def test_a_consistency_proof_is_judged_as_the_transparency_community_judges_it(vector):
    said = verify_consistency(
        vector["size1"],
        vector["size2"],
        decoded(vector["root1"]),
        decoded(vector["root2"]),
        [decoded(each) for each in vector["proof"] or []],
    )
    assert said is not vector["wantErr"], vector["desc"]


PUBLISHED = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
"""Roots that implementations of RFC 6962 and 9162 publish for the first of eight known leaves."""


@pytest.mark.parametrize("size", PUBLISHED)
def test_known_leaves_have_the_roots_that_are_published(size):
    data = "", "00", "10", "2021", "3031", "40414243", "5051525354555657"
    known = [bytes.fromhex(each) for each in (*data, "606162636465666768696a6b6c6d6e6f")]
    assert Log(known[:size]).frontier.root().hex() == PUBLISHED[size]


def spoilt(proof):
    """A proof with something done to it, of which none is one."""
    yield [*proof, bytes(32)]
    yield [*proof, b""]
    yield [bytes(32), *proof]
    if proof:
        yield [*proof, proof[-1]]
        yield proof[:-1]
        yield proof[1:]
        yield []
        yield [proof[0][:-1], *proof[1:]]
        yield [proof[0] + b"\0", *proof[1:]]
    if len(proof) > 1 and proof[0] != proof[1]:
        yield [proof[1], proof[0], *proof[2:]]


def test_no_spoilt_proof_of_a_small_tree_holds(small):
    roots = [root_of(size, small.subtree) for size in range(20)]
    for size in range(1, 20):
        for seq in range(size):
            leaf, proof = small.leaves[seq], inclusion(seq, size, small.subtree)
            for wrong in spoilt(proof):
                assert not verify_inclusion(seq, size, leaf, wrong, roots[size])
            for root in (b"", bytes(32), leaf[:-1], roots[size] + b"\0"):
                assert not verify_inclusion(seq, size, leaf, proof, root)
            assert not verify_inclusion(seq, size, b"", proof, roots[size])
            assert not verify_inclusion(seq, 0, leaf, proof, roots[size])
            assert not verify_inclusion(-1, size, leaf, proof, roots[size])
        for old in range(1, size):
            proof = consistency(old, size, small.subtree)
            for wrong in spoilt(proof):
                assert not verify_consistency(old, size, roots[old], roots[size], wrong)
            for root in (b"", bytes(32), roots[old][:-1]):
                assert not verify_consistency(old, size, root, roots[size], proof)
                assert not verify_consistency(old, size, roots[old], root, proof)
            assert not verify_consistency(size, old, roots[size], roots[old], proof)
            assert not verify_consistency(0, size, EMPTY_ROOT, roots[size], proof)


def test_an_empty_tree_has_the_root_of_no_bytes():
    assert Frontier().root() == EMPTY_ROOT == root_of(0, Log().subtree)


def test_every_proof_of_every_small_tree_is_right(small):
    roots = [root_of(size, small.subtree) for size in range(ALL_SMALL + 1)]
    for size in range(1, ALL_SMALL + 1):
        for seq in range(size):
            proof = inclusion(seq, size, small.subtree)
            assert verify_inclusion(seq, size, small.leaves[seq], proof, roots[size])
        for old in range(1, size + 1):
            proof = consistency(old, size, small.subtree)
            assert verify_consistency(old, size, roots[old], roots[size], proof)


def test_no_proof_of_a_small_tree_fits_another_leaf_or_another_place(small):
    # Another size it may fit: which one a root has is what a checkpoint says, not a proof.
    size, root = 21, root_of(21, small.subtree)
    for seq, leaf, place in product(range(size), repeat=3):
        proof = inclusion(seq, size, small.subtree)
        said = verify_inclusion(place, size, small.leaves[leaf], proof, root)
        assert said == (seq == leaf == place)


def test_a_proof_with_one_bit_turned_is_refused(large):
    size, seq, old = 70_000, 65_535, 65_537
    root, old_root = large.frontier.root(), root_of(old, large.subtree)
    inside, between = (
        inclusion(seq, size, large.subtree),
        consistency(old, size, large.subtree),
    )
    for number in range(len(inside)):
        turned = [*inside[:number], turn(inside[number]), *inside[number + 1 :]]
        assert not verify_inclusion(seq, size, large.leaves[seq], turned, root)
    for number in range(len(between)):
        turned = [*between[:number], turn(between[number]), *between[number + 1 :]]
        assert not verify_consistency(old, size, old_root, root, turned)


def turn(value):
    return bytes([value[0] ^ 1]) + value[1:]


def test_a_frontier_tells_each_tile_once_with_the_hash_of_all_that_is_in_it(large):
    assert sorted(large.tiles) == [(1, n) for n in range(273)] + [(2, 0)]
    assert large.tiles[1, 7] == Log(str(n).encode() for n in range(1792, 2048)).frontier.root()
    assert large.tiles[2, 0] == root_of(65_536, large.subtree)


def test_a_tile_is_told_with_the_append_that_fills_it(large):
    frontier = Frontier()
    assert frontier.append_all(large.leaves[:255]) == []
    assert frontier.append(large.leaves[255]) == [Tile(1, 0, large.tiles[1, 0])]
    assert frontier.append(large.leaves[256]) == []


def test_proofs_in_a_large_tree_read_tiles_and_hold(large):
    root = large.frontier.root()
    for seq in (0, 1, 255, 256, 65_535, 65_536, 69_999):
        proof = inclusion(seq, 70_000, large.subtree)
        assert verify_inclusion(seq, 70_000, large.leaves[seq], proof, root)
        if seq:
            proof = consistency(seq, 70_000, large.subtree)
            assert verify_consistency(seq, 70_000, root_of(seq, large.subtree), root, proof)


def test_proofs_stay_possible_when_the_leaves_of_full_tiles_are_gone(large):
    def pruned(level, first, last):
        assert level or first >= 65_536, "it asked for a leaf that was pruned"
        return large.stored(level, first, last)

    subtree = subtree_of(pruned)
    root = root_of(70_000, subtree)
    assert root == large.frontier.root()
    proof = inclusion(65_540, 70_000, subtree)
    assert verify_inclusion(65_540, 70_000, large.leaves[65_540], proof, root)
    assert Frontier.at(65_536, subtree).size == 65_536


def test_a_store_that_has_lost_hashes_is_told_so():
    log = Log([b"a", b"b", b"c"])
    log.leaves.pop()
    with pytest.raises(LookupError, match="missing between entries 2 and 3"):
        root_of(3, log.subtree)


@pytest.mark.parametrize(("seq", "size"), [(-1, 5), (5, 5), (0, 0)])
def test_there_is_no_proof_of_an_entry_outside_the_tree(small, seq, size):
    with pytest.raises(ValueError, match="no entry"):
        inclusion(seq, size, small.subtree)


@pytest.mark.parametrize(("old", "new"), [(0, 5), (6, 5), (-1, 3)])
def test_there_is_no_proof_of_growth_from_nothing_or_backwards(small, old, new):
    with pytest.raises(ValueError, match="cannot be shown"):
        consistency(old, new, small.subtree)


def test_a_frontier_survives_being_stored(small):
    for size in range(ALL_SMALL):
        frontier = Frontier.at(size, small.subtree)
        again = Frontier.from_bytes(bytes(frontier))
        assert again == frontier
        assert again.root() == root_of(size, small.subtree)
        again.append_all(small.leaves[size:])
        assert again == small.frontier


@pytest.mark.parametrize(("size", "level"), [(0, 1), (256, 1), (768, 1), (65_280, 1), (0, 2)])
def test_a_tile_stands_for_its_leaves(large, size, level):
    by_leaves, by_tile = Frontier.at(size, large.subtree), Frontier.at(size, large.subtree)
    told = by_leaves.append_all(large.leaves[size : size + 256**level])
    tile = large.tiles[level, size // 256**level]
    assert by_tile.append_tile(tile, level) == [each for each in told if each.level >= level]
    assert by_tile == by_leaves


def test_a_tile_begins_only_where_one_of_its_size_may(large):
    with pytest.raises(ValueError, match="no tile of 256 leaves begins after 255"):
        Frontier.at(255, large.subtree).append_tile(large.tiles[1, 0])


@pytest.mark.parametrize(
    "data", [bytes(8 + 32), (1).to_bytes(8), (1).to_bytes(8) + bytes(31), (3).to_bytes(8) * 5]
)
def test_bytes_that_are_no_frontier_are_refused(data):
    with pytest.raises(ValueError, match="frontier"):
        Frontier.from_bytes(data)


def test_a_copy_of_a_frontier_grows_apart(small):
    frontier = Frontier.at(5, small.subtree)
    copied = frontier.copy()
    copied.append(small.leaves[5])
    assert (frontier.size, copied.size) == (5, 6)
    assert frontier == Frontier.at(5, small.subtree)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=600), st.data())
def test_any_tree_and_its_proofs_are_those_that_pymerkle_makes(leaves, data):
    pymerkle = pytest.importorskip("pymerkle")
    log, oracle = Log(leaves), pymerkle.InmemoryTree(algorithm="sha256")
    for leaf in leaves:
        oracle.append_entry(leaf)
    size = len(leaves)
    seq, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    assert log.frontier.root() == oracle.get_root()
    assert root_of(old, log.subtree) == oracle.get_root(old)
    # Theirs begin with the leaf, or with the subtree that both trees share, also where that is known.
    theirs = oracle.prove_inclusion(seq + 1).path
    assert theirs == [log.leaves[seq], *inclusion(seq, size, log.subtree)]
    ours = consistency(old, size, log.subtree)
    assert verify_consistency(old, size, oracle.get_root(old), oracle.get_root(), ours)


@settings(deadline=None)
@given(st.lists(st.integers(0, 700), max_size=5))
def test_how_leaves_are_grouped_when_they_are_appended_changes_nothing(groups):
    leaves = [leaf_hash(str(number).encode()) for number in range(sum(groups))]
    grouped, told, start = Frontier(), [], 0
    for size in groups:
        told += grouped.append_all(leaves[start : start + size])
        start += size
    single = Frontier()
    assert told == [tile for leaf in leaves for tile in single.append(leaf)]
    assert grouped == single


def test_leaves_and_nodes_cannot_be_taken_for_each_other():
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)
