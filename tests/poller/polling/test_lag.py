"""How old a row is when it is read: from its `created_at`, however the table holds it."""

from datetime import UTC, datetime, timedelta

import pytest

from poller.polling.report import PollReport
from poller.runtime import metrics
from poller.wire.row import Row

AGE = timedelta(seconds=30)


def observed(created_at: object) -> list[float]:
    """The ages that a new row adds to the metric: none, or one."""
    child = metrics.lag_seconds.labels("lag")
    before = child._sum.get(), sum(bucket.get() for bucket in child._buckets)
    PollReport("lag").encoded(Row(1, {"id": 1, "created_at": created_at}), None, news=True)
    after = child._sum.get(), sum(bucket.get() for bucket in child._buckets)
    return [after[0] - before[0]] if after[1] > before[1] else []


@pytest.mark.parametrize(
    "form",
    ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.5Z", "%Y-%m-%dT%H:%M:%S+00:00"],
)
def test_text_tells_the_age_as_a_date_does(form: str) -> None:
    (age,) = observed((datetime.now(UTC) - AGE).strftime(form))
    assert age > 25
    (age,) = observed(datetime.now(UTC) - AGE)
    assert age > 25


@pytest.mark.parametrize("other", ["tomorrow", "infinity", "0044-03-15T12:00:00 BC", 7, None])
def test_what_is_no_date_tells_nothing(other: object) -> None:
    assert observed(other) == []
