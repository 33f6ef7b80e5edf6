"""What every table shares: the declarative base, naming convention and column types."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from sqlalchemy import BigInteger, DateTime, MetaData, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

Json = dict[str, Any]

Id = Annotated[str, mapped_column(Text(collation="C"))]
"""A prefixed, sortable id (``kit.ids``); compared bytewise."""
PrimaryId = Annotated[str, mapped_column(Text(collation="C"), primary_key=True)]
Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]
"""A UTC moment (``timestamptz``)."""
Count = Annotated[int, mapped_column(BigInteger)]


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {str: Text, Json: JSONB, datetime: DateTime(timezone=True)}  # noqa: RUF012
