"""Arrays kept in memory by number, up to a limit."""

import threading

import numpy as np


class Kept(dict[int, np.ndarray]):
    """What was offered first, until it takes `limit` bytes; nothing is ever dropped for something else.

    Of windows that are drawn at random, or each once before any again, those read long ago are as likely to come next
    as those read just now. Safe from several threads at once.
    """

    def __init__(self, limit: float):
        super().__init__()
        self._room, self._lock = limit, threading.Lock()

    def offer(self, number: int, array: np.ndarray) -> None:
        """Keep a copy if there is room."""
        with self._lock:
            if number not in self and array.nbytes <= self._room:
                self._room -= array.nbytes
                self[number] = array.copy()
