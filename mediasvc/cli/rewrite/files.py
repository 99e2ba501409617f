"""Runs a batch over files and folders, with progress and a report."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import click

from mediasvc import wiring
from mediasvc.batch.options import Options
from mediasvc.batch.report import ReportFile
from mediasvc.batch.run import Batch
from mediasvc.batch.scan import Plan, check
from mediasvc.batch.totals import Totals
from mediasvc.batch.tree import Copied, copy_tree
from mediasvc.cli.context import counted, printable
from mediasvc.cli.rewrite.progress import Failures, Progress
from mediasvc.cli.rewrite.work import open_work
from mediasvc.config.settings import Settings
from mediasvc.effects.disk import files
from mediasvc.effects.locks import Locks
from mediasvc.engines import event_loop
from mediasvc.startup import keep_what_is_loaded

_WAIT_REPORTED_AFTER_S = 1.0
_COPIES_A_STEP = 64


def rewrite_all(
    settings: Settings, options: Options, wheres: list[Plan], report: Path | None, *, articles_only: bool
) -> int:
    """Rewrites every article of some plans. Returns the exit code. Raises InvalidRequest, StoreFailed.

    articles_only: with --out, do not copy the files that are no articles.
    """
    for where in wheres:
        files.check_writable(where.root)
        files.check_folder(where.assets)
    totals = Totals(expected=sum(check(where) for where in wheres))
    event_loop.report()
    copied = None if articles_only else Copied()
    return event_loop.run(_rewrite_all(settings, options, wheres, report, totals, copied))


async def _rewrite_all(
    settings: Settings,
    options: Options,
    wheres: list[Plan],
    report: Path | None,
    totals: Totals,
    copied: Copied | None,
) -> int:
    began = datetime.now(UTC)
    keep_what_is_loaded()
    progress = Progress(sys.stderr)
    async with wiring.open_records(settings) as records, open_work(settings, records) as work:
        # Only now: until the run begins, an earlier report of this name is the undo record of the files.
        report_file = ReportFile(report) if report else None
        try:
            with progress:
                for where in wheres:
                    batch = Batch(
                        where=where,
                        options=options,
                        index=records.index,
                        journal=records.journal,
                        run_chunk=work.run_chunk,
                        find_blob=work.find_blob,
                        report_file=report_file,
                        totals=totals,
                        began=began,
                        on_progress=progress.update,
                        on_failure=Failures(progress, report),
                        store=wiring.store_name(settings),
                        kept_in=[settings.data_dir],
                    )
                    async with _turn(records.turns, where, progress):
                        await batch.run()
                    if copied is not None and not where.in_place:
                        await _copy_tree(where, copied)
        finally:
            if report_file is not None:
                report_file.close()
    for error in copied.failures if copied is not None else ():
        totals.note(error.exit_code)
        click.echo(printable(f"mediasvc: {error}"), err=True)
    _say_totals(totals, wheres, copied)
    return totals.exit_code


async def _copy_tree(where: Plan, copied: Copied) -> None:
    """Copies in threads, a few files at a time, so that Ctrl-C does not wait for all of them."""
    steps = copy_tree(where, copied)
    while await asyncio.to_thread(lambda: sum(1 for _ in islice(steps, _COPIES_A_STEP))):
        pass


@asynccontextmanager
async def _turn(turns: Locks, where: Plan, progress: Progress) -> AsyncIterator[None]:
    """Makes runs in place over one folder wait for each other: both would change the same articles."""
    if not where.in_place:
        yield
        return
    line = f"mediasvc: another run is rewriting {files.shown(where.root)}; waiting for it to end"
    notice = asyncio.get_running_loop().call_later(_WAIT_REPORTED_AFTER_S, progress.say, line)
    try:
        async with turns.lock(f"run:{os.path.realpath(where.root)}"):
            notice.cancel()
            yield
    finally:
        notice.cancel()


def _say_totals(totals: Totals, wheres: list[Plan], copied: Copied | None) -> None:
    done = f"{totals.rewritten} rewritten, {totals.unchanged} unchanged"
    parts = [f"{counted(totals.articles, 'article')}: {done}"]
    if totals.known:
        parts.append(f"{totals.known} of them done before")
    folders = ", ".join(str(where.assets) for where in wheres[:3])
    parts.append(f"{counted(totals.images, 'image')} localised in {folders}")
    if totals.images_failed:
        whose = "its" if totals.images_failed == 1 else "their"
        parts.append(f"{counted(totals.images_failed, 'image')} failed and kept {whose} address")
    if totals.images_left:
        parts.append(
            f"{counted(totals.images_left, 'picture')} elsewhere left, each with a reason in the report"
        )
    if totals.failed:
        parts.append(f"{counted(totals.failed, 'article')} failed")
    if copied is not None and copied.count:
        parts.append(f"{counted(copied.count, 'other file')} copied")
    if copied is not None and copied.failed:
        parts.append(f"{counted(copied.failed, 'other file')} not copied")
    click.echo("; ".join(parts), err=True)
