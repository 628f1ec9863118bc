"""The pytest option ``--cnnzoo-conformance NAME``: the zoo's own checks, for names you choose.

pytest finds this file by the entry point ``pytest11`` wherever cnnzoo is installed. Without the
option it does nothing and imports nothing but itself.

Given on the command line without a path, the option is all that runs. With a path, or in
``addopts`` of a project, its checks come after the other tests.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

_OPTION = "--cnnzoo-conformance"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("cnnzoo").addoption(
        _OPTION,
        action="append",
        default=[],
        metavar="NAME",
        dest="cnnzoo_conformance",
        help=(
            "run cnnzoo's checks of models, layers and data sets on NAME: a registered name, a "
            "pattern, 'package:' for all that a plugin registers; several with commas. Without a "
            "path, nothing else runs."
        ),
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Run the checks alone where the option was typed without a path."""
    if not config.option.cnnzoo_conformance:
        return
    typed = any(str(each).startswith(_OPTION) for each in config.invocation_params.args)
    if typed and config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.option.cnnzoo_alone = True  # in the options, so that other processes know it too
    if getattr(config.option, "cnnzoo_alone", False):
        config.args = []


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what is checked."""
    names = config.option.cnnzoo_conformance
    return f"cnnzoo conformance: {', '.join(names)}" if names else None


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    """Add a collector for each subject to what the session collects by itself."""
    report = yield
    if isinstance(collector, pytest.Session) and collector.config.option.cnnzoo_conformance:
        from cnnzoo.conformance._nodes import collectors

        report.result = [*(report.result or []), *collectors(collector)]
    return report
