"""Why a configuration can't be served on Lambda: it would be unsafe, or lose what it is told."""

from __future__ import annotations

from trunkline.configuration import unguarded
from trunkline.settings import Settings

from .settings import ApiSettings

_EPHEMERAL = (
    "the configuration has accounts but no general_settings.database_url (DATABASE_URL): keys and"
    " spend would be known to one environment of the function alone, and end with it. Name a"
    " PostgreSQL, or set TRUNKLINE_EPHEMERAL=true to try it without"
)


def refusal(settings: Settings, told: ApiSettings) -> str | None:
    """None for a configuration that can be served."""
    if open_to_all := unguarded(settings):
        return open_to_all
    general = settings.general_settings
    if general.charges and not _is_lasting(general.database_url) and not told.ephemeral:
        return _EPHEMERAL
    return None


def _is_lasting(database_url: str | None) -> bool:
    return bool(database_url) and not str(database_url).startswith("sqlite")
