"""What Microsoft documents of models: where a deployment type is offered, when a version retires.

Tables of a day: Azure itself answers `python probes/models.py`.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Final

NOTICE: Final = timedelta(days=60)  # how long before it retires a model is told

# "Model region availability" in April 2026: a deployment type, a model, and the locations. An
# asterisk is any other model; each of a data zone has the same locations.
OFFERED_ON: Final = "April 2026"
_US: Final = "centralus eastus eastus2 northcentralus southcentralus westus westus3"
_EU: Final = """
francecentral germanywestcentral italynorth polandcentral spaincentral swedencentral westeurope
"""
_OFFERED: Final = {
    ("DataZoneStandard", "*"): f"{_US} {_EU}",
    ("Standard", "gpt-5.1"): f"{_US} swedencentral",
    ("Standard", "text-embedding-3-large"): "australiaeast canadaeast eastus eastus2 francecentral "
    "germanywestcentral japaneast koreacentral norwayeast polandcentral southafricanorth "
    "southeastasia southindia spaincentral swedencentral switzerlandnorth uaenorth uksouth westus3",
    ("Standard", "text-embedding-3-small"): "australiaeast canadaeast eastus eastus2 japaneast "
    "switzerlandnorth uaenorth westus",
    ("Standard", "*"): f"{_US} australiaeast brazilsouth canadaeast francecentral "
    "germanywestcentral japaneast koreacentral norwayeast polandcentral southafricanorth "
    "southeastasia southindia spaincentral swedencentral switzerlandnorth uaenorth uksouth "
    "westeurope",
}
_KNOWN: Final = {each for places in _OFFERED.values() for each in places.split()}

# Locations that have Azure OpenAI and "Responses API is not enabled in this region": Microsoft Q&A
# 5845444. Its list of those that have it grows; only who was met without it stands here.
NO_RESPONSES_ON: Final = "April 2026"
NO_RESPONSES: Final = ("westeurope",)

SCHEDULE_OF: Final = "August 2026"
# "Model retirement schedule" of 2026-08-26, those that chat, embed, draw, write
# down or speak and had not retired by then.
_RETIRES: Final = """
gpt-5 2025-08-07 2027-02-06
gpt-5-mini 2025-08-07 2027-02-06
gpt-5-nano 2025-08-07 2027-02-06
gpt-5-pro 2025-10-06 2027-04-07
gpt-5.1 2025-11-13 2027-05-15
gpt-5.2 2025-12-11 2026-12-12
gpt-5.4 2026-03-05 2027-03-05
gpt-5.4-mini 2026-03-17 2027-03-18
gpt-5.4-nano 2026-03-17 2027-03-18
gpt-5.4-pro 2026-03-05 2027-03-06
gpt-5.5 2026-04-24 2027-04-23
gpt-4.1 2025-04-14 2026-10-14
gpt-4.1-mini 2025-04-14 2026-10-14
gpt-4.1-nano 2025-04-14 2026-10-14
gpt-4o 2024-08-06 2026-10-01
gpt-4o 2024-11-20 2026-10-01
gpt-4o-mini 2024-07-18 2026-10-01
o3 2025-04-16 2026-10-16
o3-mini 2025-01-31 2026-10-01
o4-mini 2025-04-16 2026-10-16
text-embedding-3-large 1 2027-04-15
text-embedding-3-small 1 2027-04-15
text-embedding-ada-002 1 2027-04-15
text-embedding-ada-002 2 2027-04-15
gpt-image-1 2025-04-15 2026-10-23
gpt-image-1-mini 2025-10-06 2027-04-07
gpt-image-1.5 2025-12-16 2026-12-16
gpt-image-2 2026-04-21 2027-04-21
gpt-4o-transcribe 2025-03-20 2026-10-15
gpt-4o-mini-transcribe 2025-03-20 2026-10-15
gpt-4o-mini-transcribe 2025-12-15 2026-12-15
gpt-4o-mini-tts 2025-03-20 2026-10-15
gpt-4o-mini-tts 2025-12-15 2026-12-15
tts 001 2026-12-15
tts-hd 001 2026-12-15
whisper 001 2026-12-15
"""
RETIRES: Final = {
    (model, version): date.fromisoformat(on)
    for model, version, on in (line.split() for line in _RETIRES.strip().splitlines())
}


def offered(sku: str, model: str, location: str) -> bool | None:
    """Tell whether a location has a deployment type of a model; None where it is not known.

    GlobalStandard is wherever Azure OpenAI is, and so is known of the locations of the others.
    """
    if location not in _KNOWN:
        return None
    if sku == "GlobalStandard":
        return True
    own = _OFFERED.get((sku, model))
    places = own or _OFFERED.get((sku, "*"))
    if places and location not in places.split():
        return False
    return True if own or sku == "DataZoneStandard" else None


def unknown(model: str, version: str) -> str:
    """Say what of a model the schedule has not got, as its key and why; empty for one it has."""
    versions = [each for name, each in RETIRES if name == model]
    if version in versions:
        return ""
    found = f"is not among the models of Microsoft's schedule of {SCHEDULE_OF}"
    if not versions:
        return f"model: {model} {found}"
    return f"version: {model} {version} {found}, which has {' and '.join(versions)}"


def today() -> date:
    return datetime.now(UTC).date()


def retirement(model: str, version: str, on: date | None = None) -> str:
    """Say when a model retires, by `on` or else by the table; empty while that is further off."""
    on = on or RETIRES.get((model, version))
    if on is None or on - today() > NOTICE:
        return ""
    return f"{model} {version} {'retires' if on > today() else 'retired'} on {on}"
