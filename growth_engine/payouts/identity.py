"""What a recipient must show before money leaves; checks are found by file name.

A check lives in ``identity_<name>.py`` of any slice and registers itself with ``add``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from growth_engine.kit import discovery

if TYPE_CHECKING:
    from marshmallow import Schema

    from growth_engine.context import Ctx


class IdentityCheck(Protocol):
    """Decides what is kept of what a recipient tells about themselves."""

    name: str
    title: str
    """Message id."""

    @property
    def form(self) -> type[Schema]:
        """What is asked; draws the form of the phone page."""
        ...

    def recipient(self, ctx: Ctx, contact_id: str, told: Mapping[str, Any]) -> dict[str, Any]:
        """What the provider needs to find the recipient, from what they told in the shape of ``form``.

        Keep as little as will do. A check against somebody else's register may take its time here: no
        money is set aside yet. Raises ``Invalid`` naming the field.
        """
        ...


def _load() -> None:
    discovery.find("identity_*")


registry: discovery.Registry[IdentityCheck] = discovery.Registry("identity check", _load)


def add(check: IdentityCheck) -> None:
    registry.add(check.name, check)
