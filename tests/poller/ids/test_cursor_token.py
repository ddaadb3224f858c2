"""Tokens: each form and back, what fits without merging, what merging loses, hostile text."""

import random
import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poller.ids import cursor_token
from poller.ids.cursor import Cursor
from poller.ids.cursor_token import MAX_TOKEN_CHARS, PLAIN_GAPS, format_token, parse_token
from poller.ids.ranges import MAX_ID, Range
from poller.ids.runs import (
    _classes,
    bits_text,
    code,
    codes,
    parse_runs,
    powers_for,
    powers_text,
    runs_of,
)
from poller.ids.runs import gaps_of as gaps_of_runs

POSITION = 2_000_000_000

lengths = st.one_of(st.integers(1, 4), st.integers(1, 1000), st.integers(1, 10**15))
runs_below = st.lists(st.tuples(lengths, lengths), min_size=1, max_size=400).map(
    lambda pairs: [run for pair in pairs for run in pair]
)
token_text = st.text("ABCDwxyz0123459_!,+-", max_size=40)


def gaps_of(ids: set[int]) -> list[Range]:
    return list(Cursor.at(POSITION, [(missing, missing) for missing in ids]).gaps)


def cursor_of(token: str) -> Cursor:
    said = parse_token(token)
    return Cursor.at(said.position, said.gaps)


def random_ids(count: int, *, among: int, seed: int) -> set[int]:
    """Ids below the position, two neighbours now and then."""
    return set(random.Random(seed).sample(range(POSITION - among, POSITION), count))


def random_single_ids(count: int, *, among: int, seed: int) -> set[int]:
    """The same without neighbours."""
    places = sorted(random.Random(seed).sample(range(among - count), count))
    return {POSITION - among + place + before for before, place in enumerate(places)}


@given(runs_below, st.integers(0, 10**15))
def test_any_gaps_are_read_back_or_merged_where_too_many(runs: list[int], lowest: int) -> None:
    position = lowest + sum(runs)
    gaps = gaps_of_runs(position, runs)
    token = format_token(position, gaps)
    assert len(token) <= MAX_TOKEN_CHARS
    assert re.fullmatch(r"[A-Za-z0-9_!,-]+", token)
    if cursor_token._text(position, gaps) == token:
        assert parse_token(token) == (position, gaps, None)
    else:
        assert cursor_of(token).position == position
        assert cursor_of(token).difference(Cursor.at(position, gaps)) == ()


@given(runs_below)
def test_bits_are_read_back(runs: list[int]) -> None:
    assert runs_of(10**18, gaps_of_runs(10**18, runs)) == runs
    powers = powers_for(runs)
    assert parse_runs(powers_text(powers) + bits_text("".join(codes(runs, powers)))) == runs


@given(st.integers(1, MAX_ID), st.integers(0, 62))
def test_any_run_has_bits_whatever_the_power(run: int, power: int) -> None:
    assert len(code(run, power)) <= 127


def test_bits_are_those_of_the_classes_that_the_comment_names() -> None:
    lowest, _ = _classes(1)
    assert lowest[:6] == (1, 3, 5, 7, 11, 19)
    written = [code(run, 1) for run in (1, 2, 3, 5, 7, 10)]
    assert written == ["00", "01", "100", "1100", "111000", "111011"]


def test_the_form_is_plain_for_few_gaps() -> None:
    def token(runs: list[int]) -> str:
        return format_token(10**12, gaps_of_runs(10**12, runs))

    assert token([]) == "1000000000000"
    assert token([1] * 2 * PLAIN_GAPS) == "1000000000000!1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"
    assert token([1] * 2 * (PLAIN_GAPS + 1)) == "1000000000000!-AAAAA"


# -- what fits ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("choose", [random_ids, random_single_ids])
def test_1500_of_the_newest_5500_ids_and_a_few_far_below_fit(
    choose: Callable[..., set[int]], seed: int
) -> None:
    far = set(random.Random(seed).sample(range(POSITION - 10**9, POSITION - 10**6), 5))
    gaps = gaps_of(choose(1500, among=5500, seed=seed) | far)
    assert parse_token(format_token(POSITION, gaps)) == (POSITION, gaps, None)


