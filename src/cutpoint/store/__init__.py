"""Features on disk: immutable safetensors shards and an SQLite catalog (see ``FORMAT.md``)."""

from cutpoint.store.features import CHUNK_ROWS, Features
from cutpoint.store.shard import Receipt
from cutpoint.store.store import DataSet, FeatureStore
from cutpoint.store.verify import (
    Report,
    describe_store,
    mend_store,
    rebuild_catalog,
    verify_store,
)

__all__ = [
    "CHUNK_ROWS",
    "DataSet",
    "FeatureStore",
    "Features",
    "Receipt",
    "Report",
    "describe_store",
    "mend_store",
    "rebuild_catalog",
    "verify_store",
]
