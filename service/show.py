"""Summary of a run: its hit rates, and one user's feed by the service's own scoring path."""

from __future__ import annotations

import sys
import textwrap
from datetime import timedelta
from pathlib import Path
from typing import Any

from feedrank.artifact.artifact import Artifact
from feedrank.errors import command
from feedrank.state.catalogue import plain_ids
from feedrank.validation.results.leads import first_k, lead_in_words, supported

ARTIFACT = Path("models/artifact")  # the last build, deployed or not
K = 5  # the service's default length of a list
NEAREST = ("most_liked", "most_liked_by_segment")


@command()
def main() -> None:
    """Print the metrics table and a feed; the numbers are those of the artifact's manifest."""
    artifact = Artifact.load(ARTIFACT)
    print("\n".join([*table_of(artifact.manifest["metrics"]), "", *feed_of(artifact)]))


def table_of(metrics: dict[str, Any]) -> list[str]:
    """Hit rates of all methods, best first; on the demo beside the true ones."""
    k = first_k(metrics)
    name = f"hitrate@{k}"
    methods = {"feedrank": metrics[name], **metrics[f"baselines@{k}"]}
    true = metrics.get("demo", {}).get("true", {})
    head = f"{name:24}{'expected':>10}{'shown':>10}{'catalogue':>11}"
    lines = [head + (f"{'true':>8}" if true else "")]
    kind = metrics["headline"]
    for method, values in sorted(methods.items(), key=lambda m: -(m[1][kind] or 0.0)):
        expected = "void" if kind == "shown" else _number(values["expected"])
        line = f"{method:24}{expected:>10}{_number(values['shown']):>10}"
        line += f"{values['catalogue']:>11.4f}"
        lines.append(line + (f"{true[method]:>8.3f}" if method in true else ""))
    lines += [f"{m:55}{true[m]:>8.3f}" for m in ("informed", "oracle") if m in true]
    ours, leads = metrics[name], metrics[f"lead@{k}"]
    interval = f"[{_number(ours[f'{kind}_low'])}, {_number(ours[f'{kind}_high'])}]"
    over = f"over {ours['n_requests']} requests (95 %, users resampled)"
    lines += ["", f"{kind} {_number(ours[kind])} {interval} {over}"]
    if kind == "shown":
        lines.append("expected is void: the feed is not random")
    against = {m: supported(leads[m], kind) for m in NEAREST if m in leads}
    return lines + [f"against {m}: {lead_in_words(lead)}" for m, lead in against.items()]


def _printable(text: str) -> str:
    """Text without characters that move a terminal's cursor or reverse its letters."""
    return "".join(c if c.isprintable() or c.isspace() else " " for c in text)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def feed_of(artifact: Artifact) -> list[str]:
    """The feed of the user in the middle of the list, at noon of the last day."""
    store, recommender = artifact.store, artifact.recommender
    meta, catalogue = store.meta, store.catalogue
    middle = len(catalogue.user_ids) // 2
    (user_id,) = plain_ids(catalogue.user_ids[middle : middle + 1])
    midnight = meta.moment(meta.last_at).replace(hour=0, minute=0, second=0)
    at = midnight + timedelta(hours=12)
    lines = [f"feed of user {user_id} at {at.isoformat(sep=' ')}"]
    for place, (post_id, probability) in enumerate(recommender.recommend(user_id, at, K), 1):
        row = catalogue.post(post_id)
        topic = _printable(store.topic[row])
        text = textwrap.shorten(_printable(store.text[row]), 70, placeholder=" ...")
        lines.append(f"{place}. {probability:5.1%}  {post_id:>6}  {topic:14} {text}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
