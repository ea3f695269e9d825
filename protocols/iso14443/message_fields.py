"""Where `Fields` was before other protocols used it too."""

from protocols.message_fields import Fields

__all__ = ["Fields"]
