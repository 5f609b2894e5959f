"""Settings come from code, then environment, then default."""

from pathlib import Path

import pytest

from doctrail_core import Settings, SettingsError


def test_defaults_hold_when_nothing_is_said():
    assert Settings.load({}) == Settings(
        home=Path(".doctrail"), content="full", span_content=False, spans="missing", service=None
    )


def test_code_wins_over_environment():
    environment = {"DOCTRAIL_HOME": "/env", "DOCTRAIL_CONTENT": "off", "DOCTRAIL_SERVICE": "env"}
    settings = Settings.load(environment, home="/code", service="code")
    assert (settings.home, settings.content, settings.service) == (Path("/code"), "off", "code")


def test_the_service_name_of_opentelemetry_is_used_when_ours_is_not_set():
    assert Settings.load({"OTEL_SERVICE_NAME": "shop"}).service == "shop"


@pytest.mark.parametrize(
    ("word", "meant"), [("1", True), ("off", False), ("TRUE", True), ("", False)]
)
def test_switches_understand_the_usual_words(word, meant):
    assert Settings.load({"DOCTRAIL_SPAN_CONTENT": word}).span_content is meant


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"DOCTRAIL_CONTENT": "some"}, "content is 'some'; it must be one of full, hash, off"),
        (
            {"DOCTRAIL_DURABILITY": "full"},
            "durability is 'full'; it must be one of bounded, strict",
        ),
        ({"DOCTRAIL_WHEN_UNRECORDED": "x"}, "in code or as DOCTRAIL_WHEN_UNRECORDED"),
        ({"DOCTRAIL_SPANS": "maybe"}, "spans is 'maybe'; it must be one of all, missing, none"),
    ],
)
def test_a_value_that_means_nothing_is_refused_by_name(environment, message):
    with pytest.raises(SettingsError, match=message):
        Settings.load(environment)


def test_a_power_cut_costs_little_and_a_full_disk_no_answer_unless_more_is_asked_for():
    assert (Settings().durability, Settings().when_unrecorded) == ("bounded", "count")
    environment = {"DOCTRAIL_DURABILITY": "strict", "DOCTRAIL_WHEN_UNRECORDED": "refuse"}
    settings = Settings.load(environment)
    assert (settings.durability, settings.when_unrecorded) == ("strict", "refuse")


def test_the_password_of_a_database_is_not_shown_where_settings_are():
    settings = Settings.load({"DOCTRAIL_DATABASE": "postgresql://me:secret@db/answers"})
    assert settings.database == "postgresql://me:secret@db/answers"
    assert "secret" not in repr(settings)
