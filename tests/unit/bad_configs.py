"""Every mistake a config can have, and the lines that a user reads about it."""

import copy
from typing import Any

from components.regions import DISPLAY_NAMES

REGIONS = [
    {"name": "foundry1", "location": "uksouth"},
    {"name": "foundry2", "location": "eastus"},
    {"name": "foundry3", "location": "norwayeast"},
]
VNET = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/v/subnets"
CHAT = {
    "name": "chat",
    "model": "gpt-5.4-mini",
    "version": "2026-03-17",
    "sku": "GlobalStandard",
    "capacity": 50,
}
DROP = object()
HEARD = {"alertEmails": ["team@example.com"]}  # so that nothing is warned of

APIS = "chat, embeddings, models, responses, images, audio"
LIST_REGIONS = "list 2 to 30 regions, each with a name and a location"
LIST_MODELS = "list at least one model, each with name, model, version, sku and capacity"
NAME = (
    "write 1 to 80 lower-case letters, digits and hyphens, no hyphen first: it names the backend "
    "and begins the account's subdomain"
)
SUFFIX = (
    "write 1 to 45 lower-case letters, digits and hyphens, no hyphen first or last: it ends the "
    "accounts' subdomains and the service's name. Left out, it is random"
)
PLACE = "write the name of an Azure location, as uksouth"
DURATION = "write an ISO-8601 duration above zero, as PT1M for a minute"
E_MAIL = "write an e-mail address of at most 100 characters: Azure sends notices there"
PRIORITY = "write a whole number from 0 to 100"
WEIGHT = "write a whole number from 1 to 100"
API_VERSION = 'write a version in quotes, as "2024-10-21" or "2025-04-01-preview"'
WEIGHT_0 = "Azure does not document weight 0; write 1 to 100, or remove the region"
A_REGION = "write a mapping with the keys name, location, priority, weight, existing"
SERVICE_NAME = "write the service's name: 1 to 50 letters, digits and hyphens, a letter first"
SERVICE = {"resourceGroup": "rg", "serviceName": "apim"}
GROUP = (
    "write the name of its resource group: 1 to 90 letters, digits, `_`, `.`, `(`, `)` and `-`, "
    "no `.` last"
)
ACCOUNT = "write the account's name: 2 to 64 letters, digits, `_`, `.` and `-`"
KEEPS_ITS_OWN = "a service that exists keeps its own; leave out this key, or `existing`"
A_PART = "write a number above 0 and below 1, as 0.25"
BARE = {"breaker": None, "streaming": False, "monitoring": None}  # as Consumption needs
AT_LEAST_1 = "write a whole number of at least 1"
EQUAL = 'give every region the same priority and weight, or set routing to "weighted" or "priority"'


def many(count: int) -> list[dict[str, Any]]:
    places = list(DISPLAY_NAMES)
    return [{"name": f"foundry{n + 1}", "location": places[n]} for n in range(count)]


def models(*names: str) -> list[dict[str, Any]]:
    return [{**CHAT, "name": name} for name in names]


def at(changes: dict[str, Any], **config: Any) -> dict[str, Any]:
    """A good config with changes by path, as `regions.2.weight`; DROP takes a key away."""
    good = {"regions": REGIONS, "models": [CHAT], "monitoring": HEARD}
    whole = copy.deepcopy({**good, **config})
    for path, value in changes.items():
        *parents, last = [int(step) if step.isdecimal() else step for step in path.split(".")]
        place: Any = whole
        for step in parents:
            place = place[step] if isinstance(step, int) else place.setdefault(step, {})
        if value is DROP:
            del place[last]
        else:
            place[last] = value
    return whole


