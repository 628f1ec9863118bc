"""What pytest sees of the checks: a collector for each subject, an item for each check."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from cnnzoo.conformance._check import Check, ConformanceError, checks
from cnnzoo.conformance._subjects import Subject, subjects
from cnnzoo.errors import CnnzooError


def collectors(session: pytest.Session) -> list[pytest.Collector]:
    """Return a collector for each thing that the option names.

    Raises:
        pytest.UsageError: nothing has such a name.
    """
    try:
        found = subjects(session.config.option.cnnzoo_conformance)
    except CnnzooError as error:
        raise pytest.UsageError(str(error)) from None
    return [SubjectCollector.of(session, each) for each in found]


class SubjectCollector(pytest.Collector):
    """Collects the checks of one model, layer, data set or plugin."""

    subject: Subject

    @classmethod
    def of(cls, session: pytest.Session, subject: Subject) -> SubjectCollector:
        """Make the collector of a subject; its line of dots begins with its name."""
        name = f"conformance of {subject.kind} {subject.name}"
        node: SubjectCollector = cls.from_parent(session, name=name, nodeid=name)
        node.subject = subject
        return node

    def collect(self) -> Iterator[CheckItem]:
        """Yield an item for each check of this kind of subject."""
        for check in checks(self.subject.kind):
            item: CheckItem = CheckItem.from_parent(self, name=check.name)
            item.check = check
            item.subject = self.subject
            yield item


class CheckItem(pytest.Item):
    """One check of one subject."""

    check: Check
    subject: Subject

    def runtest(self) -> None:
        """Run the check."""
        self.check(self.subject.name)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Say in a sentence what was expected and what came; where it crashed, show where."""
        promise = f"{self.subject.name} was expected to keep: {self.check.expects}"
        error = excinfo.value
        if isinstance(error, ConformanceError) and not self.config.option.verbose:
            return f"{promise}\n{error}"
        details = super().repr_failure(excinfo, style)
        return f"{promise}\nIt ended in {type(error).__name__}: {error}\n\n{details}"

    def reportinfo(self) -> tuple[str, int | None, str]:
        """Return where the check is written."""
        code = inspect.unwrap(self.check.function).__code__
        return code.co_filename, code.co_firstlineno, f"{self.subject.name} {self.check.name}"
