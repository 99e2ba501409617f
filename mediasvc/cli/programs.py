"""What the commands run; each name is loaded when it is first used, so that `--help` loads none of it."""

from typing import TYPE_CHECKING

from mediasvc.startup import lazy_names

if TYPE_CHECKING:
    from mediasvc.batch.report import read_report as read_report
    from mediasvc.batch.report_page import make_page as make_page
    from mediasvc.batch.restore import restore as restore
    from mediasvc.batch.rewriting import rewrite_chunk as rewrite_chunk
    from mediasvc.cli.rewrite.bar import Bar as Bar
    from mediasvc.cli.rewrite.files import rewrite_all as rewrite_all
    from mediasvc.cli.rewrite.preview import Look as Look
    from mediasvc.cli.rewrite.preview import preview_all as preview_all
    from mediasvc.cli.rewrite.stdin import rewrite_stdin as rewrite_stdin
    from mediasvc.cli.warming import warm_all as warm_all
    from mediasvc.core.addresses.urls import normalise as normalise
    from mediasvc.demo.run import demo_settings as demo_settings
    from mediasvc.demo.run import origin_in_background as origin_in_background
    from mediasvc.demo.run import run_demo as run_demo
    from mediasvc.queue_worker import work as work
    from mediasvc.server.processes.launch import serve as serve
    from mediasvc.server.routes.image_options import Guard as Guard
else:
    __getattr__ = lazy_names(
        globals(),
        {
            "mediasvc.batch.report": ["read_report"],
            "mediasvc.batch.report_page": ["make_page"],
            "mediasvc.batch.restore": ["restore"],
            "mediasvc.batch.rewriting": ["rewrite_chunk"],
            "mediasvc.cli.rewrite.bar": ["Bar"],
            "mediasvc.cli.rewrite.files": ["rewrite_all"],
            "mediasvc.cli.rewrite.preview": ["Look", "preview_all"],
            "mediasvc.cli.rewrite.stdin": ["rewrite_stdin"],
            "mediasvc.cli.warming": ["warm_all"],
            "mediasvc.core.addresses.urls": ["normalise"],
            "mediasvc.demo.run": ["demo_settings", "origin_in_background", "run_demo"],
            "mediasvc.queue_worker": ["work"],
            "mediasvc.server.processes.launch": ["serve"],
            "mediasvc.server.routes.image_options": ["Guard"],
        },
    )
