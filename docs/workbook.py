"""Draw the workbook as far as that can be done without a portal: `make docs` writes workbook.svg.

The document is the program's own, its queries run over two days of made-up rows in which a region
falls silent, and each item is drawn as what it asks to be shown as: tiles, areas, lines, bars.
Colours, places and sizes are ours; the portal's are other ones.
"""

import json
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).parents[1]
sys.path[0] = str(ROOT)

from components import queries, workbook  # noqa: E402 - a script finds the repository first
from components.contract import Backend  # noqa: E402
from local_azure.monitor import kql  # noqa: E402
from local_azure.monitor.rows import Rows  # noqa: E402
from local_azure.monitor.tables import GATEWAY_LOGS, LLM_LOG  # noqa: E402

PICTURE: Final = ROOT / "docs" / "workbook.svg"
SERVICE: Final = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ApiManagement/service/apim"
REGIONS: Final = (("foundry1", "UK South"), ("foundry2", "East US"), ("foundry3", "Norway East"))
END: Final = datetime(2027, 1, 3, tzinfo=UTC).timestamp()
HOURS: Final = 48
SILENT_SINCE: Final = 18  # hours before the end, of the last region
COLOURS: Final = ("#0969da", "#bf8700", "#1a7f37", "#8250df", "#cf222e", "#59636e")
WIDTH, TALL, LEFT, TOP = 860, 120, 60, 40


def backends() -> list[Backend[str]]:
    """Return the dev stack's."""
    return [
        Backend(
            id=name,
            location=region.lower().replace(" ", ""),
            region=region,
            url=f"https://{name}-x.openai.azure.com/openai",
            priority=1,
            weight=1,
        )
        for name, region in REGIONS
    ]


def write(rows: Rows) -> None:
    """Write two days of traffic: nights are quiet, and one region falls silent."""
    chance = random.Random(1)  # noqa: S311 - the same picture each time
    for hour in range(HOURS, 0, -1):
        busy = 40 if 7 <= (24 - hour) % 24 < 19 else 12
        for number in range(busy):
            names = [name for name, _ in REGIONS]
            if hour <= SILENT_SINCE:
                names.pop()
            name = names[number % len(names)]
            status = chance.choices((200, 429, 500), (96, 3, 1))[0]
            moment = datetime.fromtimestamp(END - (hour - number / busy) * 3600, UTC)
            every = {
                "TimeGenerated": moment.replace(tzinfo=None).isoformat(),
                "_ResourceId": SERVICE,
                "CorrelationId": f"{hour}-{number}",
                "ApiId": "inference",
            }
            attempts = 1 + (chance.random() < (0.3 if hour <= SILENT_SINCE else 0.02))
            row = {
                "BackendUrl": f"https://{name}-x.openai.azure.com/openai/v1/chat/completions",
                "ResponseCode": status,
                "BackendTime": chance.randint(600, 1400),
                "ResponseHeaders": {"x-backend-attempts": str(attempts)},
            }
            rows.append("w", GATEWAY_LOGS, {**every, **row})
            if status == 200:
                rows.append("w", LLM_LOG, {**every, "TotalTokens": chance.randint(50, 400)})


def main() -> None:
    """Run the workbook's queries and draw what they give."""
    filled = {
        name: queries.fill(
            name,
            service=SERVICE,
            backends=backends(),
            starved_below=0.25,
            ceiling=0.7,
            grain=workbook.GRAIN,
        )
        for name in workbook.QUERIES
    }
    text = workbook.serialized(
        filled, "workspace", expected="a third each", then="python probes/distribution.py"
    )
    parts: list[str] = []
    y = 20
    with tempfile.TemporaryDirectory() as folder:
        rows = Rows(Path(folder))
        write(rows)
        files = {table: rows.files("w", table) for table in (GATEWAY_LOGS, LLM_LOG)}
        for item in json.loads(text)["items"]:
            drawn, height = draw(item, files, y)
            parts += drawn
            y += height
        rows.close()
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img"'
    style = "<style>svg{font:13px system-ui,sans-serif} .m{fill:#59636e}</style>"
    page = f'<rect width="{WIDTH}" height="{y}" fill="#fff"/>'
    svg = "\n".join([f'{head} aria-label="The workbook">', style, page, *parts, "</svg>\n"])
    PICTURE.write_text(svg, encoding="utf-8")


