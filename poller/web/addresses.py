"""Signed addresses of the streams, as an application gives them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import current_app, url_for

from poller.access import granted, signed
from poller.access.granted import Access
from poller.access.signed import Place, Signer
from poller.feed import Feed


def signed_address(
    feed: Feed, notifier: str, access: Access, expires_s: float, options: Mapping[str, Any]
) -> str:
    """The address of `feed` for what `access` names. See `Notifier.url_for()`."""
    keys = signed.keys_of(current_app.config)
    if not keys:
        raise RuntimeError("a signed address needs a key: set app.secret_key")
    if unknown := {*granted.values_of(access.filter)} - {*feed.watch.filters}:
        raise ValueError(
            f"{min(unknown)} is no filter of {feed.name}: list it in watch(…, filters=[…])"
        )
    if feed.described:
        feed.view(granted.values_of(access.filter), access.columns)
    ends = replace(access, until=signed.end_of(expires_s, granted.now()))
    text = Signer(keys).sign(Place(notifier, feed.name), ends)
    values: dict[str, Any] = {**options, "name": feed.name, signed.PARAMETER: text}
    return url_for(f"{notifier}.stream", **values)
