"""Page `docs/benchmarks.md`, from the measurements of `benchmarks.scale.full_size`."""

from __future__ import annotations

from typing import Any

BUILD = ("extract", "features", "validate", "train", "export")
UNKNOWN = "validate, truth unknown"  # as of a log of users; `validate` also computes true rates
METHODS = ("oracle", "informed", "feedrank", "most_liked_by_segment", "most_liked", "classic",
           "random")  # fmt: skip
HEAD = """# Benchmarks

Cost of each stage for networks of several sizes, from the database to the service, each stage in a
process of its own as in `dvc repro`. Written by `make full-size` (`benchmarks/scale/full_size.py`),
not by hand.

Machine: {machine}.
"""


def page(machine: str, results: list[dict[str, Any]]) -> str:
    """The whole page: the largest network from a database first, and those from log files last."""
    results = sorted(results, key=lambda r: r["users"])
    beyond = [r for r in results if "extract" not in r["stages"]]
    results = [r for r in results if "extract" in r["stages"]]
    largest = results[-1]
    parts = [
        HEAD.format(machine=machine),
        f"## {largest['users']:,} users, {largest['feed_rows']:,} feed rows",
        _verdict(largest),
        _stages(largest),
        "Memory is that of all processes of a stage, with shared pages counted once and without "
        "PostgreSQL.",
        "## On disk",
        _sizes(largest),
        "## The service",
        f"```\n{largest['service'].strip()}\n```",
        "## Hit rates",
        _hitrates(results),
        "## Cost against size",
        _growth(results),
        _plot(results),
        *(part for result in beyond for part in _beyond(result)),
    ]
    return "\n\n".join(parts) + "\n"


def _beyond(result: dict[str, Any]) -> list[str]:
    """A network larger than the reference installation, whose log no database sent."""
    return [
        f"## {result['users']:,} users, {result['feed_rows']:,} feed rows, from log files",
        _verdict(result),
        _stages(result),
        _sizes(result),
        f"```\n{result['service'].strip()}\n```",
        _hitrates([result]),
    ]


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _verdict(result: dict[str, Any]) -> str:
    stages = result["stages"]
    build = [stages[name] for name in BUILD if name in stages]
    seconds = sum(cost["seconds"] for cost in build)
    unknown = stages.get(UNKNOWN, stages["validate"])  # of an earlier measurement
    truth = stages["validate"]["seconds"] - unknown["seconds"]
    highest = max(cost["together"] for cost in (*build, unknown))
    beside = sum(size for place, size in result["bytes"].items() if place != "data/demo")
    return (
        f"From the {'database' if 'extract' in stages else 'log'} to the artifact, with "
        f"validation: **{seconds - truth:.0f} seconds**, and some {truth:.0f} more for the true "
        "hit rates, which only a simulation has. "
        f"Peak memory of a stage: **{highest / 1e9:.2f} GB**. Disk, without the database: "
        f"{beside / 1e9:.2f} GB."
    )


def _stages(result: dict[str, Any]) -> str:
    rows = [
        [
            name,
            f"{cost['seconds']:.1f}",
            f"{cost['processor']:.1f}",
            f"{result['feed_rows'] / cost['seconds'] / 1e6:.2f}",
            f"{cost['together'] / 1e6:.0f}",
            f"{cost['largest'] / 1e6:.0f}",
        ]
        for name, cost in result["stages"].items()
    ]
    head = ["stage", "seconds", "processor seconds", "million feed rows/s", "peak MB",
            "largest process, MB"]  # fmt: skip
    return _table(head, rows)


def _sizes(result: dict[str, Any]) -> str:
    rows = [[f"`{place}`", f"{size / 1e6:,.1f}"] for place, size in result["bytes"].items()]
    return _table(["what", "MB"], rows)


def _hitrates(results: list[dict[str, Any]]) -> str:
    """True hit rates, known in simulations, and the share of the way to the informed limit."""
    rows = []
    for result in results:
        demo = result["metrics"]["demo"]
        true, way = demo["true"], demo["share_of_way"]
        rates = [f"{true[name]:.4f}" for name in METHODS]
        rows.append([f"{result['users']:,}", *rates, f"{way:.1%}"])
    head = ["users", *(f"`{name}`" for name in METHODS), "share of the way from random to informed"]
    return _table(head, rows)


def _growth(results: list[dict[str, Any]]) -> str:
    largest = results[-1]
    rows = [
        [name]
        + [f"{r['stages'][name]['seconds']:.1f}" for r in results]
        + [f"{1e6 * r['stages'][name]['seconds'] / r['feed_rows']:.2f}" for r in results]
        for name in largest["stages"]
    ]
    of = [f"{r['feed_rows'] / 1e6:.1f} M" for r in results]
    head = ["stage", *(f"{n} rows, s" for n in of), *(f"{n}, µs a row" for n in of)]
    return _table(head, rows)


def _plot(results: list[dict[str, Any]]) -> str:
    sizes = ", ".join(f'"{r["feed_rows"] / 1e6:.1f} M"' for r in results)
    lines = "\n".join(f"  line [{_seconds(name, results)}]" for name in BUILD)
    return (
        "Seconds of extract, features, validate, train and export, by feed rows:\n\n"
        f'```mermaid\nxychart-beta\n  x-axis "feed rows" [{sizes}]\n'
        f'  y-axis "seconds"\n{lines}\n```'
    )


def _seconds(name: str, results: list[dict[str, Any]]) -> str:
    return ", ".join(f"{r['stages'][name]['seconds']:.1f}" for r in results)
