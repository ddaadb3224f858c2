"""Believable posts: what people write on a wall, made up. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator

AUTHORS = (
    "Ada", "Bashir", "Chiara", "Dmitri", "Eun-ji", "Fatou", "Grace", "Håkon", "Inès", "Jamal",
    "Kofi", "Łucja", "Mei 美", "Niamh", "Olu", "Priya", "Quentin", "Rosa", "Siobhán", "Tomás",
    "build-bot", "cron",
)  # fmt: skip
SUBJECTS = (
    "the release", "the coffee machine", "the migration", "our oldest ticket", "the staging server",
    "the new door code", "lunch", "the backup of last night", "the plant on the second floor",
    "the queue", "the meeting at ten", "the projector", "the pull request about time zones",
)  # fmt: skip
NEWS = (
    "{subject} is done.",
    "Has anybody seen {subject}?",
    "Good news about {subject}: it works again.",
    "{subject}: {number} % there.",
    "Who looks after {subject} this week?",
    "I had a look at {subject}. It took {number} minutes, and I learnt something.",
    "Please do not touch {subject} until {hour}:00.",
    "{subject} took {number} ms. Yesterday it was {other}.",
)
REMARKS = (
    "Thanks, everybody!",
    "More in a minute.",
    "No hurry.",
    "I am as surprised as you are.",
    "See you at {hour}:30?",
    "🎉",
    "Details:\n- first, it was slow\n- then, it was fast\n- nobody knows why",
)
WITH_REMARK = 0.4  # of all posts


def posts(count: int, chance: random.Random) -> Iterator[dict[str, str]]:
    """So many, each as the columns `author` and `body`."""
    for _ in range(count):
        values = {
            "subject": chance.choice(SUBJECTS),
            "number": chance.randint(2, 99),
            "other": chance.randint(100, 900),
            "hour": chance.randint(9, 17),
        }
        parts = [chance.choice(NEWS)]
        if chance.random() < WITH_REMARK:
            parts.append(chance.choice(REMARKS))
        body = " ".join(parts).format(**values)
        yield {"author": chance.choice(AUTHORS), "body": body[0].upper() + body[1:]}