# Each: what is wrong, the config, and every line that is reported.
BAD: list[tuple[str, dict[str, Any], list[str]]] = [
    ("no regions", at({"regions": DROP}), [f"regions is missing: {LIST_REGIONS}"]),
    ("empty regions", at({"regions": []}), [f"regions is a list of 0: {LIST_REGIONS}"]),
    ("no API", at({"apis": []}), [f"apis is []: list some of {APIS}, each once"]),
    (
        "an API twice",
        at({"apis": ["chat", "chat"]}),
        [f'apis is ["chat", "chat"]: list some of {APIS}, each once'],
    ),
    (
        "an API with a typo",
        at({"apis": ["chat", "response"]}),
        [f'apis[1] is "response": write one of {APIS}'],
    ),
    ("a text for the APIs", at({"apis": "chat"}), [f'apis is "chat": list some of {APIS}']),
    ("no APIs at all", at({"apis": None}), [f"apis is null: list some of {APIS}"]),
    ("one region", at({"regions": many(1)}), [f"regions is a list of 1: {LIST_REGIONS}"]),
    ("31 regions", at({"regions": many(31)}), [f"regions is a list of 31: {LIST_REGIONS}"]),
    ("null regions", at({"regions": None}), [f"regions is null: {LIST_REGIONS}"]),
    ("a string for a list", at({"regions": "uksouth"}), [f'regions is "uksouth": {LIST_REGIONS}']),
    (
        "a mapping for a list",
        at({"regions": {"foundry1": "uksouth"}}),
        [f'regions is {{"foundry1": "uksouth"}}: {LIST_REGIONS}'],
    ),
    (
        "broken JSON",
        at({"regions": '[{"name": "foundry1"'}),
        [
            (
                rf'regions is "[{{\"name\": \"foundry1\"": {LIST_REGIONS} '
                "(as JSON: Expecting ',' delimiter at character 21)"
            )
        ],
    ),
    (
        "a string for a region",
        at({"regions.1": "eastus"}),
        [f'regions[1] is "eastus": {A_REGION}'],
    ),
    (
        "a name twice, around a region that is none",
        at({"regions": [REGIONS[0], None, {**REGIONS[1], "name": "foundry1"}]}),
        [
            f"regions[1] is null: {A_REGION}",
            'regions[2].name is "foundry1": regions[0] has this name already; give each its own',
        ],
    ),
    (
        "a name twice",
        at({"regions.2.name": "foundry1"}),
        ['regions[2].name is "foundry1": regions[0] has this name already; give each its own'],
    ),
    (
        "a location twice, in other words",
        at({"regions.2.location": "UK South"}),
        [
            (
                'regions[2].location is "uksouth": regions[0] has this location already; '
                "give each its own"
            )
        ],
    ),
    ("no name", at({"regions.0.name": DROP}), [f"regions[0].name is missing: {NAME}"]),
    ("an empty name", at({"regions.0.name": ""}), [f'regions[0].name is "": {NAME}']),
    (
        "a name that no backend may have",
        at({"regions.0.name": "foundry#1"}),
        [f'regions[0].name is "foundry#1": {NAME}'],
    ),
    (
        "a name that no subdomain may have",
        at({"regions.0.name": "foundry_1"}),
        [f'regions[0].name is "foundry_1": {NAME}'],
    ),
    (
        "a dot, which would make two labels",
        at({"regions.0.name": "foundry.1"}),
        [f'regions[0].name is "foundry.1": {NAME}'],
    ),
    (
        "a hyphen first",
        at({"regions.0.name": "-foundry"}),
        [f'regions[0].name is "-foundry": {NAME}'],
    ),
    (
        "a name that is no longer the same as a host",
        at({"regions.0.name": "Foundry1"}),
        [f'regions[0].name is "Foundry1": {NAME}'],
    ),
    (
        "a name with a line end",
        at({"regions.0.name": "foundry1\n"}),
        [rf'regions[0].name is "foundry1\n": {NAME}'],
    ),
    (
        "a name too long for a backend",
        at({"regions.0.name": "f" * 81}),
        [f'regions[0].name is "{"f" * 56}...: {NAME}'],
    ),
    (
        "a name too long for a subdomain",
        at({"regions.0.name": "f" * 55}),
        [
            (
                f'regions[0].name is "{"f" * 55}": with a resourceSuffix of 8 characters the '
                "account's subdomain is 1 longer than the 63 allowed; shorten either"
            )
        ],
    ),
    (
        "the pool's name",
        at({"regions.1.name": "inference-backend-pool"}),
        [
            (
                'regions[1].name is "inference-backend-pool": the pool itself has this name; '
                "choose another"
            )
        ],
    ),
    ("no location", at({"regions.1.location": DROP}), [f"regions[1].location is missing: {PLACE}"]),
    (
        "a null location",
        at({"regions.1.location": None}),
        [f"regions[1].location is null: {PLACE}"],
    ),
    (
        "a location that is none",
        at({"regions.1.location": "east-us"}),
        [f'regions[1].location is "east-us": {PLACE}'],
    ),
    (
        "a null priority",
        at({"regions.1.priority": None}),
        [f"regions[1].priority is null: {PRIORITY}"],
    ),
    ("a null weight", at({"regions.1.weight": None}), [f"regions[1].weight is null: {WEIGHT}"]),
    (
        "true for a number",
        at({"regions.1.priority": True}),
        [f"regions[1].priority is true: {PRIORITY}"],
    ),
    (
        "a fraction of a priority",
        at({"regions.1.priority": 1.5}),
        [f"regions[1].priority is 1.5: {PRIORITY}"],
    ),
    (
        "a number in quotes",
        at({"regions.1.priority": "1"}),
        [f'regions[1].priority is "1": {PRIORITY}, without quotes'],
    ),
    (
        "a priority below the range",
        at({"regions.1.priority": -1}),
        [f"regions[1].priority is -1: {PRIORITY}"],
    ),
    (
        "a priority above the range",
        at({"regions.1.priority": 101}),
        [f"regions[1].priority is 101: {PRIORITY}"],
    ),
    ("weight 0", at({"regions.2.weight": 0}), [f"regions[2].weight is 0: {WEIGHT_0}"]),
    (
        "false for weight",
        at({"regions.2.weight": False}),
        [f"regions[2].weight is false: {WEIGHT}"],
    ),
    (
        "a weight above the range",
        at({"regions.2.weight": 101}),
        [f"regions[2].weight is 101: {WEIGHT}"],
    ),
    (
        "a weight below the range",
        at({"regions.2.weight": -5}),
        [f"regions[2].weight is -5: {WEIGHT}"],
    ),
    (
        "a key that is nearly one, at the top",
        at({"resource_suffix": "dev"}),
        ['resource_suffix is "dev", but there is no such key: did you mean `resourceSuffix`?'],
    ),
    (
        "a key that is nearly one, in a region",
        at({"regions.1.prioirty": 2}),
        ["regions[1].prioirty is 2, but there is no such key: did you mean `priority`?"],
    ),
    (
        "a key in capitals",
        at({"regions.1.WEIGHT": 1}),
        ["regions[1].WEIGHT is 1, but there is no such key: did you mean `weight`?"],
    ),
    (
        "a key that is nearly one, in a model",
        at({"models.0.capacty": 10}),
        ["models[0].capacty is 10, but there is no such key: did you mean `capacity`?"],
    ),
    (
        "a key that is nearly one, in the gateway",
        at({"gateway.publisherMail": "me@example.com"}),
        [
            (
                'gateway.publisherMail is "me@example.com", but there is no such key: '
                "did you mean `publisherEmail`?"
            )
        ],
    ),
    (
        "a key that is nearly one, in the breaker",
        at({"breaker.tripduration": "PT2M"}),
        ['breaker.tripduration is "PT2M", but there is no such key: did you mean `tripDuration`?'],
    ),
    (
        "a key that is like none",
        at({"regions.0.zzz": 1}),
        [
            (
                "regions[0].zzz is 1, but there is no such key: "
                "the keys are name, location, priority, weight, existing"
            )
        ],
    ),
    (
        "an unknown routing",
        at({"routing": "roundrobin"}),
        ['routing is "roundrobin": write one of round-robin, weighted, priority'],
    ),
    (
        "the incident under round-robin",
        at(
            {
                "regions.0.weight": 100,
                "regions.1.priority": 2,
                "regions.1.weight": 50,
                "regions.2.priority": 2,
                "regions.2.weight": 50,
            }
        ),
        [
            'regions would not be "round-robin", but UK South 100.0 %, East US 0.0 %, Norway East '
            "0.0 % (not round robin: foundry2 and foundry3 have priority 2, foundry1 has priority "
            "1; foundry2 and foundry3 have weight 50, foundry1 has weight 100): " + EQUAL
        ],
    ),
    (
        "one priority under round-robin",
        at({"regions.2.priority": 2}),
        [
            'regions would not be "round-robin", but UK South 50.0 %, East US 50.0 %, Norway East '
            "0.0 % (not round robin: foundry3 has priority 2, foundry1 and foundry2 have priority "
            "1): " + EQUAL
        ],
    ),
    (
        "one weight under round-robin",
        at({"regions.0.weight": 2}),
        [
            'regions would not be "round-robin", but UK South 50.0 %, East US 25.0 %, Norway East '
            "25.0 % (not round robin: foundry2 and foundry3 have weight 1, foundry1 has weight "
            "2): " + EQUAL
        ],
    ),
    (
        "priorities under weighted",
        at({"regions.0.priority": 0}, routing="weighted"),
        [
            (
                'regions would not be "weighted", but UK South 100.0 %, East US 0.0 %, Norway East '
                "0.0 % (not round robin: foundry2 and foundry3 have priority 1, foundry1 has "
                'priority 0): give every region the same priority, or set routing to "priority"'
            )
        ],
    ),
    ("no models", at({"models": []}), [f"models is an empty list: {LIST_MODELS}"]),
    ("a string for models", at({"models": "chat"}), [f'models is "chat": {LIST_MODELS}']),
    (
        "a deployment twice, but for case",
        at({"models": [CHAT, {**CHAT, "name": "Chat"}]}),
        ['models[1].name is "Chat": models[0] has this name already; give each its own'],
    ),
    (
        "tags that Azure refuses",
        at({"tags": {"a/b": "x", "team": 7, "long": "x" * 257}}),
        [
            "tags.team is 7: write a text of 0 to 256 characters, in quotes",
            f'tags.long is "{"x" * 56}...: write a text of 0 to 256 characters, in quotes',
            'tags names "a/b": a tag\'s name has 1 to 512 characters, and none of < > % & \\ ? /',
        ],
    ),
    (
        "more tags than API Management takes",
        at({"tags": {f"t{n}": "" for n in range(16)}}),
        ["tags has 16 entries: an API Management service takes 15; remove some"],
    ),
    (
        "tags that are a list",
        at({"tags": ["a"]}),
        ['tags is ["a"]: write a mapping of names to texts, as {team: search}'],
    ),
    (
        "a deployment's bad name",
        at({"models.0.name": "chat/1"}),
        [
            (
                'models[0].name is "chat/1": write 1 to 64 letters, digits, `_`, `.` and `-`, '
                "a letter or digit first"
            )
        ],
    ),
    (
        "deployment types that locations have not got",
        at(
            {
                "models": [
                    {**CHAT, "sku": "DataZoneStandard"},
                    {**CHAT, "name": "c", "model": "gpt-5.1", "sku": "Standard"},
                ]
            }
        ),
        [
            (
                'models[0].sku is "DataZoneStandard", which is not offered for gpt-5.4-mini in '
                "uksouth and norwayeast (Microsoft's documentation, April 2026): choose another "
                "type, as GlobalStandard, or other locations"
            ),
            (
                'models[1].sku is "Standard", which is not offered for gpt-5.1 in uksouth and '
                "norwayeast (Microsoft's documentation, April 2026): choose another type, as "
                "GlobalStandard, or other locations"
            ),
        ],
    ),
    (
        "a network that names nobody",
        at({"network": {}}),
        ["network names nobody: write either allowedIps, or endpointSubnet and gatewaySubnet"],
    ),
    (
        "a network of two minds",
        at({"network": {"allowedIps": ["203.0.113.7"], "endpointSubnet": f"{VNET}/e"}}),
        ["network has both: write either allowedIps, or endpointSubnet and gatewaySubnet"],
    ),
    (
        "a network in a word that is none",
        at({"network": "private"}),
        [
            (
                'network is "private": write public, or a mapping with allowedIps, or one with '
                "endpointSubnet and gatewaySubnet"
            )
        ],
    ),
    (
        "addresses that an account's firewall does not take",
        at({"network": {"allowedIps": ["10.1.2.3", "203.0.113.7/32", "::1", 7]}}),
        [
            f"network.allowedIps[{n}] is {value}: write a public IPv4 address, or a range of them "
            "as 198.51.100.0/24"
            for n, value in enumerate(['"10.1.2.3"', '"203.0.113.7/32"', '"::1"', "7"])
        ],
    ),
    (
        "a network without the gateway's subnet, on a tier that reaches none",
        at({"network": {"endpointSubnet": f"{VNET}/e"}, "gateway": {"sku": "BasicV2"}}),
        [
            "network.gatewaySubnet is missing: write the subnet's id",
            (
                'gateway.sku is "BasicV2", and network has subnets: a BasicV2 service reaches no '
                "network; choose Developer or Premium or StandardV2 or PremiumV2"
            ),
        ],
    ),
    (
        "a subnet for a gateway that is there",
        at(
            {
                "network": {"endpointSubnet": f"{VNET}/e", "gatewaySubnet": f"{VNET}/g"},
                "gateway": {"existing": {"resourceGroup": "rg", "serviceName": "apim"}},
            }
        ),
        [
            (
                "network.gatewaySubnet is given: a service that exists keeps its network; leave "
                "the key out, and join it there"
            )
        ],
    ),
    (
        "a network's parts in other words",
        at({"network": {"endpointSubnet": "endpoints", "dnsZone": "/x/privatelink.a.net"}}),
        [
            (
                'network.endpointSubnet is "endpoints": write a subnet\'s id: '
                "/subscriptions/.../virtualNetworks/NAME/subnets/NAME"
            ),
            (
                'network.dnsZone is "/x/privatelink.a.net": write the id of a zone '
                "privatelink.openai.azure.com"
            ),
        ],
    ),
    (
        "addresses behind a Consumption gateway",
        at(
            {
                "network": {"allowedIps": ["203.0.113.7"]},
                "gateway": {"sku": "Consumption"},
                "monitoring": None,
                "breaker": None,
                "streaming": False,
            }
        ),
        [
            (
                'network.allowedIps is ["203.0.113.7"]: a Consumption service has no addresses of '
                "its own; choose another gateway.sku"
            )
        ],
    ),
    (
        "a deployment without model",
        at({"models.0.model": DROP}),
        ["models[0].model is missing: write a model's name, as gpt-5.4-mini"],
    ),
    (
        "a version that YAML took for a date",
        at({"models.0.version": "2026-03-17 00:00:00 +0000 UTC"}),
        [
            (
                'models[0].version is "2026-03-17 00:00:00 +0000 UTC": '
                'write the model\'s version in quotes, as "2026-03-17"'
            )
        ],
    ),
    (
        "a version that YAML took for a number",
        at({"models.0.version": 613}),
        ['models[0].version is 613: write the model\'s version in quotes, as "2026-03-17"'],
    ),
    (
        "a sku that is none",
        at({"models.0.sku": "Global Standard"}),
        ['models[0].sku is "Global Standard": write a deployment type, as GlobalStandard'],
    ),
    ("capacity 0", at({"models.0.capacity": 0}), [f"models[0].capacity is 0: {AT_LEAST_1}"]),
    (
        "no capacity",
        at({"models.0.capacity": DROP}),
        [f"models[0].capacity is missing: {AT_LEAST_1}"],
    ),
    ("a null breaker count", at({"breaker.count": None}), [f"breaker.count is null: {AT_LEAST_1}"]),
    ("a breaker count of 0", at({"breaker.count": 0}), [f"breaker.count is 0: {AT_LEAST_1}"]),
    (
        "a duration that is none",
        at({"breaker.interval": "1 minute"}),
        [f'breaker.interval is "1 minute": {DURATION}'],
    ),
    (
        "a duration without unit",
        at({"breaker.tripDuration": "PT"}),
        [f'breaker.tripDuration is "PT": {DURATION}'],
    ),
    (
        "a duration of nothing",
        at({"breaker.tripDuration": "PT0S"}),
        [f'breaker.tripDuration is "PT0S": {DURATION}'],
    ),
    (
        "minutes before the T",
        at({"breaker.interval": "P1M"}),
        [f'breaker.interval is "P1M": {DURATION}'],
    ),
    (
        "seconds as a number",
        at({"breaker.interval": 60}),
        [f"breaker.interval is 60: {DURATION}"],
    ),
    (
        "yes for true",
        at({"breaker.acceptRetryAfter": "yes"}),
        ['breaker.acceptRetryAfter is "yes": write true or false'],
    ),
    (
        "false for null",
        at({"breaker": False}),
        ["breaker is false: write a mapping of keys to values"],
    ),
    (
        "a breaker and streams on Consumption",
        at({"gateway": {"sku": "Consumption"}}),
        [
            (
                "breaker is on: a Consumption service has none; set it to null, or choose another "
                "gateway.sku"
            ),
            (
                "streaming is on: a Consumption service has none; set it to false, or choose "
                "another gateway.sku"
            ),
            (
                "monitoring is on: a Consumption service has none; set it to null, or choose "
                "another gateway.sku"
            ),
        ],
    ),
    (
        "a backend of a model with a region's name",
        at({"models": models("chat", "embed"), "regions.2.name": "foundry1-embed"}),
        [
            (
                'regions[0].name is "foundry1": "foundry1-embed" has the name of its backend for '
                '"embed"; choose another'
            )
        ],
    ),
    (
        "a pool of a model with a region's name",
        at({"models": models("chat", "embed"), "regions.2.name": "inference-backend-pool-embed"}),
        [
            (
                'regions[2].name is "inference-backend-pool-embed": the pool itself has this '
                "name; choose another"
            )
        ],
    ),
    (
        "a model whose pool's name is too long",
        at({"models": models("chat", "e" * 58)}),
        [
            (
                f'models[1].name is "{"e" * 58}": the name of its pool is 1 longer than the 80 '
                "allowed; shorten it"
            )
        ],
    ),
    (
        "a model and a region whose backend's name is too long",
        at({"models": models("chat", "e" * 40), "regions.2.name": "f" * 40}),
        [
            (
                f'regions[2].name is "{"f" * 40}": the name of its backend for "{"e" * 40}" is 1 '
                "longer than the 80 allowed; shorten either"
            )
        ],
    ),
    (
        "retries without end",
        at({"retries": {"count": 51, "deadline": 0, "repeatUnanswered": 1}}),
        [
            "retries.count is 51: write a whole number from 0 to 10",
            "retries.repeatUnanswered is 1: write true or false",
            "retries.deadline is 0: write a whole number from 1 to 240",
        ],
    ),
    (
        "units on Consumption",
        at({"gateway": {"sku": "Consumption", "capacity": 1}, **BARE}),
        [
            (
                "gateway.capacity is 1: a Consumption service has no units; write 0, or leave the "
                "key out"
            )
        ],
    ),
    *(
        (
            f"more units than {tier} has",
            at({"gateway": {"sku": tier, "capacity": most + 1}}),
            [
                (
                    f"gateway.capacity is {most + 1}: a {tier} service has at most {most}{where}; "
                    "write fewer, or choose another sku"
                )
            ],
        )
        for tier, most, where in (
            ("Developer", 1, ""),
            ("Basic", 2, ""),
            ("Standard", 4, ""),
            ("Premium", 12, " in a region"),
            ("BasicV2", 10, ""),
            ("StandardV2", 10, ""),
            ("PremiumV2", 30, ""),
        )
    ),
    (
        "monitoring that is none",
        at(
            {
                "monitoring": {
                    "workspace": {"resourceGroup": "rg", "name": "-x"},
                    "alertEmails": ["nobody"],
                    "webhook": "ftp://hooks.example.com/secret",
                    "starvedBelow": 1,
                    "ceiling": "0.7",
                    "retentionDays": 7,
                    "webhok": "https://hooks.example.com/secret",
                }
            }
        ),
        [
            ("monitoring.webhok is [secret], but there is no such key: did you mean `webhook`?"),
            f'monitoring.alertEmails[0] is "nobody": {E_MAIL}',
            "monitoring.webhook is [secret]: write the http or https URL that takes alerts",
            f"monitoring.starvedBelow is 1: {A_PART}",
            f'monitoring.ceiling is "0.7": {A_PART}',
            "monitoring.retentionDays is 7: write a whole number from 30 to 730",
            (
                'monitoring.workspace.name is "-x": write the workspace\'s name: 4 to 63 letters, '
                "digits and hyphens, no hyphen first or last"
            ),
        ],
    ),
    (
        "days for a workspace that exists",
        at(
            {
                "monitoring": {
                    "workspace": {"resourceGroup": "rg", "name": "log-team"},
                    "retentionDays": 30,
                }
            }
        ),
        [
            (
                "monitoring.retentionDays is 30: a workspace that exists keeps its own; leave this "
                "key out"
            )
        ],
    ),
    (
        "no units",
        at({"gateway": {"sku": "StandardV2", "capacity": 0}}),
        ["gateway.capacity is 0: a StandardV2 service has at least 1 unit"],
    ),
    (
        "units below zero",
        at({"gateway.capacity": -1}),
        ["gateway.capacity is -1: write a whole number of at least 0"],
    ),
    (
        "an unknown tier",
        at({"gateway.sku": "Basicv2"}),
        [
            (
                'gateway.sku is "Basicv2": write one of Consumption, Developer, Basic, Standard, '
                "Premium, BasicV2, StandardV2, PremiumV2"
            )
        ],
    ),
    (
        "a null gateway",
        at({"gateway": None}),
        ["gateway is null: write a mapping of keys to values"],
    ),
    (
        "no publisher",
        at({"gateway.publisherName": " "}),
        ['gateway.publisherName is " ": write a name of 1 to 100 characters'],
    ),
    (
        "a publisher's name too long",
        at({"gateway.publisherName": "p" * 101}),
        [f'gateway.publisherName is "{"p" * 56}...: write a name of 1 to 100 characters'],
    ),
    *(
        (
            f"the e-mail address {address}",
            at({"gateway.publisherEmail": address}),
            [f'gateway.publisherEmail is "{address}": {E_MAIL}'],
        )
        for address in ("me", "me@", "me@localhost", "@example.com", "a b@example.com", "a@b..com")
    ),
    (
        "an e-mail address too long",
        at({"gateway.publisherEmail": f"{'m' * 89}@example.com"}),
        [f'gateway.publisherEmail is "{"m" * 56}...: {E_MAIL}'],
    ),
    (
        "a gateway's location that is none",
        at({"gateway.location": ""}),
        [f'gateway.location is "": {PLACE}'],
    ),
    (
        "a service that exists, and what it has already",
        at({"gateway": {"existing": SERVICE, "sku": "Basic", "location": "uksouth"}}),
        [
            f'gateway.sku is "Basic": {KEEPS_ITS_OWN}',
            f'gateway.location is "uksouth": {KEEPS_ITS_OWN}',
        ],
    ),
    (
        "a service that exists, with a key misspelt, one missing and one wrong",
        at({"gateway": {"existing": {"resourcegroup": "rg", "serviceName": "apim_1"}}}),
        [
            (
                'gateway.existing.resourcegroup is "rg", but there is no such key: '
                "did you mean `resourceGroup`?"
            ),
            f"gateway.existing.resourceGroup is missing: {GROUP}",
            f'gateway.existing.serviceName is "apim_1": {SERVICE_NAME}',
        ],
    ),
    (
        "a group's name that ends in a dot, and a service's name too long",
        at({"gateway": {"existing": {"resourceGroup": "rg.", "serviceName": "a" * 51}}}),
        [
            f'gateway.existing.resourceGroup is "rg.": {GROUP}',
            f'gateway.existing.serviceName is "{"a" * 51}": {SERVICE_NAME}',
        ],
    ),
    (
        "an account that exists, by name alone",
        at({"regions.1.existing": "foundry"}),
        ['regions[1].existing is "foundry": write a mapping of keys to values'],
    ),
    (
        "an account that exists, with an empty mapping",
        at({"regions.1.existing": {}}),
        [
            f"regions[1].existing.resourceGroup is missing: {GROUP}",
            f"regions[1].existing.accountName is missing: {ACCOUNT}",
        ],
    ),
    (
        "an account that exists, and a key too many",
        at({"regions.0.existing": {"resourceGroup": "rg", "accountName": "a", "sku": "S0"}}),
        [
            (
                'regions[0].existing.sku is "S0", but there is no such key: '
                "the keys are resourceGroup, accountName"
            ),
            f'regions[0].existing.accountName is "a": {ACCOUNT}',
        ],
    ),
    *(
        (
            f"the suffix {suffix}",
            at({"resourceSuffix": suffix}),
            [f'resourceSuffix is "{suffix}": {SUFFIX}'],
        )
        for suffix in ("Dev", "dev_1", "dev.1", "-dev", "dev-", "é", "s" * 46)
    ),
    (
        "a suffix that makes a subdomain too long",
        at({"regions.1.name": "f" * 28, "resourceSuffix": "s" * 35}),
        [
            (
                f'regions[1].name is "{"f" * 28}": with a resourceSuffix of 35 characters the '
                "account's subdomain is 1 longer than the 63 allowed; shorten either"
            )
        ],
    ),
    (
        "a word for true",
        at({"revealBackend": "on"}),
        ['revealBackend is "on": write true or false'],
    ),
    (
        "an api-version that YAML has read as a date",
        at({"apiVersion": "2024-10-21T00:00:00Z"}),
        [f'apiVersion is "2024-10-21T00:00:00Z": {API_VERSION}'],
    ),
    (
        "a made-up api-version",
        at({"apiVersion": "2024-10-21-beta"}),
        [f'apiVersion is "2024-10-21-beta": {API_VERSION}'],
    ),
    (
        "a word for whether the key is exported",
        at({"exportKey": "no"}),
        ['exportKey is "no": write true or false'],
    ),
    (
        "many mistakes at once",
        at(
            {
                "regions.0.name": "A",
                "regions.1.weight": 0,
                "regions.2.location": DROP,
                "models.0.capacity": 0,
                "gateway.sku": "Free",
                "breaker.interval": "soon",
                "routng": "priority",
                "revealBackend": 1,
            }
        ),
        [
            'routng is "priority", but there is no such key: did you mean `routing`?',
            "revealBackend is 1: write true or false",
            f'regions[0].name is "A": {NAME}',
            f"regions[1].weight is 0: {WEIGHT_0}",
            f"regions[2].location is missing: {PLACE}",
            f"models[0].capacity is 0: {AT_LEAST_1}",
            (
                'gateway.sku is "Free": write one of Consumption, Developer, Basic, Standard, '
                "Premium, BasicV2, StandardV2, PremiumV2"
            ),
            f'breaker.interval is "soon": {DURATION}',
        ],
    ),
]
