"""The report as JUnit XML: one test case a criterion."""

import xml.etree.ElementTree as ET

from probes.report import Report


def render(report: Report) -> str:
    """Return the suite; a criterion nobody could decide is an error, one not required skipped."""
    cases = [_case(c.name, c.detail, passed=c.passed, required=c.required) for c in report.criteria]
    passed = {"balanced": True, "imbalanced": False, "inconclusive": None}[report.verdict]
    cases.append(_case("verdict", report.sentence, passed=passed, required=True))
    suite = ET.Element(
        "testsuite",
        name="traffic distribution",
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors=str(sum(case.find("error") is not None for case in cases)),
        skipped=str(sum(case.find("skipped") is not None for case in cases)),
        time=f"{report.duration:.3f}",
        timestamp=report.started.strftime("%Y-%m-%dT%H:%M:%S"),
    )
    suite.extend(cases)
    ET.indent(suite)
    text = ET.tostring(suite, encoding="unicode", short_empty_elements=True)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _case(name: str, detail: str, *, passed: bool | None, required: bool) -> ET.Element:
    case = ET.Element("testcase", classname="distribution", name=name)
    if passed:
        ET.SubElement(case, "system-out").text = detail
    elif not required:
        ET.SubElement(case, "skipped", message=detail)
    else:
        ET.SubElement(case, "error" if passed is None else "failure", message=detail)
    return case
