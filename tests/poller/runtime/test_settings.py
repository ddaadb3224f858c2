"""Settings: errors that explain themselves, and docs that are held to the code."""

from pathlib import Path

import pytest

from poller.runtime.settings import Settings, SettingsError
from wall.settings import WallSettings

DOCS = Path(__file__).parents[3] / "docs" / "settings.md"


def test_no_environment_gives_the_defaults() -> None:
    assert Settings.from_env({}) == Settings()
    assert Settings.from_env({"ROWCAST_BATCH": "", "PATH": "/bin"}) == Settings()


def test_a_value_is_read_by_its_environment_name() -> None:
    assert Settings.from_env({"ROWCAST_POLL_INTERVAL": "0.1"}).poll_interval_s == 0.1


def test_an_unknown_name_is_an_error_that_suggests_the_nearest() -> None:
    with pytest.raises(SettingsError, match=r"ROWCAST_POLINTERVAL.*mean ROWCAST_POLL_INTERVAL\?"):
        Settings.from_env({"ROWCAST_POLINTERVAL": "1"})


def test_a_bad_value_is_named_with_what_is_allowed() -> None:
    with pytest.raises(SettingsError, match=r"ROWCAST_BATCH='0': .* greater than or equal to 1"):
        Settings.from_env({"ROWCAST_BATCH": "0"})
    with pytest.raises(SettingsError, match=r"ROWCAST_HEARTBEAT='soon': .* number"):
        Settings.from_env({"ROWCAST_HEARTBEAT": "soon"})


def test_an_error_shows_no_password() -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL: ") as caught:
        Settings.from_env({"DATABASE_URL": "user:hunter2@host"})
    assert "hunter2" not in str(caught.value)


def test_every_setting_stands_in_the_docs_with_its_default_and_meaning() -> None:
    rows = {
        cells[1].strip().strip("`"): cells
        for line in DOCS.read_text().splitlines()
        if len(cells := line.split("|")) >= 5 and cells[1].strip().startswith("`")
    }
    documented = {name: (cells[2].strip(), cells[3].strip()) for name, cells in rows.items()}
    in_code = {
        name: (default_of(field), str(WallSettings.model_fields[field].description))
        for name, field in WallSettings.names().items()
    }
    assert documented == in_code


def default_of(field: str) -> str:
    default = WallSettings.model_fields[field].default
    return "" if default in (None, "", ()) else f"`{default}`"
