"""What `benchmarks.bench_latency` found: one image, a batch, page faults, targets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zoodocs import rst


def tables(content: dict[str, Any]) -> Iterator[str]:
    """Yield a table a case, then page faults, then targets."""
    yield (
        "Called from Python. Median and 99th percentile of a call; how many times as long as the "
        "frozen model in the same dtype, median over rounds.\n"
    )
    for case in content["latency"]:
        threads = f"{case['threads']} thread" + "s" * (case["threads"] > 1)
        head = [
            f"{case['model']}, {case['dtype']}, batch {case['batch']}, {threads}",
            *("median, µs", "99 %, µs", "µs an image", "times as long"),
        ]
        ranked = sorted(case["rows"].items(), key=lambda item: item[1]["median_us"])
        yield rst.table(
            [rst.plain(cell) for cell in head],
            [
                [
                    rst.plain(name),
                    *(f"{row[key]:.1f}" for key in ("median_us", "p99_us")),
                    f"{row['us_an_image']:.2f}",
                    "{:.2f} ({:.2f}\u2060–\u2060{:.2f})".format(*row["times_as_long"]),
                ]
                for name, row in ranked
            ],
        )
        for name, why in case["missing"].items():
            yield f"{rst.plain(name)}: {rst.plain(why)}\n"
    yield from _faults(content.get("page_faults", {}))


def _faults(by_malloc: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    if not by_malloc:
        return
    found: dict[tuple[str, str], dict[str, str]] = {}
    for malloc, rows in by_malloc.items():
        for row in rows:
            key = f"{row['mode']}, batch {row['batch']}", row["who"]
            count = f"{row['faults']:,.0f}" if "faults" in row else "–"
            found.setdefault(key, {})[malloc] = count
    head = ["page faults a step", "who", *(f"{malloc} malloc" for malloc in by_malloc)]
    rows = [
        [mode, rst.plain(who), *(cells.get(malloc, "–") for malloc in by_malloc)]
        for (mode, who), cells in found.items()
    ]
    yield rst.table(head, rows)
