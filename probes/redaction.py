"""Takes secrets out of what is shown to others."""

import os
import re
from typing import Final

_SECRET_NAMES: Final = re.compile(r"TOKEN|SECRET|PASS|KEY|CREDENTIAL|CONNECTION", re.IGNORECASE)
_IN_URLS: Final = re.compile(r"(?<=://)[^\s/@]+@|\b(?:sig|code|access_token)=[^\s&\"']+")


def redacted(text: str) -> str:
    """Return a text without the secrets that this machine's environment has."""
    for name, value in os.environ.items():
        if _SECRET_NAMES.search(name) and len(value) > 7:
            text = text.replace(value, "[secret]")
    return _IN_URLS.sub("[secret]", text)
