"""Everything for 2 to 30 regions, by config alone."""

from xml.etree import ElementTree as ET

import pytest

from components.regions import DISPLAY_NAMES

POOL = "inference-backend-pool"


@pytest.mark.parametrize("count", [2, 5, 30])
def test_any_number_of_regions_by_config_alone(declare, count):
    locations = list(DISPLAY_NAMES)[:count]
    program = declare(
        regions=[{"name": f"r{n}", "location": place} for n, place in enumerate(locations)]
    )
    services = program.one("Backend", POOL).inputs["pool"]["services"]
    names = sorted(f"r{n}" for n in range(count))
    assert [each["id"].rpartition("/")[2] for each in services] == names
    assert {(each["priority"], each["weight"]) for each in services} == {(1, 1)}
    urls = {backend.inputs["url"] for backend in program.all("Backend") if backend.name != POOL}
    assert urls == {f"https://r{n}-abcd1234.openai.azure.com/openai" for n in range(count)}
    policy = program.one("ApiPolicy", "inference-policy").inputs["value"]
    (retry,) = ET.fromstring(policy).iter("retry")
    assert retry.get("count") == str(max(5, count - 1))  # each is asked for an id
    assert "> 5) { return false; }" in retry.get("condition")  # however many regions there are
