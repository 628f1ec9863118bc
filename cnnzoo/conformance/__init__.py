"""What every model, layer and data set of the zoo promises, as checks that plugins run too.

    plugin.py       the pytest option ``--cnnzoo-conformance NAME``
    _nodes.py       what pytest collects for it
    _subjects.py    from names and patterns to what is checked
    _check.py       a check: its name, what it expects, how it says what it found
    _model_case.py  a model under test: built for what it declares
    check_*.py      the checks; a new file of that name, or a new function there, is all it takes

A package that adds to the zoo runs the zoo's own tests on what it registers::

    pytest --cnnzoo-conformance mypackage:

Nothing here imports torch before a check runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnzoo.lazy import lazy_names

if TYPE_CHECKING:
    from cnnzoo.conformance._check import Check as Check
    from cnnzoo.conformance._check import ConformanceError as ConformanceError
    from cnnzoo.conformance._check import checks as checks
    from cnnzoo.conformance._subjects import Subject as Subject
    from cnnzoo.conformance._subjects import subjects as subjects

_HOME = {
    "Check": "cnnzoo.conformance._check",
    "ConformanceError": "cnnzoo.conformance._check",
    "Subject": "cnnzoo.conformance._subjects",
    "checks": "cnnzoo.conformance._check",
    "subjects": "cnnzoo.conformance._subjects",
}
__all__ = list(_HOME)

__getattr__ = lazy_names(__name__, _HOME)
