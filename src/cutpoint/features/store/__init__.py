"""Features on disk: immutable safetensors shards and an SQLite catalog (see ``FORMAT.md``)."""

from cutpoint.features.store.features import CHUNK_ROWS, Features
from cutpoint.features.store.shard import Receipt
from cutpoint.features.store.store import DataSet, FeatureStore
from cutpoint.features.store.verify import (
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
