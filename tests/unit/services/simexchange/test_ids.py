"""Ids: the venue's form, never twice, the same for the same seed."""

from __future__ import annotations

import uuid

from services.simexchange.core.ids import IdMint, market_id_of


def test_ids_are_uuids_of_version_four() -> None:
    minted = IdMint(1).next()

    assert str(uuid.UUID(minted)) == minted
    assert uuid.UUID(minted).version == 4


def test_a_hundred_thousand_ids_are_all_different() -> None:
    mint = IdMint(5)

    assert len({mint.next() for _ in range(100_000)}) == 100_000


def test_the_seed_alone_decides() -> None:
    first, again, other = IdMint(3), IdMint(3), IdMint(4)

    assert [first.next() for _ in range(5)] == [again.next() for _ in range(5)]
    assert other.next() != IdMint(3).next()


def test_markets_have_an_id_of_their_own_in_every_run() -> None:
    assert market_id_of("A") == market_id_of("A")
    assert len({market_id_of(f"KX-{number}") for number in range(1000)}) == 1000
