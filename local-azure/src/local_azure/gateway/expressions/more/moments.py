"""`DateTime` and `DateTimeOffset`."""

from datetime import UTC, datetime, timedelta
from typing import Final

from local_azure.gateway.expressions.dates import (
    FIRST_MOMENT,
    LAST_MOMENT,
    DateTimeOffset,
    epoch,
    format_date,
    later,
    new_date,
    offset,
    parse_date,
    span,
    ticks,
    unix,
)
from local_azure.gateway.expressions.tables import Library, attribute, parsing
from local_azure.gateway.expressions.types import Method, Overloads, method


def _date_methods(kind: str) -> dict[str, Overloads]:
    def adding(unit: str) -> Method:
        return method("double", kind, lambda moment, amount: later(moment, span(amount, unit)))

    return {
        "Add": method("TimeSpan", kind, later),
        "AddDays": adding("days"),
        "AddHours": adding("hours"),
        "AddMilliseconds": adding("milliseconds"),
        "AddMinutes": adding("minutes"),
        "AddSeconds": adding("seconds"),
        "Subtract": method(kind, "TimeSpan", lambda moment, other: moment - other),
        "ToString": method(
            "[string]", "string", lambda moment, form="G": format_date(moment, form)
        ),
        "ToUniversalTime": method("", kind, lambda moment: moment),
    }


MOMENTS: Final = Library(
    properties={
        "DateTime": {
            "Date": (
                "DateTime",
                lambda value: value.replace(hour=0, minute=0, second=0, microsecond=0),
            ),
            "Day": attribute("day", "int"),
            "Hour": attribute("hour", "int"),
            "Minute": attribute("minute", "int"),
            "Month": attribute("month", "int"),
            "Second": attribute("second", "int"),
            "Ticks": ("long", ticks),
            "Year": attribute("year", "int"),
        },
    },
    methods={
        "DateTime": _date_methods("DateTime"),
        "DateTimeOffset": {
            **_date_methods("DateTimeOffset"),
            "ToUnixTimeMilliseconds": method(
                "", "long", lambda moment: unix(moment, timedelta(milliseconds=1))
            ),
            "ToUnixTimeSeconds": method(
                "", "long", lambda moment: unix(moment, timedelta(seconds=1))
            ),
        },
    },
    static_properties={
        "DateTime": {
            "MaxValue": ("DateTime", lambda: LAST_MOMENT),
            "MinValue": ("DateTime", lambda: FIRST_MOMENT),
            # The gateway's clock is UTC.
            "Now": ("DateTime", lambda: datetime.now(UTC)),
            "UtcNow": ("DateTime", lambda: datetime.now(UTC)),
        },
        "DateTimeOffset": {
            "MinValue": ("DateTimeOffset", lambda: DateTimeOffset(1, 1, 1, tzinfo=UTC)),
            "Now": ("DateTimeOffset", lambda: DateTimeOffset.now(UTC)),
            "UtcNow": ("DateTimeOffset", lambda: DateTimeOffset.now(UTC)),
        },
    },
    statics={
        "DateTime": parsing("DateTime", parse_date, FIRST_MOMENT),
        "DateTimeOffset": {
            **parsing(
                "DateTimeOffset", lambda text: offset(parse_date(text)), offset(FIRST_MOMENT)
            ),
            "FromUnixTimeMilliseconds": method(
                "long", "DateTimeOffset", lambda amount: offset(epoch(amount, "milliseconds"))
            ),
            "FromUnixTimeSeconds": method(
                "long", "DateTimeOffset", lambda amount: offset(epoch(amount, "seconds"))
            ),
        },
    },
    constructors={
        "DateTime": method("int, int, int, [int], [int], [int]", "DateTime", new_date),
        "DateTimeOffset": method("DateTime", "DateTimeOffset", offset),
    },
)
