"""Picks concrete parts and joins them; doors take everything from here, each name loaded when it is first
used.
"""

from typing import TYPE_CHECKING

from mediasvc.startup import lazy_names

if TYPE_CHECKING:
    from mediasvc.config.policies import find_problems as find_problems
    from mediasvc.config.policies import make_addresses as make_addresses
    from mediasvc.effects.blobs.file_store import FileBlobs as FileBlobs
    from mediasvc.effects.blobs.fronted import FrontedBlobs as FrontedBlobs
    from mediasvc.effects.blobs.object_store import open_object_store as open_object_store
    from mediasvc.effects.index.redis import RedisIndex as RedisIndex
    from mediasvc.effects.locks.redis import RedisLocks as RedisLocks
    from mediasvc.effects.machine import share_one_heap as share_one_heap
    from mediasvc.effects.queue import AskingSide as AskingSide
    from mediasvc.engines.redis import RedisLink as RedisLink
    from mediasvc.wiring.engine_names import describe_engines as describe_engines
    from mediasvc.wiring.parts import Parts as Parts
    from mediasvc.wiring.parts import open_parts as open_parts
    from mediasvc.wiring.records import Records as Records
    from mediasvc.wiring.records import fetch_fingerprint as fetch_fingerprint
    from mediasvc.wiring.records import open_local_blobs as open_local_blobs
    from mediasvc.wiring.records import open_records as open_records
    from mediasvc.wiring.records import store_name as store_name
else:
    __getattr__ = lazy_names(
        globals(),
        {
            "mediasvc.config.policies": ["find_problems", "make_addresses"],
            "mediasvc.effects.blobs.file_store": ["FileBlobs"],
            "mediasvc.effects.blobs.fronted": ["FrontedBlobs"],
            "mediasvc.effects.blobs.object_store": ["open_object_store"],
            "mediasvc.effects.index.redis": ["RedisIndex"],
            "mediasvc.effects.locks.redis": ["RedisLocks"],
            "mediasvc.effects.machine": ["share_one_heap"],
            "mediasvc.effects.queue": ["AskingSide"],
            "mediasvc.engines.redis": ["RedisLink"],
            "mediasvc.wiring.engine_names": ["describe_engines"],
            "mediasvc.wiring.parts": ["Parts", "open_parts"],
            "mediasvc.wiring.records": [
                "Records",
                "fetch_fingerprint",
                "open_local_blobs",
                "open_records",
                "store_name",
            ],
        },
    )
