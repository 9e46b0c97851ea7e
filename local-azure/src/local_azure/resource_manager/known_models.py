"""The models that can be deployed, with their versions.

Source: Azure OpenAI, "Model retirement schedule" of 2026-08-26: those that chat or embed.
"""

from collections.abc import Mapping
from typing import Final

READ_ON: Final = "2026-08-26"
# The first version is the one that is deployed where none is named. ? Azure's own default differs
# from model to model.
VERSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "gpt-4.1": ("2025-04-14",),
    "gpt-4.1-mini": ("2025-04-14",),
    "gpt-4.1-nano": ("2025-04-14",),
    "gpt-4o": ("2024-11-20", "2024-08-06"),
    "gpt-4o-mini": ("2024-07-18",),
    "gpt-5": ("2025-08-07",),
    "gpt-5-mini": ("2025-08-07",),
    "gpt-5-nano": ("2025-08-07",),
    "gpt-5-pro": ("2025-10-06",),
    "gpt-5.1": ("2025-11-13",),
    "gpt-5.2": ("2025-12-11",),
    "gpt-5.4": ("2026-03-05",),
    "gpt-5.4-mini": ("2026-03-17",),
    "gpt-5.4-nano": ("2026-03-17",),
    "gpt-5.4-pro": ("2026-03-05",),
    "gpt-5.5": ("2026-04-24",),
    "o3": ("2025-04-16",),
    "o3-mini": ("2025-01-31",),
    "o4-mini": ("2025-04-16",),
    "text-embedding-3-large": ("1",),
    "text-embedding-3-small": ("1",),
    "text-embedding-ada-002": ("2", "1"),
}
