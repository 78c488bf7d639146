"""The variables of OpenTelemetry: read in the standard's units and values, or refused in one line."""

from pathlib import Path
from typing import Any

import pytest

from mylist.telemetry.tracing_settings import Sampling, TracingError, TracingSettings, read_settings

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


def read(**variables: str) -> TracingSettings:
    settings = read_settings(ENDPOINT | variables)
    assert settings
    return settings


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_TIMEOUT": "nonsense", "OTEL_TRACES_SAMPLER": "sometimes"},
        ENDPOINT | {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_TIMEOUT": "nonsense"},
        ENDPOINT | {"OTEL_SDK_DISABLED": "TRUE"},
        ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_no_settings_are_read_unless_tracing_is_enabled(environment: dict[str, str]) -> None:
    assert read_settings(environment) is None


def test_an_endpoint_alone_enables_tracing_with_the_defaults() -> None:
    assert read() == TracingSettings(
        sampling=Sampling(0.01, heeds_parent=True),
        endpoint="http://collector:4318",
        export_timeout_s=3.0,
        schedule_delay_ms=5000,
        queue_size=2048,
        batch_size=128,
    )


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "3000"}, 3.0),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "1"}, 0.001),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": " 60000 "}, 60.0),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": ""}, 3.0),
        ({"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "250"}, 0.25),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "100", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "9000"}, 9.0),
        ({"OTEL_BSP_EXPORT_TIMEOUT": "2000"}, 2.0),
        ({"OTEL_BSP_EXPORT_TIMEOUT": "30000"}, 3.0),
        ({"OTEL_BSP_EXPORT_TIMEOUT": "500", "OTEL_EXPORTER_OTLP_TIMEOUT": "9000"}, 0.5),
    ],
)
def test_timeouts_are_in_milliseconds_and_the_smaller_of_exporter_and_processor_applies(
    variables: dict[str, str], seconds: float
) -> None:
    assert read(**variables).export_timeout_s == seconds


@pytest.mark.parametrize(
    ("variables", "field", "value"),
    [
        ({"OTEL_BSP_SCHEDULE_DELAY": "100"}, "schedule_delay_ms", 100),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "100"}, "queue_size", 100),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "100"}, "batch_size", 100),
        ({"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "512"}, "batch_size", 512),
        ({"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": ""}, "batch_size", 128),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, "sampling", Sampling(1.0, heeds_parent=False)),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, "sampling", Sampling(0.0, heeds_parent=True)),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"},
            "sampling",
            Sampling(0.5, heeds_parent=False),
        ),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://u:secret@c/v1"}, "endpoint", "https://u:********@c/v1"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1]:4318/otlp"}, "endpoint", "http://[::1]:4318/otlp"),
    ],
)
def test_the_variables_for_batching_sampling_and_the_endpoint_are_applied(
    variables: dict[str, str], field: str, value: Any
) -> None:
    assert getattr(read(**variables), field) == value


MILLISECONDS = "it must be a whole number of milliseconds from 1 to 60000"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        *(("OTEL_EXPORTER_OTLP_TIMEOUT", each, MILLISECONDS) for each in ("0", "-1", "60001", "3.5", "3s", "1e3", "٣")),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "3600000", MILLISECONDS),
        ("OTEL_BSP_EXPORT_TIMEOUT", "soon", MILLISECONDS),
        ("OTEL_BSP_SCHEDULE_DELAY", "0", "it must be a whole number from 1 to 600000"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many", "it must be a whole number from 1 to 1000000"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2049", "it must be a whole number from 1 to 2048"),
        *(
            (f"OTEL_EXPORTER_OTLP_{infix}ENDPOINT", each, "it must be a URL that starts with http:// or https://")
            for infix in ("", "TRACES_")
            for each in (
                "notaurl",
                "collector:4318",
                "http://",
                "http://c:port",
                "http://c:99999",
                "grpc://c:4317",
                "http://a b",
            )
        ),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "it must be http/protobuf"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere.pem", "it must be a file, and this file does not exist"),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/nowhere.pem", "it must be a file, and this file does not exist"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "it must be otlp or none"),
        *(
            ("OTEL_PROPAGATORS", each, "it must be tracecontext, with or without baggage")
            for each in ("b3", "tracecontext,b3", "baggage", "none")
        ),
        ("OTEL_SDK_DISABLED", "yes", "it must be true or false"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote", "it must be always_on, "),
        ("OTEL_TRACES_SAMPLER_ARG", "nan", "it must be a number from 0 to 1"),
    ],
)
def test_an_unusable_value_is_refused_in_one_line(name: str, value: str, says: str) -> None:
    with pytest.raises(TracingError) as error:
        read(**{name: value})

    assert str(error.value).startswith(f"{name} is {value!r}; {says}")
    assert "\n" not in str(error.value)


def test_a_refused_endpoint_is_shown_without_its_password() -> None:
    with pytest.raises(TracingError, match=r"it must be a URL") as error:
        read(OTEL_EXPORTER_OTLP_ENDPOINT="ftp://me:s3cret@collector/")

    assert "s3cret" not in str(error.value)


def test_an_existing_certificate_file_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()

    assert read(OTEL_EXPORTER_OTLP_CERTIFICATE=str(tmp_path / "ca.pem"))


@pytest.mark.parametrize("propagators", ["tracecontext", "tracecontext,baggage", "baggage, tracecontext"])
def test_naming_the_supported_propagators_changes_nothing(propagators: str) -> None:
    assert read(OTEL_PROPAGATORS=propagators) == read()