@pytest.mark.parametrize(
    ("count", "among"),
    [(250, 500), (900, 6000), (1000, 10_000), (500, 50_000), (350, 1_000_000)],
)
def test_random_gaps_of_any_density_fit(count: int, among: int) -> None:
    gaps = gaps_of(random_ids(count, among=among, seed=1))
    assert parse_token(format_token(POSITION, gaps)) == (POSITION, gaps, None)


def test_forty_huge_gaps_fit() -> None:
    chance = random.Random(1)
    ends = sorted(chance.sample(range(1, MAX_ID - 1), 80))
    gaps = list(zip(ends[::2], ends[1::2], strict=True))
    token = format_token(MAX_ID - 1, gaps)
    assert parse_token(token) == (MAX_ID - 1, gaps, None)


# -- what does not --------------------------------------------------------------------------


@settings(max_examples=10)  # each draws thousands of ids
@given(st.integers(0, 10**6), st.sampled_from([(2500, 8000), (4000, 12_000), (3000, 200_000)]))
def test_a_merged_token_holds_less_never_more_and_no_less_than_need_be(
    seed: int, size: tuple[int, int]
) -> None:
    gaps = gaps_of(random_ids(size[0], among=size[1], seed=seed))
    token = format_token(POSITION, gaps)
    kept = cursor_of(token)
    assert 0.97 * MAX_TOKEN_CHARS <= len(token) <= MAX_TOKEN_CHARS
    assert kept.difference(Cursor.at(POSITION, gaps)) == ()
    merged = Cursor.at(POSITION, gaps).difference(kept)
    spaces = sorted(right[0] - left[1] - 1 for left, right in pairwise(gaps))
    assert sorted(high - low + 1 for low, high in merged) == spaces[: len(merged)]


def test_a_hundred_thousand_gaps_are_merged_too() -> None:
    gaps = [(n * 7, n * 7 + n % 3) for n in range(1, 100_001)]
    assert len(format_token(gaps[-1][1] + 1, gaps)) <= MAX_TOKEN_CHARS


@given(runs_below, st.integers(0, 2**64 - 1))
def test_a_mark_is_read_back_and_has_room(runs: list[int], mark: int) -> None:
    token = format_token(sum(runs), gaps_of_runs(sum(runs), runs), mark)
    assert len(token) <= MAX_TOKEN_CHARS
    assert re.fullmatch(r"[A-Za-z0-9_!,-]+", token)
    assert parse_token(token).mark == mark


# -- hostile text ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    [
        "5!-",
        "5!-A",
        "5!-AA",
        "5!-AA_",  # nothing but filling
        "9!-AAD_",  # a character too many
        "5!-AAf",  # an odd number of runs
        "5!-AAA",  # six runs of one
        "9!-AAA!-AAA",
        "9!-AAA!",
        "9!AAAAAAAAAAA",
        "9!-AAA!AAAAAAAAAAB",  # two bits too many
        "9!-AAA!AAAAAAAAAAAA",
        "9!-AAA!AAAAAAAAAAA!AAAAAAAAAAA",
        "9!-AAA=",
        "9!-AAA+",
        "9!-AA\u0663",
        "9!-AA" + "_" * 990,
        "9!-AA" + "_" * 989 + "A",
        "9!-__" + "A" * 990,
        "9!--9" + "A" * 990,
        "9!+" + "g" * 990 + "A",
        "9!+" + "BA" * 400,
        "9" * 18 + "!-AA" + "A" * 999,
    ],
)
def test_malformed_bits_and_digits_are_refused(token: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_token(token)


@given(st.one_of(st.text(), *(token_text.map(start.__add__) for start in ("", "999!-", "999!+"))))
def test_any_text_is_refused_or_means_ids_below_its_position(text: str) -> None:
    try:
        position, gaps, mark = parse_token(text)
    except ValueError:
        return
    assert all(1 <= low <= high < position for low, high in gaps)
    assert all(left[1] + 1 < right[0] for left, right in pairwise(gaps))
    assert parse_token(format_token(position, gaps, mark)) == (position, gaps, mark)
