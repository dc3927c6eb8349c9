"""Room for decoded pictures, shared by all threads of the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Lock

PIXELS_AT_ONCE = 128_000_000
"""Ten photos of 12 megapixels, or one of 100 and a few small ones. A pixel is held in 4 bytes, in
8 where it is converted or turned: 0.5 to 1 GB, however many workers and predictors there are."""


class Room:
    """Pixels that may be held at a time; who wants more waits, first come, first served.

    Parameters
    ----------
    n_pixels : int
    """

    def __init__(self, n_pixels: int) -> None:
        self.n_pixels = n_pixels
        self.n_taken = 0
        self._turn = Lock()
        self._changed = Condition()

    @contextmanager
    def taken(self, n_pixels: int) -> Iterator[None]:
        """Hold room for a picture. One that is larger than all there is is held alone."""
        wanted = min(n_pixels, self.n_pixels)
        # The turn is kept while waiting, so that small pictures don't overtake a large one.
        with self._turn, self._changed:
            self._changed.wait_for(lambda: self.n_taken + wanted <= self.n_pixels)
            self.n_taken += wanted
        try:
            yield
        finally:
            with self._changed:
                self.n_taken -= wanted
                self._changed.notify_all()


DECODING = Room(PIXELS_AT_ONCE)
