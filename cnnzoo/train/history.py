"""What happened, a row an epoch."""

from __future__ import annotations

import csv
import dataclasses
from dataclasses import dataclass
from pathlib import Path

from cnnzoo.errors import CnnzooError
from cnnzoo.files import atomic_write


@dataclass(frozen=True)
class Row:
    """One epoch.

    Attributes:
        epoch: from 1.
        lr: learning rate of the epoch's last step.
        train_loss: mean over the epoch's samples, as they were seen.
        train_accuracy: fraction of them that was right when seen.
        val_loss: after the epoch, on the held-out part; ``None`` without one.
        val_accuracy: after the epoch, on the held-out part; ``None`` without one.
        test_loss: after the epoch; ``None`` without a test set.
        test_accuracy: after the epoch; ``None`` without a test set.
        seconds: training and evaluation of this epoch.
    """

    epoch: int
    lr: float
    train_loss: float
    train_accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    test_loss: float | None
    test_accuracy: float | None
    seconds: float


class History(list[Row]):
    """The rows of a run; prints as a table.

    >>> print(History([Row(1, 0.01, 0.9, 0.72, None, None, 0.4, 0.91, 1.25)]))
    epoch  train loss  train accuracy  test loss  test accuracy  seconds
        1      0.9000          0.7200     0.4000         0.9100     1.25
    """

    def __str__(self) -> str:
        validation = any(row.val_loss is not None for row in self)
        rows = (table_row(row, validation=validation) for row in self)
        return "\n".join([table_header(validation=validation), *rows])

    def to_csv(self, path: str | Path) -> None:
        """Write the rows with a header, exactly (`repr` of each float), atomically."""
        with atomic_write(path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, _NAMES)
            writer.writeheader()
            for row in self:
                writer.writerow({k: v for k, v in dataclasses.asdict(row).items() if v is not None})

    @classmethod
    def from_csv(cls, path: str | Path) -> History:
        """Read what `to_csv` wrote.

        Raises:
            CnnzooError: the file is missing or has other columns.
        """
        try:
            with Path(path).open(newline="") as file:
                return cls(_parse(record) for record in csv.DictReader(file))
        except (OSError, ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
            raise CnnzooError(f"{path} is no readable history of a run ({error}).") from error


def table_header(*, validation: bool = False) -> str:
    """Return the line of column names above `table_row`."""
    return "  ".join(_title(name) for name in _columns(validation))


def table_row(row: Row, *, validation: bool = False) -> str:
    """Return one epoch as a line below `table_header`."""
    cells = []
    for name in _columns(validation):
        value, width = getattr(row, name), len(_title(name))
        if value is None:
            text = "-"
        else:
            digits = {"epoch": 0, "seconds": 2}.get(name, 4)
            text = f"{value:.{digits}f}"
        cells.append(f"{text:>{width}}")
    return "  ".join(cells)


def _columns(validation: bool) -> list[str]:
    """What fits a terminal: the file has all, the table no learning rate."""
    return [name for name in _NAMES if name != "lr" and (validation or not name.startswith("val_"))]


def _title(name: str) -> str:
    return name.replace("_", " ")


def _parse(record: dict[str, str]) -> Row:
    numbers = {name: float(text) if text else None for name, text in record.items()}
    return Row(**numbers | {"epoch": int(record["epoch"])})  # type: ignore[arg-type]


_NAMES = [each.name for each in dataclasses.fields(Row)]
