"""Work for idle moments: done in order, after whatever is ready."""

import asyncio

from gym_enrichment.pipeline.background import IdleWork


def test_pieces_are_done_in_order_and_answers_come_between_them() -> None:
    done: list[str] = []

    async def main() -> None:
        idle = IdleWork()
        for name in ("first", "second", "third"):
            idle.add(lambda name=name: done.append(name))  # type: ignore[misc]
        assert done == []
        while not done:
            await asyncio.sleep(0)
        done.append("an answer")
        await asyncio.sleep(0.1)
        idle.add(lambda: done.append("later"))
        await asyncio.sleep(0.1)

    asyncio.run(main())
    assert done == ["first", "an answer", "second", "third", "later"]


def test_what_is_left_at_the_end_is_forgotten() -> None:
    done: list[str] = []

    async def main() -> None:
        idle = IdleWork()
        idle.add(lambda: done.append("never"))
        idle.close()
        await asyncio.sleep(0.1)

    asyncio.run(main())
    assert done == []
