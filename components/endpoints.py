"""Moved to `components/resource_manager.py`."""

from components.resource_manager import PUBLIC_AZURE, connection, is_loopback

__all__ = ["PUBLIC_AZURE", "connection", "is_loopback"]