def draw(
    item: Mapping[str, Any], files: Mapping[str, Sequence[Path]], y: int
) -> tuple[list[str], int]:
    """Return an item drawn from `y` on, and its height."""
    content = item["content"]
    if "json" in content:
        lines = content["json"].replace("#", "").replace("*", "").strip().splitlines()
        return [_text(20, y + 20 * n, line.strip()) for n, line in enumerate(lines, 1)], 60
    if "query" not in content:
        return [], 0
    hours = content.get("timeContext", {}).get("durationMs", HOURS * 3_600_000) / 3_600_000
    query = content["query"].replace(workbook.GRAIN, "1h")
    found = kql.run(query, files, start=END - hours * 3600, end=END).records()
    title = _text(20, y + 24, content["title"])
    if content["visualization"] == "tiles":
        return [title, *_tiles(found, content["tileSettings"], y + 34)], 110
    return [title, *_chart(found, content["chartSettings"], content["visualization"], y)], 200


def _tiles(found: Sequence[Mapping[str, Any]], settings: Mapping[str, Any], y: int) -> list[str]:
    drawn = []
    for number, row in enumerate(found):
        x = 20 + number * 270
        verdict = row[settings["subtitleContent"]["columnMatch"]]
        colour = "#cf222e" if verdict.isupper() else "#d1d9e0"
        drawn.append(
            f'<rect x="{x}" y="{y}" width="250" height="64" fill="none" stroke="{colour}"/>'
        )
        share = row[settings["leftContent"]["columnMatch"]]
        expected = row[settings["secondaryContent"]["columnMatch"]]
        drawn += [
            _text(x + 10, y + 18, row[settings["titleContent"]["columnMatch"]]),
            _text(x + 10, y + 38, f"{share} %, expected {expected}"),
            _text(x + 10, y + 56, verdict),
        ]
    return drawn


def _chart(
    found: Sequence[Mapping[str, Any]], settings: Mapping[str, Any], kind: str, y: int
) -> list[str]:
    (column,) = settings["yAxis"]
    group = settings.get("group")
    series: dict[str, list[tuple[float, float]]] = {}
    for row in found:
        moment = datetime.fromisoformat(row[settings["xAxis"]]).timestamp()
        series.setdefault(str(row[group]) if group else column, []).append((moment, row[column]))
    most = max((value for points in series.values() for _, value in points), default=1) or 1
    bottom, span = y + TOP + TALL, WIDTH - LEFT - 20

    def at(moment: float, value: float) -> tuple[float, float]:
        x = LEFT + span * (1 - (END - moment) / (HOURS * 3600))
        return x, bottom - TALL * value / most

    drawn = [
        f'<path d="M{LEFT} {bottom}h{span}" stroke="#d1d9e0"/>',
        _text(20, y + TOP + 10, f"{most:g}", muted=True),
        _text(20, bottom, "0", muted=True),
    ]
    for number, (name, points) in enumerate(sorted(series.items())):
        colour = COLOURS[number % len(COLOURS)]
        line, place = divmod(number, 3)
        drawn.append(_text(LEFT + place * 260, bottom + 18 + 16 * line, f"■ {name}", colour=colour))
        for (x1, y1), (x2, y2) in pairwise(at(*point) for point in sorted(points)):
            if kind == "unstackedbar":
                drawn.append(f'<path d="M{x1:.0f} {bottom}V{y1:.0f}" stroke="{colour}"/>')
            else:
                drawn.append(f'<path d="M{x1:.0f} {y1:.0f}L{x2:.0f} {y2:.0f}" stroke="{colour}"/>')
    return drawn


def _text(x: float, y: float, text: object, *, muted: bool = False, colour: str = "") -> str:
    style = ' class="m"' if muted else f' fill="{colour}"' if colour else ""
    return f'<text x="{x}" y="{y}"{style}>{escape(str(text))}</text>'


if __name__ == "__main__":
    main()
