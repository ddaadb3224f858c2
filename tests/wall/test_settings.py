"""The wall's settings, and the secret key that is made once."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from poller import Settings
from wall.secret import read_or_make
from wall.settings import PROJECT, SettingsError, WallSettings


def test_lists_numbers_and_rates_are_read_from_the_environment() -> None:
    settings = WallSettings.from_env(
        {
            "ROWCAST_TRUSTED_HOSTS": "wall.example, .example.org,127.0.0.1",
            "ROWCAST_PROXIES": "2",
            "ROWCAST_POST_RATE": "5/second",
            "PORT": "9000",
        }
    )
    assert settings.trusted_hosts == ("wall.example", ".example.org", "127.0.0.1")
    assert (settings.proxies, settings.post_rate, settings.port) == (2, "5/second", 9000)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ROWCAST_POST_RATE", "often"),
        ("ROWCAST_TRUSTED_HOSTS", "https://example.org"),
        ("ROWCAST_PROXIES", "-1"),
        ("PORT", "70000"),
        ("SECRET_KEY", "short"),
    ],
)
def test_an_error_names_the_setting(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        WallSettings.from_env({name: value})


def test_another_application_is_told_that_they_are_the_walls() -> None:
    walls = WallSettings.names().keys() - Settings.names().keys()
    ours = {name for name in walls if name.startswith("ROWCAST_")}
    assert len(ours) >= 4
    for name in ours:
        with pytest.raises(SettingsError, match=f"{name} is a setting of Rowcast's example wall"):
            Settings.from_env({name: "1"})
    with pytest.raises(SettingsError, match="ProxyFix"):
        Settings.from_env({"ROWCAST_PROXIES": "1"})
    Settings.from_env({"HOST": "everywhere", "PORT": "http", "SECRET_KEY": "short"})


def test_a_secret_never_stands_in_an_error() -> None:
    with pytest.raises(SettingsError) as caught:
        WallSettings.from_env({"SECRET_KEY": "s3cr3t"})
    assert "s3cr3t" not in str(caught.value)


def test_the_default_database_is_a_file_in_the_instance_folder(tmp_path: Path) -> None:
    settings = WallSettings.model_validate({"instance": tmp_path / "made"})
    assert settings.database() == f"sqlite:///{tmp_path / 'made' / 'rowcast.db'}"
    assert (tmp_path / "made").is_dir()


def test_a_relative_instance_folder_lies_beside_the_program() -> None:
    assert WallSettings.model_validate({}).folder() == PROJECT / "instance"


def test_a_given_database_makes_no_folder(tmp_path: Path) -> None:
    settings = WallSettings.model_validate(
        {"instance": tmp_path / "made", "database_url": "postgresql://h/n"}
    )
    assert settings.database() == "postgresql://h/n"
    assert not (tmp_path / "made").exists()


def test_an_instance_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="ROWCAST_INSTANCE"):
        WallSettings.model_validate({"instance": tmp_path / "file" / "below"}).database()


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "instance" / "secret_key"
    key = read_or_make(path)
    assert len(key) == 64
    assert read_or_make(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [*path.parent.iterdir()] == [path]


def test_workers_that_start_at_once_get_the_same_key(tmp_path: Path) -> None:
    paths = [tmp_path / "secret_key"] * 32
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(read_or_make, paths))
    assert len(keys) == 1


def test_a_key_that_cannot_be_kept_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="SECRET_KEY"):
        read_or_make(tmp_path / "file" / "secret_key")


def test_an_empty_key_file_is_not_taken_for_a_key(tmp_path: Path) -> None:
    (tmp_path / "secret_key").touch()
    with pytest.raises(SettingsError, match="empty"):
        read_or_make(tmp_path / "secret_key")
