"""Processes that judge folds. Owns their life; knows nothing of trials.

LightGBM runs on one thread, so that the workers never wait for each other; each bins a fold once and
keeps it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType

from churnml.errors import ChurnmlError
from churnml.training.params import FitParams
from churnml.training.tune_folds import Bench, Folds, FoldTold

_bench: Bench | None = None


class Crew:
    """`size` processes that judge folds at the same time; for one, this process does it itself."""

    def __init__(self, folds: Folds, seed: int, size: int):
        self.size = max(1, size)
        self._bench: Bench | None = None
        self._pool: ProcessPoolExecutor | None = None
        if self.size == 1:
            self._bench = Bench(folds, seed)
        else:
            # Not forked: threads of LightGBM or DuckDB would be missing in the copy, their locks not.
            self._pool = ProcessPoolExecutor(
                self.size, multiprocessing.get_context("spawn"), _begin, (folds, seed)
            )

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def judge(self, fold: int, params: FitParams) -> Future[FoldTold]:
        """Begin to judge a fold. Raises: ChurnmlError if a worker has died."""
        if self._pool is None:
            assert self._bench is not None
            done: Future[FoldTold] = Future()
            done.set_result(self._bench.judge(fold, params))
            return done
        try:
            return self._pool.submit(_judge, fold, params)
        except BrokenProcessPool:
            raise _died() from None

    def wait(self, running: Iterable[Future[FoldTold]]) -> list[Future[FoldTold]]:
        """Those that are done, as soon as one is. Raises: ChurnmlError if a worker has died."""
        done = list(wait(list(running), return_when=FIRST_COMPLETED).done)
        for future in done:
            if isinstance(future.exception(), BrokenProcessPool):
                raise _died() from None
        return done


def _died() -> ChurnmlError:
    return ChurnmlError(
        "tune: a worker process was killed, perhaps for want of memory. Expected room for the binned "
        "folds in each. Set CHURNML_WORKERS=1, or free memory, and run it again: the trials that were "
        "done are kept."
    )


def _begin(folds: Folds, seed: int) -> None:
    global _bench
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told too, and ends its workers
    _bench = Bench(folds, seed)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    # A killed parent says nothing, and its workers would wait for work for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _judge(fold: int, params: FitParams) -> FoldTold:
    assert _bench is not None
    return _bench.judge(fold, params)
