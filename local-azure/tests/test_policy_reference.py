from docs.policy_reference import DOCUMENT, filled


def test_the_document_says_what_the_interpreter_covers():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == filled(text), "run: python docs/policy_reference.py"
