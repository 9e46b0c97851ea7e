"""The models that can be deployed: where, in which versions, and until when.

Sources: Azure OpenAI, "Model region availability" of April 2026, and "Model retirement schedule" of
2026-08-26: those that chat, embed, draw, write down or speak.
"""

from datetime import date
from typing import Final

READ_ON: Final = "2026-08-26"
# "Model region availability" in April 2026: a deployment type, a model, and the locations. An
# asterisk is any other model; each of a data zone has the same locations.
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
gpt-4o 2024-11-20 2026-10-01
gpt-4o 2024-08-06 2026-10-01
gpt-4o-mini 2024-07-18 2026-10-01
o3 2025-04-16 2026-10-16
o3-mini 2025-01-31 2026-10-01
o4-mini 2025-04-16 2026-10-16
text-embedding-3-large 1 2027-04-15
text-embedding-3-small 1 2027-04-15
text-embedding-ada-002 2 2027-04-15
text-embedding-ada-002 1 2027-04-15
gpt-image-1 2025-04-15 2026-10-23
gpt-image-1-mini 2025-10-06 2027-04-07
gpt-image-1.5 2025-12-16 2026-12-16
gpt-image-2 2026-04-21 2027-04-21
gpt-4o-transcribe 2025-03-20 2026-10-15
gpt-4o-mini-transcribe 2025-12-15 2026-12-15
gpt-4o-mini-transcribe 2025-03-20 2026-10-15
gpt-4o-mini-tts 2025-12-15 2026-12-15
gpt-4o-mini-tts 2025-03-20 2026-10-15
tts 001 2026-12-15
tts-hd 001 2026-12-15
whisper 001 2026-12-15
"""
RETIRES: Final = {
    (model, version): date.fromisoformat(on)
    for model, version, on in (line.split() for line in _RETIRES.strip().splitlines())
}
VERSIONS: Final = {
    model: tuple(version for its, version in RETIRES if its == model)
    for model in dict.fromkeys(model for model, _ in RETIRES)
}
"""The first version of a model is the one that is deployed where none is named. ? Azure's own
default differs from model to model."""


# ? what Azure calls all but the first and the last.
_CAPABILITIES: Final = {
    "embedding": "embeddings",
    "image": "imageGenerations",
    "transcribe": "audioTranscriptions",
    "whisper": "audioTranscriptions",
    "tts": "audioSpeech",
    "": "chatCompletion",
}


def capability(model: str) -> str:
    """Return what a model is made for, by its name."""
    return next(made_for for word, made_for in _CAPABILITIES.items() if word in model)


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
