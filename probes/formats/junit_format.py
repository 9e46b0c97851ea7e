"""The report as JUnit XML: one test case a criterion."""

import xml.etree.ElementTree as ET

from probes.report import Criterion, Report

_KINDS = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def render(report: Report) -> str:
    """Return the suite; a criterion nobody could decide is an error, one not required skipped."""
    passed = {"balanced": True, "imbalanced": False, "inconclusive": None}[report.verdict]
    verdict = Criterion(name="verdict", passed=passed, required=True, detail=report.sentence)
    suite = ET.Element("testsuite", name="traffic distribution")
    suite.extend(map(_case, (*report.criteria, verdict)))
    suite.set("tests", str(len(suite)))
    for attribute, kind in _KINDS.items():
        suite.set(attribute, str(len(suite.findall(f"testcase/{kind}"))))
    suite.set("time", f"{report.duration:.3f}")
    suite.set("timestamp", report.started.strftime("%Y-%m-%dT%H:%M:%S"))
    ET.indent(suite)
    text = ET.tostring(suite, encoding="unicode", short_empty_elements=True)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _case(criterion: Criterion) -> ET.Element:
    case = ET.Element("testcase", classname="distribution", name=criterion.name)
    if criterion.passed:
        ET.SubElement(case, "system-out").text = criterion.detail
    else:
        kind = "error" if criterion.passed is None else "failure"
        ET.SubElement(case, kind if criterion.required else "skipped", message=criterion.detail)
    return case
